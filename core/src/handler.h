// What a function of the host program answered (HandlerResult) -> the User, or why the exchange ends.
//
// Nothing it can answer opens more than its own shape says: a throw, a time that passed, text of another shape all refuse.
#pragma once

#include <optional>
#include <string_view>

#include "postern/step.h"
#include "refusal.h"
#include "user.h"

namespace postern {

// Why a function's answer is not looked at: it refused (`denied`, with a status and headers of its own), failed or took too long.
[[nodiscard]] std::optional<Refusal> handler_refusal(const HandlerResult& result, Error denied);

// The function did answer, but not in the shape asked for. `what` names the fault, never a value.
[[nodiscard]] Refusal handler_fault(std::string_view what);

// The user whom an authenticate handler names. Refuses with credential_refused, handler_failed and handler_timeout.
[[nodiscard]] Result<User, Refusal> handler_user(const HandlerResult& result, std::string_view identity_prefix);

}  // namespace postern
