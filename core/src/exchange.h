// One request on its way: the only coordinator of the stages, and the shared state behind a Gate.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "postern/gate.h"
#include "settings.h"

namespace postern {

class ExchangeState;

struct IssuerState {
  IssuerState(IssuerSettings s, std::uint32_t index, const std::shared_ptr<TableBudget>& tables);
  IssuerSettings settings;
  KeyCache keys;
};

// Everything the exchanges of one Gate share.
class GateState {
 public:
  explicit GateState(Settings settings);

  [[nodiscard]] IssuerState* find_issuer(std::string_view issuer);
  [[nodiscard]] std::uint64_t next_step_id() { return ++last_step_id_; }
  // A fetch of one exchange's own (an upstream object); forgotten when the exchange ends.
  [[nodiscard]] std::uint64_t begin_fetch(ExchangeState* owner);
  void end_fetch(std::uint64_t fetch_id) { object_fetches_.erase(fetch_id); }
  void give(std::uint64_t fetch_id, IncomingResponse response, Time now);

  Settings settings;
  std::shared_ptr<TableBudget> tables;  // null with Verifier::portable
  bool building_said = false;           // due() has told the host that tables wait to be built
  std::deque<IssuerState> issuers;      // exchanges keep pointers into it

 private:
  std::uint64_t last_step_id_ = 0;
  // Key caches number their fetches from (issuer + 1) << 40 on; these stay below.
  std::uint64_t last_fetch_id_ = 0;
  std::unordered_map<std::uint64_t, ExchangeState*> object_fetches_;
};

[[nodiscard]] std::unique_ptr<Exchange> open_exchange(GateState& gate, const RequestHead& head, Time now, Purpose purpose);
[[nodiscard]] std::string explain_exchange(GateState& gate, const RequestHead& head, std::string_view body, Time now);

}  // namespace postern
