// Ed25519 verification, RFC 8032 5.1: an encoded point to a key, and a key, a signature and a hash to yes or no.
//
// For public data only: time depends on key and signature. Nothing here signs. Which of the RFC's two equations is
// checked, and what follows, is in docs/decisions/0006-ed25519.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ed25519_field.h"
#include "postern/result.h"

namespace postern::ed25519 {
#if POSTERN_ED25519_LIMBS == 51
inline namespace limbs51 {
#else
inline namespace limbs29 {
#endif

inline constexpr std::size_t key_bytes = 32;
inline constexpr std::size_t signature_bytes = 64;

using Hash = std::array<std::uint8_t, 64>;

// Why a key was refused; holds nothing of the key.
enum class Fault : std::uint8_t {
  size,           // not 32 bytes
  not_canonical,  // y >= p, or x = 0 with the sign bit set (RFC 8032 5.1.3, steps 1 and 4)
  not_on_curve,
  small_order,  // order 1, 2, 4 or 8: signatures under such a key prove nothing
};

// The more multiples of a key are at hand, the faster it verifies. Bytes for limbs of 51 and 29 bits.
enum class TableSize : std::uint8_t {
  small,  // 64 multiples, 7.5 or 6.8 KB: every key has these from its import
  large,  // 352 multiples, 41 or 37 KB: a quarter of the time less
};

// A multiple of a point (x, y) as additions want it (Hisil, Wong, Carter, Dawson, "Twisted Edwards Curves Revisited",
// Asiacrypt 2008, 3.1).
struct Multiple {
  fe sum;         // y + x
  fe difference;  // y - x
  fe product;     // 2dxy
};

// Scalars are under L < 2^253, cut into digits of `window_bits`, a row of the table for each `digits_per_row` of them.
inline constexpr unsigned scalar_bits = 253;
constexpr unsigned digits_of(unsigned window_bits) { return scalar_bits / window_bits + 1; }
inline constexpr unsigned window_bits_min = 5;

struct TableShape {
  unsigned window_bits = window_bits_min;
  unsigned digits_per_row = 1;

  [[nodiscard]] constexpr unsigned rows() const { return (digits_of(window_bits) + digits_per_row - 1) / digits_per_row; }
  [[nodiscard]] constexpr std::size_t row_size() const { return std::size_t{1} << (window_bits - 1); }
  [[nodiscard]] constexpr std::size_t multiples() const { return rows() * row_size(); }
  // The highest power of two that a row's digits are multiplied by: as many doublings.
  [[nodiscard]] constexpr unsigned top() const { return window_bits * (digits_per_row - 1); }
};

// Multiples of one point P: row r holds 1 to 2^(window_bits - 1) times 2^(window_bits * digits_per_row * r) P.
struct Table {
  TableShape shape;
  std::vector<Multiple> multiples;
};

// A point of the curve that is not of small order. Movable and copyable; holds only what is public.
class PublicKey {
 public:
  // Refuses every encoding but the one of each point (RFC 8032 5.1.3; OpenSSL takes y >= p and x = 0 with a sign), and
  // points of order 1, 2, 4 and 8 (which the RFC leaves open).
  [[nodiscard]] static Result<PublicKey, Fault> import(std::string_view encoded);

  [[nodiscard]] std::string_view encoded() const { return {reinterpret_cast<const char*>(encoded_.data()), key_bytes}; }

  [[nodiscard]] TableSize table_size() const { return table_size_; }
  [[nodiscard]] std::size_t table_bytes() const { return table_.multiples.size() * sizeof(Multiple); }
  [[nodiscard]] static std::size_t table_bytes(TableSize size);
  // Larger or smaller. Costs about as much as two (small) or eight (large) verifications.
  void set_table_size(TableSize size);

  // True only if `signature` is R || S of 64 bytes, S < L, R is not of small order, and the encoding of SB - kA is R, byte for
  // byte, where k is `hash`, little-endian, modulo L. `hash` must be SHA-512(R || encoded() || message), RFC 8032 5.1.7.
  [[nodiscard]] bool verify(std::string_view signature, const Hash& hash) const;

 private:
  PublicKey() = default;
  std::array<std::uint8_t, key_bytes> encoded_{};
  fe x_negative_{};  // -A, affine, so that the tables hold what verifying adds
  fe y_{};
  TableSize table_size_ = TableSize::small;
  Table table_;
};

}  // inline namespace
}  // namespace postern::ed25519
