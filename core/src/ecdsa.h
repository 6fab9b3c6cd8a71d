// A cached P-256 or P-384 key, a hash and a signature to an answer: ECDSA verification, FIPS 186-5 6.4.2 (SEC 1, 4.1.4), for
// ES256 and ES384.
//
// Verification only, of public data: nothing here is constant-time. A key that is used often gets a table of its multiples,
// which replaces all doublings (table_budget.h). The answer never depends on which tables there are. `undecided` is for mbedTLS:
// additions of equal or opposite points, which are left out here, and which only somebody who knows the key's private half can
// bring about.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "table_budget.h"

namespace postern {

enum class EcdsaAnswer : std::uint8_t { accepted, refused, undecided };

class EcdsaKey : public TableUser {
 public:
  // `hash` is as long as a coordinate: SHA-256 or SHA-384. `signature` is r and s, big-endian (RFC 7518 3.4). Refuses any other
  // lengths, r or s outside [1, n-1]. What is accepted counts as a use.
  [[nodiscard]] virtual EcdsaAnswer verify(std::span<const std::uint8_t> hash, std::string_view signature) = 0;

 protected:
  using TableUser::TableUser;
};

// Null if x and y (32 or 48 bytes each, big-endian) are not the coordinates of a point on the curve (SEC 1, 3.2.2.1; the cofactor
// is 1, so every point but infinity, which has no coordinates, is of order n). The budget must outlive the key.
[[nodiscard]] std::unique_ptr<EcdsaKey> make_p256_key(TableBudget& budget, std::string_view x, std::string_view y);
[[nodiscard]] std::unique_ptr<EcdsaKey> make_p384_key(TableBudget& budget, std::string_view x, std::string_view y);

// How often a key must be used to earn its tables, and what they weigh. P-256: a small table costs what it saves in 6 uses (in
// wasm 0.4 ms against 60 us a use), a large one instead of it in about 200 (1.2 ms against 6 us), natively in 150.
struct EcdsaTableOffers {
  TableOffer small;
  TableOffer large;
};
inline constexpr EcdsaTableOffers p256_tables{{std::size_t{32} * 1024, 4}, {std::size_t{256} * 1024, 128}};
inline constexpr EcdsaTableOffers p384_tables{{std::size_t{72} * 1024, 4}, {std::size_t{192} * 1024, 128}};

}  // namespace postern
