#include "gate_state.h"

namespace postern {

IssuerState::IssuerState(IssuerSettings s, std::uint32_t i, const std::shared_ptr<TableBudget>& tables)
    : index(i), settings(std::move(s)), keys(settings.keys, i, tables) {
  if (tables != nullptr) {
    for (Jwk& key : settings.static_keys) key.key.use_tables(tables);
  }
  if (settings.fetches_keys && !settings.static_keys.empty()) keys.add_static_keys(std::move(settings.static_keys));
}

GateState::GateState(Settings s) : settings(std::move(s)), tokens(settings.token_cache.bytes_max) {
  if (settings.verifier == Verifier::own) tables = std::make_shared<TableBudget>(settings.limits.table_bytes_max);
  std::uint32_t index = 0;
  for (IssuerSettings& issuer : settings.issuers) issuers.emplace_back(std::move(issuer), index++, tables);
  settings.issuers.clear();
}

IssuerState* GateState::find_issuer(std::string_view issuer) {
  for (IssuerState& candidate : issuers) {
    if (candidate.settings.claims.issuer == issuer) return &candidate;
  }
  return nullptr;
}

TokenCache::Hit GateState::recall(const TokenName& name, Time now) {
  TokenCache::Hit hit = tokens.find(name, now);
  // Kept where the set is only too old to be used unasked: the issuer may say that it is the same.
  if (hit.token != nullptr && !issuers[hit.token->issuer].holds(hit.token->key_generation, now)) hit.token = nullptr;
  return hit;
}

std::uint64_t GateState::begin_fetch(FlowDriver* owner) {
  object_fetches_.emplace(++last_fetch_id_, owner);
  return last_fetch_id_;
}

void GateState::end_fetches(const FlowDriver* owner) {
  std::erase_if(object_fetches_, [owner](const auto& entry) { return entry.second == owner; });
}

void GateState::give(std::uint64_t fetch_id, IncomingResponse response, Time now) {
  if (const auto found = object_fetches_.find(fetch_id); found != object_fetches_.end()) {
    FlowDriver* owner = found->second;
    object_fetches_.erase(found);
    if (owner->awaited() == Awaited::object) owner->give(std::move(response));
    return;
  }
  for (IssuerState& issuer : issuers) {
    if (issuer.keys.give(fetch_id, response, now)) return;
  }
}

}  // namespace postern
