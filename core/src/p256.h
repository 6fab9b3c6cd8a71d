// A cached P-256 key, a hash and a signature to an answer: ECDSA verification, FIPS 186-5 6.4.2 (SEC 1, 4.1.4), for ES256.
//
// Verification only, of public data: nothing here is constant-time. A key that is used often gets a table of its multiples,
// which replaces all doublings (table_budget.h). The answer never depends on which tables there are. `undecided` is for mbedTLS:
// additions of equal or opposite points, which are left out here, and which only somebody who knows the key's private half can
// bring about.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "table_budget.h"

namespace postern {

enum class P256Answer : std::uint8_t { accepted, refused, undecided };

// A small table costs what it saves in 6 uses (in wasm 0.4 ms against 60 us a use), a large one instead of it in about 150 (1.3
// ms against 8 us), natively much the same.
inline constexpr std::uint64_t p256_small_table_uses = 4;
inline constexpr std::uint64_t p256_large_table_uses = 128;

// One public key. Movable, not copyable.
class P256Tables {
 public:
  // Nothing if x and y (32 bytes each, big-endian) are not the coordinates of a point on the curve (SEC 1, 3.2.2.1; the cofactor
  // is 1, so every point but infinity, which has no coordinates, is of order n).
  [[nodiscard]] static std::optional<P256Tables> make(std::shared_ptr<TableBudget> budget, std::string_view x,
                                                      std::string_view y);
  P256Tables(P256Tables&&) noexcept;
  P256Tables& operator=(P256Tables&&) noexcept;
  ~P256Tables();

  // `signature` is r and s, big-endian (RFC 7518 3.4). Refuses any length but 64, r or s outside [1, n-1]. What is accepted
  // counts as a use.
  [[nodiscard]] P256Answer verify(std::span<const std::uint8_t, 32> hash, std::string_view signature) const;

  void request(TableSize size) const;
  [[nodiscard]] std::optional<TableSize> table() const;

  class User;

 private:
  P256Tables(std::shared_ptr<TableBudget> budget, std::unique_ptr<User> user);
  std::shared_ptr<TableBudget> budget_;  // outlives the user
  std::unique_ptr<User> user_;           // none after a move
};

}  // namespace postern
