// Numbers of 256 or 384 bits as limbs: what the fields and the inversion share. The C subset, so that a C tool can prove what is
// compiled. Who includes this says how many bits, and everything here is for that many.
//
// Two shapes, one source. Where the machine multiplies 64 by 64 to 128 bits: 5 limbs of 52 bits, 7 of 56 for 384. Elsewhere
// (wasm, 32-bit): 9 limbs of 29 bits, 14 of 28 for 384, whose products fit 64 bits. Limbs are signed and have room above their
// bits, so that a difference of two numbers needs no carry before it is multiplied. (4 limbs of 64 bits have no room: g++ makes
// code twice as slow of their carries.)
#pragma once

#include <stdint.h>

#if !defined(POSTERN_FIELD_BITS) || (POSTERN_FIELD_BITS != 256 && POSTERN_FIELD_BITS != 384)
#error "POSTERN_FIELD_BITS is 256 or 384"
#endif

#ifndef POSTERN_LIMB_BITS
#if defined(__SIZEOF_INT128__) && !defined(__wasm__)
#define POSTERN_LIMB_BITS (POSTERN_FIELD_BITS == 256 ? 52 : 56)
#else
#define POSTERN_LIMB_BITS (POSTERN_FIELD_BITS == 256 ? 29 : 28)
#endif
#endif

#ifdef __cplusplus
// The size is part of every name, so that code for different ones is never linked to each other.
#if POSTERN_FIELD_BITS == 256
#define POSTERN_FIELD_NAMESPACE field256
#else
#define POSTERN_FIELD_NAMESPACE field384
#endif
namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
#endif

#if POSTERN_LIMB_BITS > 32
typedef int64_t limb;
typedef uint64_t ulimb;
__extension__ typedef __int128 wide;
#else
typedef int32_t limb;
typedef uint32_t ulimb;
typedef int64_t wide;
#endif

// The inversion's numbers have a bit more, and a sign.
#if POSTERN_FIELD_BITS == 256
enum { field_bits = 256, field_words = 4 };
#if POSTERN_LIMB_BITS == 52
enum { limb_bits = 52, limb_count = 5, inverse_bits = 62, inverse_count = 5 };
#elif POSTERN_LIMB_BITS == 29
enum { limb_bits = 29, limb_count = 9, inverse_bits = 30, inverse_count = 9 };
#else
#error "POSTERN_LIMB_BITS is 29 or 52 for 256 bits"
#endif
#else
enum { field_bits = 384, field_words = 6 };
#if POSTERN_LIMB_BITS == 56
enum { limb_bits = 56, limb_count = 7, inverse_bits = 62, inverse_count = 7 };
#elif POSTERN_LIMB_BITS == 28
enum { limb_bits = 28, limb_count = 14, inverse_bits = 30, inverse_count = 13 };
#else
#error "POSTERN_LIMB_BITS is 28 or 56 for 384 bits"
#endif
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

// The number in words (lowest first) that starts at bit `position`, `bits` long, at most 62. Bits above the words are 0.
LIMBS_INLINE uint64_t words_slice(const uint64_t words[field_words], int position, int bits) {
  const int word = position >> 6;
  const int shift = position & 63;
  uint64_t slice = 0;
  if (word < field_words) slice = words[word] >> shift;
  if (word < field_words - 1 && shift != 0) slice |= words[word + 1] << (64 - shift);
  return slice & ((((uint64_t)1) << bits) - 1);
}

LIMBS_INLINE void limbs_from_words(limb out[limb_count], const uint64_t words[field_words]) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) out[i] = (limb)words_slice(words, limb_bits * i, limb_bits);
}

// For limbs in [0, 2^limb_bits), the last one short enough that the number has field_bits.
LIMBS_INLINE void words_from_limbs(uint64_t words[field_words], const limb in[limb_count]) {
  for (int i = 0; i < field_words; i++) words[i] = 0;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) {
    const int word = limb_bits * i >> 6;
    const int shift = limb_bits * i & 63;
    words[word] |= (uint64_t)in[i] << shift;
    if (word < field_words - 1 && shift + limb_bits > 64) words[word + 1] |= (uint64_t)in[i] >> (64 - shift);
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
}  // inline namespace
}  // namespace postern
#endif
