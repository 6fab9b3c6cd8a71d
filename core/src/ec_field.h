// Arithmetic of P-256 or P-384, whichever POSTERN_FIELD_BITS says: modulo p (coordinates), modulo n (scalars), and the point
// formulas, which are those of any curve with a = -3. The C subset.
//
// p = 2^256 - 2^224 + 2^192 + 2^96 - 1 and 2^384 - 2^128 - 2^96 + 2^32 - 1 (SP 800-186, 3.2.1.3 and 3.2.1.4). Numbers modulo p
// are kept as x R mod p, R = 2^(limb_bits limb_count) (Montgomery, "Modular multiplication without trial division", Math. Comp.
// 44, 1985). Where p is -1 modulo 2^limb_bits, the multiple of p that clears a limb is that limb itself; else (P-384 in limbs of
// 56 bits) it is the limb times 2^32 + 1. As p is a sum of few powers of two, most products of the reduction are with zero.
//
// A number is in one of three forms; tests/proof shows that, where the forms are kept, nothing overflows and each function keeps
// them.
//   tight     what a multiplication gives: lower limbs in [0, 2^limb_bits), value between -p and 2p
//   carried   what ec_carry gives: lower limbs a few units wider, value in about (-p/8, 9p/8)
//   loose     a sum or difference of two of those, as far as the function that takes it says
// Negative numbers are numbers too: >> is arithmetic and & is on two's complement (C++20; every C compiler used).
#pragma once

#include "limbs.h"
#if POSTERN_FIELD_BITS == 256
#include "p256_constants.h"
#else
#include "p384_constants.h"
#endif

#ifdef __cplusplus
namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
#endif

typedef struct {
  limb v[limb_count];
} ec_fe;

// Bits of 2^field_bits in the top limb.
enum { ec_top_bits = field_bits - limb_bits * (limb_count - 1) };

// One column of a product scanning multiplication with Montgomery's reduction: `column` is what the products give, `carry` what
// the column before left. Adds what the quotient limbs so far give, then makes the next quotient limb (low columns) or the next
// limb of the result (high columns), and the next carry.
//
// Only here does a column meet the one before, so that the products of several columns are computed at once. With one sum that
// runs through all products, wasm takes a fifth longer.
LIMBS_INLINE wide ec_column(wide carry, wide column, limb quotient[limb_count], limb out[limb_count], int k) {
  carry += column;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) {
    if (k - i > 0 && k - i < limb_count) carry += (wide)quotient[i] * ec_p_sparse[k - i];
  }
  const limb low = (limb)(carry & LIMB_MASK);
  if (k >= limb_count) {
    out[k - limb_count] = low;
  } else if (ec_p_factor == 1) {
    quotient[k] = low;  // times the lowest limb of p, -1: takes `low` off, which the shift does
  } else {
    quotient[k] = (limb)(((ulimb)low * ec_p_factor) & (ulimb)LIMB_MASK);
    carry += (wide)quotient[k] * ec_p_sparse[0];
  }
  return carry >> limb_bits;
}

// r = a b / R. Both tight, carried or the difference of two such; one of them may be the sum of two, or twice one, instead.
LIMBS_CALL void ec_mul(ec_fe* r, const ec_fe* a, const ec_fe* b) {
  wide carry = 0;
  limb quotient[limb_count];
  limb out[limb_count];
  LIMBS_UNROLL
  for (int k = 0; k < 2 * limb_count - 1; k++) {
    wide column = 0;
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i >= 0 && k - i < limb_count) column += (wide)a->v[i] * b->v[k - i];
    }
    carry = ec_column(carry, column, quotient, out, k);
  }
  out[limb_count - 1] = (limb)carry;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = out[i];
}

// r = a^2 / R. Tight, carried or the difference of two such.
LIMBS_CALL void ec_square(ec_fe* r, const ec_fe* a) {
  wide carry = 0;
  limb quotient[limb_count];
  limb out[limb_count];
  limb twice[limb_count];
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) twice[i] = 2 * a->v[i];
  LIMBS_UNROLL
  for (int k = 0; k < 2 * limb_count - 1; k++) {
    wide column = 0;
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i > i && k - i < limb_count) column += (wide)a->v[i] * twice[k - i];
      if (k - i == i) column += (wide)a->v[i] * a->v[i];
    }
    carry = ec_column(carry, column, quotient, out, k);
  }
  out[limb_count - 1] = (limb)carry;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = out[i];
}

