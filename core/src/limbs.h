// 256-bit numbers as limbs: what the fields and the inversion share. The C subset, so that a C tool can prove what is compiled.
//
// Two shapes, one source. Where the machine multiplies 64 by 64 to 128 bits: 5 limbs of 52 bits. Elsewhere (wasm, 32-bit): 9
// limbs of 29 bits, whose products fit 64 bits. Limbs are signed and have room above their bits, so that a difference of two
// numbers needs no carry before it is multiplied. (4 limbs of 64 bits have no room: g++ makes code twice as slow of their
// carries.)
#pragma once

#include <stdint.h>

#ifndef POSTERN_LIMB_BITS
#if defined(__SIZEOF_INT128__) && !defined(__wasm__)
#define POSTERN_LIMB_BITS 52
#else
#define POSTERN_LIMB_BITS 29
#endif
#endif

#ifdef __cplusplus
namespace postern {
#endif

#if POSTERN_LIMB_BITS == 52
typedef int64_t limb;
typedef uint64_t ulimb;
__extension__ typedef __int128 wide;
enum { limb_bits = 52, limb_count = 5, inverse_bits = 62, inverse_count = 5 };
#elif POSTERN_LIMB_BITS == 29
typedef int32_t limb;
typedef uint32_t ulimb;
typedef int64_t wide;
enum { limb_bits = 29, limb_count = 9, inverse_bits = 30, inverse_count = 9 };
#else
#error "POSTERN_LIMB_BITS is 29 or 52"
#endif

// Loops over limbs have constant bounds; only unrolled do their arrays become registers and their zero terms vanish.
#ifdef POSTERN_PROOF
#define LIMBS_UNROLL
#define LIMBS_INLINE static inline
#define LIMBS_CALL static
#else
#ifdef __clang__
#define LIMBS_UNROLL _Pragma("clang loop unroll(full)")
#else
#define LIMBS_UNROLL _Pragma("GCC unroll 32")
#endif
#define LIMBS_INLINE static inline __attribute__((always_inline))
// A multiplication is some 200 instructions: inlined wherever it is used it would only fill the instruction cache.
#define LIMBS_CALL static __attribute__((noinline))
#endif

#ifdef __cplusplus
#define LIMBS_CONSTANT static constexpr
#else
#define LIMBS_CONSTANT static const
#endif

#define LIMB_MASK ((((limb)1) << limb_bits) - 1)

// The number in four words (lowest first) that starts at bit `position`, `bits` long, at most 62. Bits above the words are 0.
LIMBS_INLINE uint64_t words_slice(const uint64_t words[4], int position, int bits) {
  const int word = position >> 6;
  const int shift = position & 63;
  uint64_t slice = 0;
  if (word < 4) slice = words[word] >> shift;
  if (word < 3 && shift != 0) slice |= words[word + 1] << (64 - shift);
  return slice & ((((uint64_t)1) << bits) - 1);
}

LIMBS_INLINE void limbs_from_words(limb out[limb_count], const uint64_t words[4]) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) out[i] = (limb)words_slice(words, limb_bits * i, limb_bits);
}

// For limbs in [0, 2^limb_bits), the last one short enough that the number has 256 bits.
LIMBS_INLINE void words_from_limbs(uint64_t words[4], const limb in[limb_count]) {
  for (int i = 0; i < 4; i++) words[i] = 0;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) {
    const int word = limb_bits * i >> 6;
    const int shift = limb_bits * i & 63;
    words[word] |= (uint64_t)in[i] << shift;
    if (word < 3 && shift + limb_bits > 64) words[word + 1] |= (uint64_t)in[i] >> (64 - shift);
  }
}

// Carries from the lowest limb to the highest, which keeps the sign: the others end in [0, 2^limb_bits).
LIMBS_INLINE void limbs_carry(limb v[limb_count]) {
  limb carry = 0;
  for (int i = 0; i < limb_count - 1; i++) {
    const limb sum = v[i] + carry;
    v[i] = sum & LIMB_MASK;
    carry = sum >> limb_bits;
  }
  v[limb_count - 1] += carry;
}

#ifdef __cplusplus
}  // namespace postern
#endif
