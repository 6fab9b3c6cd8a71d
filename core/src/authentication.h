// What a request carries -> User: who is calling.
//
// The flow stops where keys must be fetched; nothing about the caller is believed before it ends.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

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

// `token`: the bearer token as bearer_token() found it; outlives the flow. Refuses with what parse_jws, select_key,
// VerifiedJws::verify and validate_claims refuse, issuer_unknown, and keys_unavailable (503).
[[nodiscard]] Flow<Result<Caller, Refusal>> authenticate(FlowDriver& driver, GateState& gate, const std::string& token,
                                                         Time opened_at);

// The same for a token that was verified before and is still good; nothing when authenticate() has to be asked.
[[nodiscard]] std::optional<Caller> recall(GateState& gate, std::string_view token, Time now);

}  // namespace postern
