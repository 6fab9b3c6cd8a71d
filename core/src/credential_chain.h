// What a request carries -> Caller: the configured sources in their order; the first that applies decides, for good.
//
// A source that applies and says no ends it: a revoked API key must not get in by the token beside it, nor a token with a bad
// signature by being asked about elsewhere.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "authentication.h"
#include "credential.h"
#include "flow.h"
#include "gate_state.h"
#include "refusal.h"

namespace postern {

// The source that applies, where it must ask somebody before it can say who is calling.
struct Authority {
  const CredentialSource* source = nullptr;  // nullptr: nobody is asked
  OnlineCheck* check = nullptr;              // of the source, where it is one
  std::string token;                         // that it is asked about; a handler looks for itself
  std::unique_ptr<ReadToken> read;           // the same read, where the issuers' keys are to decide
};

// Refuses with what the source that applied says; where none did: credential_missing, the Authorization header's own fault,
// why the token is no JWT of an issuer here, or credential_unknown. Where `asked` has a source afterwards, the result says
// nothing: ask_at_once() and ask() do, in this order. The denylist is not looked at.
[[nodiscard]] Result<Caller, Refusal> identify(GateState& gate, const CarriedCredentials& carried, Time now, Authority& asked);

// What the issuers' keys say, where they are at hand. Nothing: ask() has to be, in the same call of the host's.
[[nodiscard]] std::optional<Result<Caller, Refusal>> ask_at_once(GateState& gate, Authority& asked, Time opened_at, Time now);

// `asked` as ask_at_once() left it; outlives the flow.
[[nodiscard]] Flow<Result<Caller, Refusal>> ask(FlowDriver& driver, GateState& gate, Authority& asked, Time opened_at);

}  // namespace postern
