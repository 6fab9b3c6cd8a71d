// One issuer's keys over time: a pure state machine driven by `now` and fetch results; it never fetches.
//
//   age of the set                      what find() does                       what due() does
//   under max_age - refresh_ahead       answers                                nothing
//   under max_age                       answers, also while it is refreshed    hands out the refresh
//   under max_age + stale_seconds_max   asks the issuer first; answers from    retries, backing off
//                                       the old set once that failed or is slow
//   over that                           unavailable until a fetch succeeds     retries, backing off
//
// Unavailable is 503, not 401: the caller's token may be good. A set replaces the last one, never merges: a removed
// key stops working at the next refresh, and within max_age unless the issuer fails.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "jwk.h"
#include "postern/step.h"
#include "postern/time.h"

namespace postern {

// A provider's metadata has about 60 members; the largest seen are under 10 KiB.
inline constexpr std::size_t discovery_bytes_max = 64 * 1024;
// Unknown kids that a fresh set was searched for in vain: 256 of at most kid_bytes_max bytes are 64 KiB.
inline constexpr std::size_t unknown_kids_max = 256;
// A minute: longer would lock out a key that is published just after its first token was sent.
inline constexpr std::int64_t unknown_kid_seconds = 60;

struct KeyCacheRules {
  std::string issuer;
  std::string jwks_uri;  // "" : discovery at issuer + /.well-known/openid-configuration (OpenID Connect Discovery 4)
  std::vector<std::string> jwks_origins;    // a discovered jwks_uri must be on the issuer's origin or one of these
  std::int64_t max_age_seconds = 600;       // Supabase's edge caches 10 min; Cache-Control may shorten it to 60 s
  std::int64_t refresh_ahead_seconds = 60;  // before max_age, due() hands out a refresh
  std::int64_t stale_seconds_max = 3600;    // after max_age: used while the issuer fails, then unavailable
  std::int64_t retry_seconds_min = 1;       // back-off after a failed fetch, doubling
  std::int64_t retry_seconds_max = 60;
  // Unknown kids: a bucket of fetches that only unknown kids draw from; good tokens never wait for it.
  int unknown_kid_burst = 3;
  std::int64_t unknown_kid_refill_seconds = 10;
  std::int64_t wait_ms_max = 2000;  // how long a waiter waits for another's fetch
  std::int64_t fetch_time_limit_ms = 5000;
};

// A fetched set as a second-level cache keeps it. Its age counts from when it was fetched, not from when it was read.
struct KeySnapshot {
  Time fetched_at;
  std::int64_t max_age_seconds = 0;
  std::string jwks;  // the document as the issuer sent it
};

class KeyCache {
 public:
  struct Unavailable {
    std::int64_t retry_after_seconds;
  };
  struct Found {
    const Jwk* key;  // valid until the next give()
  };
  using Answer = std::variant<Found, Fetch, Wait, Unavailable, Error>;

  // `tables`: what the keys verify with (crypto::Key::use_tables); null: mbedTLS.
  KeyCache(KeyCacheRules rules, std::uint32_t issuer_index, std::shared_ptr<TableBudget> tables = nullptr);
  // Keys that stand in the configuration, with tables or without as they are: never fetched, never stale. Looked up before
  // fetched ones.
  void add_static_keys(std::vector<Jwk> keys);

  // The key for a token's header, or what must happen first. `first_asked`: when this exchange first asked
  // (a waiter past wait_ms_max gets its own Fetch, counted by the bucket).
  [[nodiscard]] Answer find(std::string_view kid, const Jwa& alg, Time first_asked, Time now);

  // The answer to one of this cache's fetches; false when the id is not one under way. Refuses, keeping the set it
  // has: any status but 200, a body over the limit, a set that parse_jwk_set refuses; for discovery another `issuer`,
  // a jwks_uri that is not https (http: loopback only) or on an origin that is not the issuer's or a listed one.
  bool give(std::uint64_t fetch_id, const IncomingResponse& response, Time now);
  // Whoever carried this fetch is gone: it is handed out again, to the next that would wait for it.
  void abandon(std::uint64_t fetch_id);

  // A refresh that should start now (handed out once), and when to ask again. The first set is not fetched ahead:
  // that is for the first token.
  [[nodiscard]] std::optional<Fetch> due(Time now);
  [[nodiscard]] Time due_at() const;

