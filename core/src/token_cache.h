// Tokens that were verified -> their users, so that the next request with the same token costs a hash and a look-up.
//
// Only a token whose signature and claims were good gets in; a refusal is never kept. An entry answers between the moments that
// its claims name (exp, nbf and iat, leeway included), for the key set that verified it, and while it is among the most
// recently used that fit the budget. Off until it was seeded: there is no default key.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "postern/time.h"
#include "postern/user.h"
#include "siphash.h"

namespace postern {

// 8 MiB hold some 5,000 users with a kilobyte of claims, a sixteenth of an edge isolate's memory.
inline constexpr std::size_t token_cache_bytes_default = 8 * 1024 * 1024;

// What names a token in the cache. The size is compared too: it costs nothing, and rules out what is not even as long.
struct TokenName {
  SipHash128 hash;
  std::uint32_t bytes = 0;

  friend bool operator==(const TokenName&, const TokenName&) = default;
};

// What was found out about a token.
struct VerifiedToken {
  std::shared_ptr<const User> user;
  // Who vouched: a key of this issuer's set of this generation. Whoever uses an entry asks whether that set is still the one
  // in use, and fresh.
  std::uint32_t issuer = 0;
  std::uint64_t key_generation = 0;
  // Good from the one moment on and before the other: nbf and iat less the leeway, exp and the leeway.
  Time usable_from;
  Time usable_until;
};

class TokenCache {
 public:
  // `bytes_max`: of this process's memory, strings and table included; 0: off.
  explicit TokenCache(std::size_t bytes_max) : bytes_max_(bytes_max) {}

  // Switches the cache on, or empties it under a new key. The key is 16 bytes that nobody can guess, this cache's own.
  void seed(const SipHashKey& key);
  [[nodiscard]] bool on() const { return seeded_ && bytes_max_ != 0; }

  // Precondition of the next three: on().
  [[nodiscard]] TokenName name_of(std::string_view token) const;
  struct Hit {
    const VerifiedToken* token;  // valid until the next insert, erase, clear or seed
    std::uint32_t slot;          // a small number: hosts keep what they made of the user in a table of their own
    std::uint32_t serial;        // never 0; differs from that of every entry that was in this slot before (until 2^32 of them)
  };
  // nullptr as token: not there, or not good at `now`; one that is past its time is dropped.
  [[nodiscard]] Hit find(const TokenName& name, Time now);
  // Replaces an entry of the same name. Drops the least recently used until the budget holds; what is larger than the
  // budget is not kept, and then the token of the result is nullptr.
  Hit insert(const TokenName& name, VerifiedToken token);

  // For an entry whose grounds are gone: its key set was replaced.
  void erase(const TokenName& name);
  // For all at once, where something outside changed what a token is worth (a denylist, another policy of users).
  void clear();

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  static constexpr std::uint32_t none = 0xffff'ffff;
  // With ten thousand tokens a hit costs what it has to fetch from memory: one place of the table, one entry, which is a cache
  // line where pointers have four bytes, and neighbours in a list that is small enough to stay near.
  struct Entry {
    SipHash128 hash;
    std::uint32_t token_bytes = 0;
    std::uint32_t serial = 0;
    VerifiedToken token;

    [[nodiscard]] bool is(const TokenName& name) const { return hash == name.hash && token_bytes == name.bytes; }
  };
  struct Place {
    std::uint32_t slot = none;
    std::uint32_t tag = 0;  // of the entry's hash: another token's entry is hardly ever fetched to be compared
  };
  struct Neighbours {
    std::uint32_t newer = none;  // in the order of use
    std::uint32_t older = none;  // chains the free slots as well
  };

  [[nodiscard]] static std::uint32_t tag_of(const SipHash128& hash) { return static_cast<std::uint32_t>(hash.high); }
  [[nodiscard]] std::size_t home_of(const SipHash128& hash) const { return hash.low & (table_.size() - 1); }
  [[nodiscard]] std::size_t place_of(const TokenName& name) const;  // in the table: of the entry, or of the gap it would fill
  [[nodiscard]] static std::size_t cost(const VerifiedToken& token);
  void grow();
  void unlink(std::uint32_t slot);
  void link_newest(std::uint32_t slot);
  void drop(std::uint32_t slot);

  std::size_t bytes_max_;
  bool seeded_ = false;
  SipHashKey key_{};
  std::deque<Entry> entries_;     // slots: live, or chained from free_. A deque: growing moves nothing
  std::vector<Neighbours> uses_;  // of each slot
  std::vector<Place> table_;      // open addressing by the hash. A power of two, at most half full
  std::uint32_t free_ = none;
  std::uint32_t newest_ = none;
  std::uint32_t oldest_ = none;
  std::uint32_t last_serial_ = 0;
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;  // of the live entries
};

}  // namespace postern
