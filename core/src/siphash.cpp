#include "siphash.h"

#include <bit>
#include <cstddef>

namespace postern {
namespace {

// A loop over bytes that compilers turn into one load.
std::uint64_t little_endian(const char* bytes, std::size_t size) {
  std::uint64_t word = 0;
  for (std::size_t i = 0; i < size; ++i) word |= std::uint64_t{static_cast<unsigned char>(bytes[i])} << (8 * i);
  return word;
}

struct State {
  std::uint64_t v0, v1, v2, v3;

  void round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
  std::uint64_t give() {
    for (int i = 0; i < 4; ++i) round();
    return v0 ^ v1 ^ v2 ^ v3;
  }
};

}  // namespace

// Section 2 of the paper; the second half of the output, and the constants 0xee and 0xdd, are of its 128-bit variant.
SipHash128 siphash_2_4_128(const SipHashKey& key, std::string_view text) {
  const auto* const key_bytes = reinterpret_cast<const char*>(key.data());
  const std::uint64_t k0 = little_endian(key_bytes, 8);
  const std::uint64_t k1 = little_endian(key_bytes + 8, 8);
  State state{k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261, k1 ^ 0x7465646279746573};

  const std::size_t whole = text.size() / 8 * 8;
  for (std::size_t at = 0; at < whole; at += 8) state.take(little_endian(text.data() + at, 8));
  state.take(little_endian(text.data() + whole, text.size() - whole) | std::uint64_t{text.size()} << 56U);

  SipHash128 out;
  state.v2 ^= 0xee;
  out.low = state.give();
  state.v1 ^= 0xdd;
  out.high = state.give();
  return out;
}

}  // namespace postern
