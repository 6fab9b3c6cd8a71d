// One request on its way: authenticate, authorize, enforce. The only coordinator of the stages.
#pragma once

#include <memory>
#include <string>

#include "gate_state.h"
#include "postern/gate.h"

namespace postern {

[[nodiscard]] std::unique_ptr<Exchange> open_exchange(GateState& gate, const RequestHead& head, Time now, Purpose purpose);
[[nodiscard]] std::string explain_exchange(GateState& gate, const RequestHead& head, std::string_view body, Time now);

}  // namespace postern
