#include "gate_state.h"

#include <algorithm>

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
  for (const CredentialSource& source : settings.credentials.chain) {
    const auto* check = std::get_if<OnlineCheckSettings>(&source);
    if (check == nullptr) continue;
    const std::uint64_t first_fetch_id = (std::uint64_t{1} << 62U) + (std::uint64_t{online_checks.size()} << 40U);
    online_checks.emplace_back(*check, first_fetch_id);
  }
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
  if (hit.token != nullptr && is_denied(hit.token->user->credential)) hit.token = nullptr;
  return hit;
}

#ifdef POSTERN_WASM
// An issuer has at most some hundred keys, and a set that changed every second for a century has this many generations.
std::uint64_t GateState::handle_of(const IssuerState& issuer, const Jwk* key) const {
  const std::uint64_t position = issuer.settings.fetches_keys
                                     ? issuer.keys.position_of(key)
                                     : static_cast<std::uint64_t>(key - issuer.settings.static_keys.data());
  return std::uint64_t{issuer.index} << 48U | (position & 0xffffU) << 32U | (issuer.key_generation() & 0xffff'ffffU);
}

const Jwk* GateState::find_key(std::uint64_t handle) const {
  const std::size_t index = handle >> 48U;
  if (index >= issuers.size()) return nullptr;
  const IssuerState& issuer = issuers[index];
  if ((issuer.key_generation() & 0xffff'ffffU) != (handle & 0xffff'ffffU)) return nullptr;
  const auto position = static_cast<std::uint32_t>(handle >> 32U & 0xffffU);
  if (issuer.settings.fetches_keys) return issuer.keys.at(position);
  return position < issuer.settings.static_keys.size() ? &issuer.settings.static_keys[position] : nullptr;
}
#endif

std::uint64_t GateState::begin_fetch(FlowDriver* owner) {
  object_fetches_.emplace_back(++last_fetch_id_, owner);
  owner->object_fetch_id = last_fetch_id_;
  return last_fetch_id_;
}

// A flow that waits for one answer asks for no other, so there is no more than the last.
void GateState::end_fetch(const FlowDriver& owner) {
  if (owner.object_fetch_id != 0) take_fetch(owner.object_fetch_id);
}

FlowDriver* GateState::take_fetch(std::uint64_t fetch_id) {
  const auto found = std::lower_bound(object_fetches_.begin(), object_fetches_.end(), fetch_id,
                                      [](const auto& fetch, std::uint64_t id) { return fetch.first < id; });
  if (found == object_fetches_.end() || found->first != fetch_id) return nullptr;
  FlowDriver* const owner = found->second;
  object_fetches_.erase(found);
  return owner;
}

void GateState::give(std::uint64_t fetch_id, IncomingResponse response, Time now) {
  if (FlowDriver* const owner = take_fetch(fetch_id)) {
    if (owner->awaited() == Awaited::object) owner->give(std::move(response));
    return;
  }
  for (IssuerState& issuer : issuers) {
    if (issuer.keys.give(fetch_id, response, now)) return;
  }
  for (OnlineCheck& check : online_checks) {
    if (check.give(fetch_id, response, now)) return;
  }
}

void GateState::abandon(std::uint64_t fetch_id) {
  for (IssuerState& issuer : issuers) issuer.keys.abandon(fetch_id);
  for (OnlineCheck& check : online_checks) check.abandon(fetch_id);
}

}  // namespace postern
