// What one wasm instance holds: its gates, the open exchanges and the two message buffers.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "abi.h"
#include "handles.h"
#include "postern/gate.h"

namespace postern {

struct OpenExchange {
  std::uint32_t gate = 0;  // its handle: a gate that closes takes its exchanges along
  std::unique_ptr<Exchange> exchange;
};

struct Instance {
  Handles<Gate, abi::gates_max> gates;
  Handles<OpenExchange, abi::exchanges_max> exchanges;  // after the gates: destroyed before them
  std::string input;
  std::vector<HeaderView> headers;  // of the request that is being opened; kept for its capacity

  // An exchange refers to its gate, so the exchanges go first.
  void close_gate(std::uint32_t gate) {
    exchanges.remove_if([gate](const OpenExchange& open) { return open.gate == gate; });
    gates.remove(gate);
  }
};

// Made on first use: nothing runs when the module is instantiated.
[[nodiscard]] Instance& instance();

// Gives a large input buffer back, so that one large body does not stay for good.
void trim_input();

// The output is complete, and the input was read.
[[nodiscard]] std::uint32_t answer(abi::Answer answer);

}  // namespace postern
