// What a request carries -> User: who is calling.
//
// The flow stops where keys must be fetched; nothing about the caller is believed before it ends.
#pragma once

#include <string>

#include "flow.h"
#include "gate_state.h"
#include "postern/user.h"
#include "refusal.h"

namespace postern {

// `token`: the bearer token as bearer_token() found it. Refuses with what parse_jws, select_key, VerifiedJws::verify
// and validate_claims refuse, issuer_unknown, and keys_unavailable (503).
[[nodiscard]] Flow<Result<User, Refusal>> authenticate(FlowDriver& driver, GateState& gate, std::string token, Time opened_at);

}  // namespace postern
