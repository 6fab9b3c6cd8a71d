// SHA-256 (FIPS 180-4) of whole messages. mbedTLS has it too, without the processor's instructions for it and, in wasm, without
// SIMD (docs/decisions/0017-sha256.md).
//
// No branch and no address depends on what is hashed. That may be a secret, and a state may stand for one (HMAC's): copies of
// either are zeroized, but for what the compiler keeps in registers and spills from them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace postern::sha256 {

inline constexpr std::size_t block_bytes = 64;

using State = std::array<std::uint32_t, 8>;
using Digest = std::array<std::uint8_t, 32>;

// Section 5.3.3: the state before the first block.
inline constexpr State initial{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// Section 6.2.2 for `count` blocks of 64 bytes each, at any address.
using Compress = void(State& state, const std::uint8_t* blocks, std::size_t count);

// All that this machine can run, the quickest first.
struct Implementation {
  std::string_view name;
  Compress* compress;
};
[[nodiscard]] std::span<const Implementation> implementations();

// By the quickest.
void compress(State& state, const std::uint8_t* blocks, std::size_t count);

// The digest of a message of which `state` has taken the first `bytes_before`, a multiple of 64, and `rest` is what follows.
[[nodiscard]] Digest finish(State state, std::uint64_t bytes_before, std::string_view rest, Compress* with = compress);

[[nodiscard]] inline Digest digest(std::string_view message) { return finish(initial, 0, message); }

}  // namespace postern::sha256
