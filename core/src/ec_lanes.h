// Two of the field's numbers side by side, for a sum of many points that is made as two sums at once: the operations of
// ec_field.h on each lane of a vector. The C subset.
//
// For limbs of 29 bits, since wasm multiplies two pairs of 32-bit lanes at once (extmul); V8 first spreads both operands on x64,
// so that an addition of points takes three quarters of the time, not half of it. With other limbs there is one lane and none of
// this.
#pragma once

#include "ec_field.h"

#if POSTERN_LIMB_BITS == 29
#ifdef __cplusplus
namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
#endif

enum { ec_lanes = 2 };

#ifdef POSTERN_PROOF
// One lane, as a number.
typedef limb lanes_limb;
typedef wide lanes_wide;
typedef wide lanes_word;
enum { lanes_mask = (1 << limb_bits) - 1, lanes_first = 0, lanes_next = 0 };
#define lanes_all(word) ((wide)(word))
#define LANES_PRODUCT(a, b) ((wide)(a) * (b))
#define LANES_NARROW(w) ((limb)(w))
#else
// 16 bytes, what a wasm vector has. Of four limbs the first two are lanes; the others are 0 or like them.
typedef limb lanes_limb __attribute__((vector_size(16)));
typedef uint64_t lanes_wide __attribute__((vector_size(16)));
typedef int64_t lanes_signed __attribute__((vector_size(16)));
typedef uint64_t lanes_word;
#define LANES_WIDEN(a) __builtin_convertvector(__builtin_shufflevector(a, a, 0, 1), lanes_signed)
#define LANES_PRODUCT(a, b) ((lanes_wide)(LANES_WIDEN(a) * LANES_WIDEN(b)))
#define LANES_NARROW(w) __builtin_shufflevector((lanes_limb)(w), (lanes_limb)(w), 0, 2, 0, 2)  // the low halves
// x64 shifts 64-bit lanes as unsigned numbers only. So a column is kept 2^63 above what it means: the first one begins there, and
// each later one with what is then missing in the carry into it. The last carry has 2^(63 - limb_bits) too much, which
// LANES_NARROW cuts off.
//
// Read from memory, since V8 (of Node 24) makes a constant anew wherever it is used: a square would take a quarter longer.
static const volatile lanes_word lanes_mask = LIMB_MASK;
static const volatile lanes_word lanes_first = ((lanes_word)1) << 63;
static const volatile lanes_word lanes_next = (((lanes_word)1) << 63) - (((lanes_word)1) << (63 - limb_bits));
LIMBS_INLINE lanes_wide lanes_pair(lanes_word first, lanes_word second) {
  const lanes_wide out = {first, second};
  return out;
}
LIMBS_INLINE lanes_wide lanes_all(lanes_word word) { return lanes_pair(word, word); }
#endif

typedef struct {
  lanes_limb v[limb_count];
} ec_lanes_fe;

// The columns of a product to the product / R, as ec_column does it.
LIMBS_INLINE void ec_lanes_reduce(ec_lanes_fe* r, lanes_wide columns[2 * limb_count - 1]) {
  const lanes_wide mask = lanes_all(lanes_mask);
  LIMBS_UNROLL
  for (int k = 0; k < 2 * limb_count - 1; k++) {
    const lanes_wide low = columns[k] & mask;
    const lanes_wide carry = columns[k] >> (int)limb_bits;
    if (k < limb_count) {
      // `low` is the quotient limb too: times the lowest limb of p, -1, it takes `low` off, which the shift does.
      LIMBS_UNROLL
      for (int j = 1; j < limb_count; j++) {
        // By its sign, or no shift is made of it.
        if (ec_p_sparse[j] > 0) columns[k + j] += low * (lanes_word)ec_p_sparse[j];
        if (ec_p_sparse[j] < 0) columns[k + j] -= low * (lanes_word)-ec_p_sparse[j];
      }
    } else {
      r->v[k - limb_count] = LANES_NARROW(low);
    }
    if (k < 2 * limb_count - 2) {
      columns[k + 1] += carry;
    } else {
      r->v[limb_count - 1] = LANES_NARROW(carry);
    }
  }
}