  // The set that is in use, for a second-level cache; nothing before the first fetch.
  [[nodiscard]] std::optional<KeySnapshot> snapshot() const;
  // Takes up a set that another process or isolate fetched. Refused: one from the future, one past the stale bound, one
  // that is not newer than the set in use, and what parse_jwk_set refuses.
  bool restore(const KeySnapshot& snapshot, Time now);
  // Grows with every set that was fetched (a restored one does not count): when a snapshot is worth keeping.
  [[nodiscard]] std::uint64_t fetches() const { return fetches_; }

  // Whether the set of this generation is in use and needs no look at the issuer.
  [[nodiscard]] bool holds(std::uint64_t generation, Time now) const {
    return generation == generation_ && age(now) == Age::fresh;
  }
#ifdef POSTERN_WASM
  // Where a key of find()'s stands among the keys of this generation, and back; nullptr: nowhere.
  [[nodiscard]] std::uint32_t position_of(const Jwk* key) const {
    const auto of_fixed = key - static_keys_.data();
    const bool fixed = of_fixed >= 0 && of_fixed < static_cast<std::ptrdiff_t>(static_keys_.size());
    return static_cast<std::uint32_t>(fixed ? of_fixed : key - keys_.data() + static_cast<std::ptrdiff_t>(static_keys_.size()));
  }
  [[nodiscard]] const Jwk* at(std::uint32_t position) const {
    if (position < static_keys_.size()) return &static_keys_[position];
    position -= static_cast<std::uint32_t>(static_keys_.size());
    return position < keys_.size() ? &keys_[position] : nullptr;
  }
#endif
  // Grows with every set that differs from the last one.
  [[nodiscard]] std::uint64_t generation() const { return generation_; }
  // For logs: why the last fetch was of no use; "" after a good one. Holds names and numbers, never a value.
  [[nodiscard]] const std::string& last_fault() const { return last_fault_; }
  // For logs: which keys of the set were left out, and why.
  [[nodiscard]] const std::vector<JwkFault>& skipped() const { return skipped_; }

 private:
  enum class Age : std::uint8_t { none, fresh, old, dead };
  // One fetch. After discovery the next one is made at once, and waits for somebody to carry it.
  struct Flight {
    std::uint64_t fetch_id = 0;
    FetchPurpose purpose = FetchPurpose::keys;
    std::string url;
    bool handed_out = false;
    std::optional<Time> started;  // when it was first handed out: what it brings is at least this new
    Time deadline;                // when its carrier is taken for lost
  };
  struct UnknownKid {
    std::string kid;
    KeyKind kind;
    Time learned;
  };

  [[nodiscard]] Age age(Time now) const;
  [[nodiscard]] Time refresh_at() const;
  [[nodiscard]] bool backing_off(Time now) const;
  [[nodiscard]] std::int64_t retry_after_seconds(Time until, Time now) const;
  void expire(Time now);
  void fail(std::string why, Time now);
  Flight& begin_flight();
  [[nodiscard]] Fetch hand_out(Flight& flight, Time now);
  [[nodiscard]] Answer join(Time first_asked, Time now);
  [[nodiscard]] Answer find_unknown(std::string_view kid, KeyKind kind, Time first_asked, Time now);
  [[nodiscard]] bool take_token(Time now);
  [[nodiscard]] bool known_unknown(std::string_view kid, KeyKind kind, Time now);
  void remember_unknown(std::string_view kid, KeyKind kind, Time now);
  [[nodiscard]] bool outdated(const Flight& flight, Time now) const;
  void take_discovery(const IncomingResponse& response, Time now);
  void take_keys(Time started, const IncomingResponse& response, Time now);
  [[nodiscard]] std::optional<JwkFault> replace_set(const std::string& jwks);

  KeyCacheRules rules_;
  std::shared_ptr<TableBudget> tables_;
  std::uint64_t last_fetch_id_;
  std::vector<Jwk> static_keys_;

  bool has_set_ = false;
  std::vector<Jwk> keys_;
  std::array<std::uint8_t, 32> body_digest_{};  // an unchanged reply keeps the imported keys and their tables
  std::string body_;                            // for snapshots
  std::uint64_t fetches_ = 0;
  std::vector<JwkFault> skipped_;
  Time fetched_at_;                   // when the fetch was handed out: a set is never taken for too young
  std::int64_t max_age_seconds_ = 0;  // of this set
  std::uint64_t generation_ = 0;

  std::string discovered_jwks_uri_;
  bool oauth_metadata_ = false;  // the issuer has no OpenID document; RFC 8414's is asked for instead
  std::vector<Flight> flights_;
  int failures_ = 0;
  Time retry_at_;
  std::string last_fault_;

  std::int64_t tokens_ = 0;
  Time refilled_at_;
  std::deque<UnknownKid> unknown_kids_;
};

}  // namespace postern
