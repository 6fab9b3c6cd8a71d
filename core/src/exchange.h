// One request on its way: authenticate, authorize, enforce. The only coordinator of the stages.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "gate_state.h"
#include "postern/gate.h"

namespace postern {

// `host_user`: who is calling, said by the host program instead of a credential. For policy tests alone (policy_test.cpp):
// Gate::open never passes one, so nothing in a request can.
[[nodiscard]] std::unique_ptr<Exchange> open_exchange(GateState& gate, const RequestHead& head, Time now, Purpose purpose,
                                                      std::optional<User> host_user = {});
[[nodiscard]] std::string explain_exchange(GateState& gate, const RequestHead& head, std::string_view body, Time now,
                                           std::optional<User> host_user = {});

}  // namespace postern