// r = (a b - c d) / R with one reduction. a, b, c as for ec_square; d may be twice a tight one.
LIMBS_CALL void ec_mul_sub(ec_fe* r, const ec_fe* a, const ec_fe* b, const ec_fe* c, const ec_fe* d) {
  wide carry = 0;
  limb quotient[limb_count];
  limb out[limb_count];
  LIMBS_UNROLL
  for (int k = 0; k < 2 * limb_count - 1; k++) {
    wide column = 0;
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i >= 0 && k - i < limb_count) {
        column += (wide)a->v[i] * b->v[k - i];
        column -= (wide)c->v[i] * d->v[k - i];
      }
    }
    carry = ec_column(carry, column, quotient, out, k);
  }
  out[limb_count - 1] = (limb)carry;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = out[i];
}

// No carry: the result is loose.
LIMBS_INLINE void ec_add(ec_fe* r, const ec_fe* a, const ec_fe* b) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = a->v[i] + b->v[i];
}

LIMBS_INLINE void ec_negate(ec_fe* r, const ec_fe* a) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = -a->v[i];
}

#define EC_LIMB limb
#include "ec_forms.h"
#undef EC_LIMB

// The one representative in [0, p), still times R. For values in (-64 p, 64 p).
LIMBS_CALL void ec_canonical(ec_fe* r, const ec_fe* a) {
  limb v[limb_count];
  for (int i = 0; i < limb_count; i++) v[i] = a->v[i];
  limbs_carry(v);
  ec_fold(v);
  limbs_carry(v);
  // Now in (-p, 2p).
  if (v[limb_count - 1] < 0) {
    for (int i = 0; i < limb_count; i++) v[i] += ec_p_sparse[i];
    limbs_carry(v);
  }
  limb less_p[limb_count];
  for (int i = 0; i < limb_count; i++) less_p[i] = v[i] - ec_p_sparse[i];
  limbs_carry(less_p);
  const int above = less_p[limb_count - 1] >= 0;
  for (int i = 0; i < limb_count; i++) r->v[i] = above ? less_p[i] : v[i];
}

LIMBS_INLINE int ec_is_zero(const ec_fe* a) {
  ec_fe canonical;
  ec_canonical(&canonical, a);
  limb bits = 0;
  for (int i = 0; i < limb_count; i++) bits |= canonical.v[i];
  return bits == 0;
}

LIMBS_INLINE void ec_constant(ec_fe* r, const limb value[limb_count]) {
  for (int i = 0; i < limb_count; i++) r->v[i] = value[i];
}

// A number below 2^field_bits to its form times R.
LIMBS_CALL void ec_from_words(ec_fe* r, const uint64_t words[field_words]) {
  ec_fe plain;
  ec_fe rr;
  limbs_from_words(plain.v, words);
  ec_constant(&rr, ec_p_rr);
  ec_mul(r, &plain, &rr);
}

// And back, to [0, p).
LIMBS_CALL void ec_to_words(uint64_t words[field_words], const ec_fe* a) {
  ec_fe one = {{1}};
  ec_fe plain;
  ec_mul(&plain, a, &one);
  ec_canonical(&plain, &plain);
  words_from_limbs(words, plain.v);
}

// ------------------------------------------------------------------------------------------------------------ modulo n

