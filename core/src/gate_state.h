// Everything the exchanges of one Gate share.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <vector>

#include "flow.h"
#include "jws.h"
#include "online_check.h"
#include "settings.h"
#include "token_cache.h"

namespace postern {

struct IssuerState {
  IssuerState(IssuerSettings s, std::uint32_t index, const std::shared_ptr<TableBudget>& tables);
  // Of the keys that a token is verified with now; and whether keys of then are still the ones to verify with.
  [[nodiscard]] std::uint64_t key_generation() const { return settings.fetches_keys ? keys.generation() : 0; }
  [[nodiscard]] bool holds(std::uint64_t generation, Time now) const {
    return settings.fetches_keys ? keys.holds(generation, now) : generation == 0;
  }

  const std::uint32_t index;
  IssuerSettings settings;
  KeyCache keys;
};

class GateState {
 public:
  explicit GateState(Settings settings);

  [[nodiscard]] IssuerState* find_issuer(std::string_view issuer);
  [[nodiscard]] std::uint64_t next_step_id() { return ++last_step_id_; }
  // A fetch of one exchange's own (an upstream object); its answer goes to that exchange's flow. Forgotten when the
  // exchange ends.
  [[nodiscard]] std::uint64_t begin_fetch(FlowDriver* owner);
  void end_fetch(const FlowDriver& owner);
  void give(std::uint64_t fetch_id, IncomingResponse response, Time now);
  // Nobody will carry this fetch of the gate's own.
  void abandon(std::uint64_t fetch_id);
  [[nodiscard]] bool is_denied(const CredentialNames& credential) const {
    return settings.denylist.denies(credential) || given_denylist.denies(credential);
  }

  // What is known of a token that was verified before; no token: it has to be verified (again). Precondition: tokens.on().
  [[nodiscard]] TokenCache::Hit recall(const TokenName& name, Time now);

#ifdef POSTERN_WASM
  // Handles of keys for the host's verifier: issuer, position and generation, so that no two keys ever have the same.
  [[nodiscard]] std::uint64_t handle_of(const IssuerState& issuer, const Jwk* key) const;
  [[nodiscard]] const Jwk* find_key(std::uint64_t handle) const;

  std::vector<const Jwa*> host_algorithms;  // that the host verifies
#endif

  const std::shared_ptr<const User> nobody = std::make_shared<const User>();  // the user of whoever is not known yet
  Settings settings;
  TokenCache tokens;
  KnownHeaders headers;                   // of tokens
  std::shared_ptr<TableBudget> tables;    // null with Verifier::portable
  bool building_said = false;             // due() has told the host that tables wait to be built
  std::deque<IssuerState> issuers;        // exchanges keep pointers into it
  std::deque<OnlineCheck> online_checks;  // one for each in the chain, in its order
  Denylist given_denylist;                // the host's, beside the configuration's
  bool denylist_given = false;            // by the host, ever: then it asks about open streams too

 private:
  // Whose fetch this is, which is then no longer under way; nullptr: nobody's.
  FlowDriver* take_fetch(std::uint64_t fetch_id);

  std::uint64_t last_step_id_ = 0;
  // Key caches number their fetches from (issuer + 1) << 40 on, online checks from 1 << 62; these stay below.
  std::uint64_t last_fetch_id_ = 0;
  std::vector<std::pair<std::uint64_t, FlowDriver*>> object_fetches_;  // under way, in the order of their ids
};

}  // namespace postern