// r = a b / R. Both tight, carried or the difference of two such.
//
// a_i b_j + a_j b_i is (a_i - a_j) (b_j - b_i) + a_i b_i + a_j b_j: one multiplication instead of two (Karatsuba), where the sums
// of all a_i b_i of a column are there already. 45 multiplications instead of 81.
LIMBS_CALL void ec_lanes_mul(ec_lanes_fe* r, const ec_lanes_fe* a, const ec_lanes_fe* b) {
  lanes_wide columns[2 * limb_count - 1];
  lanes_wide own[limb_count];
  const lanes_wide next = lanes_all(lanes_next);
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) own[i] = LANES_PRODUCT(a->v[i], b->v[i]);
  columns[0] = own[0] + lanes_all(lanes_first);
  columns[1] = own[0] + next + own[1];
  LIMBS_UNROLL
  for (int k = 2; k < limb_count; k++) columns[k] = columns[k - 1] + own[k];
  columns[2 * limb_count - 2] = own[limb_count - 1] + next;
  LIMBS_UNROLL
  for (int k = 2 * limb_count - 3; k >= limb_count; k--) columns[k] = columns[k + 1] + own[k - limb_count + 1];
  LIMBS_UNROLL
  for (int k = 1; k < 2 * limb_count - 2; k++) {
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i > i && k - i < limb_count) columns[k] += LANES_PRODUCT(a->v[i] - a->v[k - i], b->v[k - i] - b->v[i]);
    }
  }
  ec_lanes_reduce(r, columns);
}

// r = a^2 / R. Tight, carried or the difference of two such.
LIMBS_CALL void ec_lanes_square(ec_lanes_fe* r, const ec_lanes_fe* a) {
  lanes_wide columns[2 * limb_count - 1];
  const lanes_wide next = lanes_all(lanes_next);
  LIMBS_UNROLL
  for (int k = 0; k < 2 * limb_count - 1; k++) {
    columns[k] = k == 0 ? lanes_all(lanes_first) : next;
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i > i && k - i < limb_count) columns[k] += LANES_PRODUCT(a->v[i], 2 * a->v[k - i]);
      if (k - i == i) columns[k] += LANES_PRODUCT(a->v[i], a->v[i]);
    }
  }
  ec_lanes_reduce(r, columns);
}

// r = (a b - c d) / R, carried. As for ec_lanes_mul.
LIMBS_CALL void ec_lanes_mul_sub(ec_lanes_fe* r, const ec_lanes_fe* a, const ec_lanes_fe* b, const ec_lanes_fe* c,
                                 const ec_lanes_fe* d);

#define EC_LIMB lanes_limb
#define ec_fe ec_lanes_fe
#define ec_affine ec_lanes_affine
#define ec_jacobian ec_lanes_jacobian
#define ec_mul ec_lanes_mul
#define ec_square ec_lanes_square
#define ec_mul_sub ec_lanes_mul_sub
#define ec_sub ec_lanes_sub
#define ec_fold ec_lanes_fold
#define ec_carry ec_lanes_carry
#define ec_add_affine ec_lanes_add_affine
#include "ec_forms.h"
#undef EC_LIMB
#undef ec_fe
#undef ec_affine
#undef ec_jacobian
#undef ec_mul
#undef ec_square
#undef ec_mul_sub
#undef ec_sub
#undef ec_fold
#undef ec_carry
#undef ec_add_affine

// The columns of two such products have no room in one reduction.
LIMBS_CALL void ec_lanes_mul_sub(ec_lanes_fe* r, const ec_lanes_fe* a, const ec_lanes_fe* b, const ec_lanes_fe* c,
                                 const ec_lanes_fe* d) {
  ec_lanes_fe first, second;
  ec_lanes_mul(&first, a, b);
  ec_lanes_mul(&second, c, d);
  ec_lanes_sub(r, &first, &second);
  ec_lanes_carry(r);
}

#ifndef POSTERN_PROOF
// As limbs_from_words, a number for each lane.
LIMBS_INLINE void ec_lanes_from_words(ec_lanes_fe* r, const uint64_t first[field_words], const uint64_t second[field_words]) {
  const lanes_wide mask = lanes_all(lanes_mask);
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) {
    const int word = limb_bits * i >> 6;
    const int shift = limb_bits * i & 63;
    lanes_wide slice = lanes_pair(first[word], second[word]) >> shift;
    if (word < field_words - 1 && shift + limb_bits > 64) {
      slice |= lanes_pair(first[word + 1], second[word + 1]) << (64 - shift);
    }
    r->v[i] = LANES_NARROW(slice & mask);
  }
}

// To the negative, in the lanes whose argument is not 0.
LIMBS_INLINE void ec_lanes_negate_where(ec_lanes_fe* r, int first, int second) {
  const lanes_limb ones = {first != 0 ? -1 : 0, second != 0 ? -1 : 0};
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = (r->v[i] ^ ones) - ones;
}

LIMBS_INLINE void ec_lanes_constant(ec_lanes_fe* r, const limb value[limb_count]) {
  for (int i = 0; i < limb_count; i++) {
    const lanes_limb both = {value[i], value[i]};
    r->v[i] = both;
  }
}

LIMBS_INLINE void ec_lanes_get(ec_fe* r, const ec_lanes_fe* a, int lane) {
  for (int i = 0; i < limb_count; i++) r->v[i] = lane == 0 ? a->v[i][0] : a->v[i][1];
}
#endif

#ifdef __cplusplus
}  // inline namespace
}  // namespace postern
#endif
#endif
