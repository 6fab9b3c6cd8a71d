// What a request carries -> User: who is calling.
//
// Nothing about the caller is believed before it ends. It stops only where the host must do something: fetch keys, or look at a
// signature.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "flow.h"
#include "gate_state.h"
#include "postern/user.h"
#include "refusal.h"

namespace postern {

struct Caller {
  std::shared_ptr<const User> user;
  // Of the user in the cache of verified tokens; serial 0: not kept there.
  std::uint32_t cache_slot = 0;
  std::uint32_t cache_serial = 0;
};

// A token on its way to its user, where it stopped: read, and nothing of it verified.
struct ReadToken {
  ReadToken(std::string_view t, ParsedJws j) : text(t), jws(std::move(j)) {}

  std::string_view text;
  ParsedJws jws;
  IssuerState* issuer = nullptr;
  const Jwk* key = nullptr;  // nullptr: `awaited` comes first. Valid until the next stop
  KeyCache::Answer awaited;
  Refusal refusal = Error::host_failed;  // why, where it was refused
};

// `text`: as bearer_token() passed it; outlives what is left `unfinished`. Refuses with what parse_jws,
// select_key, VerifiedJws::verify and validate_claims refuse, issuer_unknown, and keys_unavailable (503). Nothing: the host must
// do something first, and authenticate() goes on with `unfinished`.
[[nodiscard]] std::optional<Result<Caller, Refusal>> authenticate_at_once(GateState& gate, std::string_view text, Time opened_at,
                                                                          Time now, std::unique_ptr<ReadToken>& unfinished);
// The rest of it, in the same call of the host's. Refuses likewise. `token` outlives the flow.
[[nodiscard]] Flow<Result<Caller, Refusal>> authenticate(FlowDriver& driver, GateState& gate, ReadToken& token, Time opened_at);

// The same for a token that was verified before and is still good; nothing when authenticate() has to be asked.
[[nodiscard]] std::optional<Caller> recall(GateState& gate, std::string_view token, Time now);

}  // namespace postern
