#include "postern/gate.h"

#include "exchange.h"

namespace postern {

Gate::Gate(std::unique_ptr<GateState> state) : state_(std::move(state)) {}
Gate::Gate(Gate&&) noexcept = default;
Gate& Gate::operator=(Gate&&) noexcept = default;
Gate::~Gate() = default;

Result<Gate, ConfigError> Gate::create(std::string_view config, const Environment& environment) {
  auto settings = parse_settings(config, environment);
  if (!settings) return settings.error();
  return Gate(std::make_unique<GateState>(std::move(settings).value()));
}

std::unique_ptr<Exchange> Gate::open(const RequestHead& head, Time now, Purpose purpose) {
  return open_exchange(*state_, head, now, purpose);
}

void Gate::give(std::uint64_t fetch_id, IncomingResponse response, Time now) { state_->give(fetch_id, std::move(response), now); }

Due Gate::due(Time now) {
  // An hour: nothing to do is asked about again, in case the clock jumped.
  Due due{{}, now.plus_seconds(3600)};
  for (IssuerState& issuer : state_->issuers) {
    if (!issuer.settings.fetches_keys) continue;
    if (auto fetch = issuer.keys.due(now)) due.fetches.push_back(std::move(*fetch));
    due.next_at = std::min(due.next_at, issuer.keys.due_at());
  }
  return due;
}

std::string Gate::explain(const RequestHead& head, std::string_view body, Time now) {
  return explain_exchange(*state_, head, body, now);
}

const std::string& Gate::upstream_url() const { return state_->settings.upstream.url; }
const std::vector<std::string>& Gate::warnings() const { return state_->settings.warnings; }

}  // namespace postern
