// What a request carries -> Caller: the configured sources in their order; the first that applies decides, for good.
//
// A source that applies and says no ends it: a revoked API key must not get in by the token beside it, nor a token with a bad
// signature by being asked about elsewhere.
#pragma once

#include "authentication.h"
#include "credential.h"
#include "flow.h"
#include "gate_state.h"
#include "refusal.h"

namespace postern {

// Refuses with what the source that applied says; where none did: credential_missing, the Authorization header's own fault,
// why the token is no JWT of an issuer here, or credential_unknown. credential_revoked: the denylist names it.
[[nodiscard]] Flow<Result<Caller, Refusal>> identify(FlowDriver& driver, GateState& gate, CarriedCredentials carried,
                                                     Time opened_at);

}  // namespace postern
