// SipHash-2-4 with 128 bits of output: a keyed hash of short text (Aumasson and Bernstein, "SipHash: a fast short-input PRF").
//
// Whoever does not know the key can neither compute a hash nor make two texts that share one; so it names entries of a
// table that an attacker fills, at a fraction of what SHA-256 costs (docs/decisions/0011-token-cache.md).
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace postern {

using SipHashKey = std::array<std::uint8_t, 16>;

struct SipHash128 {
  std::uint64_t low = 0;   // the first eight bytes of the output, little-endian
  std::uint64_t high = 0;  // the last eight

  friend bool operator==(const SipHash128&, const SipHash128&) = default;
};

[[nodiscard]] SipHash128 siphash_2_4_128(const SipHashKey& key, std::string_view text);

}  // namespace postern