// r = a b / R modulo n, in [0, 2n). a, b below 2^field_bits, one of them below 2n; limbs in [0, 2^limb_bits).
LIMBS_INLINE void ec_scalar_product(limb r[limb_count], const limb a[limb_count], const limb b[limb_count]) {
  wide sum = 0;
  limb quotient[limb_count];
  limb out[limb_count];
  LIMBS_UNROLL
  for (int k = 0; k < 2 * limb_count - 1; k++) {
    wide column = 0;
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i >= 0 && k - i < limb_count) column += (wide)a[i] * b[k - i];
    }
    sum += column;
    LIMBS_UNROLL
    for (int i = 0; i < limb_count; i++) {
      if (k - i > 0 && k - i < limb_count) sum += (wide)quotient[i] * ec_n_limbs[k - i];
    }
    if (k < limb_count) {
      quotient[k] = (limb)(((ulimb)sum * ec_n_factor) & (ulimb)LIMB_MASK);
      sum += (wide)quotient[k] * ec_n_limbs[0];
    } else {
      out[k - limb_count] = (limb)(sum & LIMB_MASK);
    }
    sum >>= limb_bits;
  }
  out[limb_count - 1] = (limb)sum;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r[i] = out[i];
}

// [0, 2n) to [0, n).
LIMBS_INLINE void ec_scalar_canonical(limb v[limb_count]) {
  limb less_n[limb_count];
  for (int i = 0; i < limb_count; i++) less_n[i] = v[i] - ec_n_limbs[i];
  limbs_carry(less_n);
  if (less_n[limb_count - 1] >= 0) {
    for (int i = 0; i < limb_count; i++) v[i] = less_n[i];
  }
}

// r = a b / R modulo n, in [0, n), for a and b as above.
LIMBS_CALL void ec_scalar_mul(limb r[limb_count], const limb a[limb_count], const limb b[limb_count]) {
  ec_scalar_product(r, a, b);
  ec_scalar_canonical(r);
}

// -------------------------------------------------------------------------------------------------------------- points

// out = a + b in affine coordinates, SEC 1 2.2.1, with 1/(x_b - x_a) given. Coordinates canonical or carried, y also the negative
// of that; the result is carried. `out` is neither a nor b.
LIMBS_CALL void ec_add_two(ec_affine* out, const ec_affine* a, const ec_affine* b, const ec_fe* dx_inverse) {
  ec_fe slope, t;
  ec_sub(&t, &b->y, &a->y);
  ec_mul(&slope, &t, dx_inverse);
  ec_square(&t, &slope);
  ec_sub(&t, &t, &a->x);
  ec_sub(&out->x, &t, &b->x);
  ec_carry(&out->x);
  ec_sub(&t, &a->x, &out->x);
  ec_mul(&t, &slope, &t);
  ec_sub(&out->y, &t, &a->y);
  ec_carry(&out->y);
}

// point += point. EFD "dbl-2001-b" for a = -3 (Bernstein 2001; 3M + 5S) with products in the place of two squares, so that
// doubled numbers need no carry: 2 gamma = 2 Y1 Y1, Z3 = 2 Y1 Z1, 8 gamma^2 = 2 gamma 4 gamma. No exceptions: no point of
// either curve has order 2.
LIMBS_CALL void ec_double(ec_jacobian* point) {
  ec_fe delta, gamma_2, beta_4, alpha, t;
  ec_square(&delta, &point->z);
  ec_add(&t, &point->y, &point->y);
  ec_mul(&gamma_2, &t, &point->y);
  ec_mul(&point->z, &t, &point->z);
  // beta = X1 gamma
  ec_mul(&beta_4, &point->x, &gamma_2);
  ec_add(&beta_4, &beta_4, &beta_4);
  ec_carry(&beta_4);
  // alpha = 3 (X1 - delta) (X1 + delta)
  ec_sub(&t, &point->x, &delta);
  ec_add(&alpha, &point->x, &delta);
  ec_mul(&t, &alpha, &t);
  ec_add(&alpha, &t, &t);
  ec_add(&alpha, &alpha, &t);
  ec_carry(&alpha);
  // X3 = alpha^2 - 8 beta
  ec_square(&t, &alpha);
  ec_sub(&t, &t, &beta_4);
  ec_sub(&point->x, &t, &beta_4);
  ec_carry(&point->x);
  // Y3 = alpha (4 beta - X3) - 8 gamma^2
  ec_sub(&t, &beta_4, &point->x);
  ec_add(&delta, &gamma_2, &gamma_2);
  ec_mul_sub(&point->y, &alpha, &t, &gamma_2, &delta);
}

#ifdef __cplusplus
}  // inline namespace
}  // namespace postern
#endif
