// Arithmetic of P-256: modulo p (coordinates), modulo n (scalars), and the two point formulas. The C subset.
//
// p = 2^256 - 2^224 + 2^192 + 2^96 - 1 (SP 800-186, 3.2.1.3). Numbers modulo p are kept as x R mod p, R = 2^(limb_bits
// limb_count) (Montgomery, "Modular multiplication without trial division", Math. Comp. 44, 1985). As p is -1 modulo 2^96, the
// multiple of p that clears a limb is that limb itself: the reduction multiplies by powers of two only.
//
// A number is in one of three forms; tests/proof shows that, where the forms are kept, nothing overflows and each function keeps
// them.
//   tight     what a multiplication gives: lower limbs in [0, 2^limb_bits), value between -p and 2p
//   carried   what p256_carry gives: lower limbs a few units wider, value in about (-p/8, 9p/8)
//   loose     a sum or difference of two of those, as far as the function that takes it says
// Negative numbers are numbers too: >> is arithmetic and & is on two's complement (C++20; every C compiler used).
#pragma once

#include "limbs.h"
#include "p256_constants.h"

#ifdef __cplusplus
namespace postern {
#endif

typedef struct {
  limb v[limb_count];
} p256_fe;

// Bits of 2^256 in the top limb.
enum { p256_top_bits = 256 - limb_bits * (limb_count - 1) };

// One column of a product scanning multiplication with Montgomery's reduction: `column` is what the products give, `carry` what
// the column before left. Adds what the quotient limbs so far give, then makes the next quotient limb (low columns) or the next
// limb of the result (high columns), and the next carry.
//
// Only here does a column meet the one before, so that the products of several columns are computed at once. With one sum that
// runs through all products, wasm takes a fifth longer.
LIMBS_INLINE wide p256_column(wide carry, wide column, limb quotient[limb_count], limb out[limb_count], int k) {
  carry += column;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) {
    if (k - i > 0 && k - i < limb_count) carry += (wide)quotient[i] * p256_p_sparse[k - i];
  }
  const limb low = (limb)(carry & LIMB_MASK);
  if (k < limb_count) {
    quotient[k] = low;  // times the lowest limb of p, -1: takes `low` off, which the shift does
  } else {
    out[k - limb_count] = low;
  }
  return carry >> limb_bits;
}

// r = a b / R. Both tight, carried or the difference of two such; one of them may be the sum of two, or twice one, instead.
LIMBS_CALL void p256_mul(p256_fe* r, const p256_fe* a, const p256_fe* b) {
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
    carry = p256_column(carry, column, quotient, out, k);
  }
  out[limb_count - 1] = (limb)carry;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = out[i];
}

// r = a^2 / R. Tight, carried or the difference of two such.
LIMBS_CALL void p256_square(p256_fe* r, const p256_fe* a) {
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
    carry = p256_column(carry, column, quotient, out, k);
  }
  out[limb_count - 1] = (limb)carry;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = out[i];
}

// r = (a b - c d) / R with one reduction. a, b, c as for p256_square; d may be twice a tight one.
LIMBS_CALL void p256_mul_sub(p256_fe* r, const p256_fe* a, const p256_fe* b, const p256_fe* c, const p256_fe* d) {
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
    carry = p256_column(carry, column, quotient, out, k);
  }
  out[limb_count - 1] = (limb)carry;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = out[i];
}

// No carry: the result is loose.
LIMBS_INLINE void p256_add(p256_fe* r, const p256_fe* a, const p256_fe* b) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = a->v[i] + b->v[i];
}

LIMBS_INLINE void p256_sub(p256_fe* r, const p256_fe* a, const p256_fe* b) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = a->v[i] - b->v[i];
}

LIMBS_INLINE void p256_negate(p256_fe* r, const p256_fe* a) {
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) r->v[i] = -a->v[i];
}

// Takes off the multiple of p that the bits from 2^256 up say: they go, and come back times 2^256 - p.
LIMBS_INLINE void p256_fold(limb v[limb_count]) {
  const limb multiple = v[limb_count - 1] >> p256_top_bits;
  v[limb_count - 1] &= (((limb)1) << p256_top_bits) - 1;
  LIMBS_UNROLL
  for (int i = 0; i < limb_count - 1; i++) v[i] -= multiple * p256_p_sparse[i];
  v[limb_count - 1] -= multiple * (p256_p_sparse[limb_count - 1] - (((limb)1) << p256_top_bits));
}

// Loose to carried. Each limb hands its excess to its neighbour, all at once: what arrives is not handed on.
LIMBS_INLINE void p256_carry(p256_fe* r) {
  limb v[limb_count];
  LIMBS_UNROLL
  for (int i = 0; i < limb_count; i++) v[i] = r->v[i];
  p256_fold(v);
  r->v[0] = v[0] & LIMB_MASK;
  LIMBS_UNROLL
  for (int i = 1; i < limb_count - 1; i++) r->v[i] = (v[i] & LIMB_MASK) + (v[i - 1] >> limb_bits);
  r->v[limb_count - 1] = v[limb_count - 1] + (v[limb_count - 2] >> limb_bits);
}

// The one representative in [0, p), still times R. For values in (-64 p, 64 p).
LIMBS_CALL void p256_canonical(p256_fe* r, const p256_fe* a) {
  limb v[limb_count];
  for (int i = 0; i < limb_count; i++) v[i] = a->v[i];
  limbs_carry(v);
  p256_fold(v);
  limbs_carry(v);
  // Now in (-p, 2p).
  if (v[limb_count - 1] < 0) {
    for (int i = 0; i < limb_count; i++) v[i] += p256_p_sparse[i];
    limbs_carry(v);
  }
  limb less_p[limb_count];
  for (int i = 0; i < limb_count; i++) less_p[i] = v[i] - p256_p_sparse[i];
  limbs_carry(less_p);
  const int above = less_p[limb_count - 1] >= 0;
  for (int i = 0; i < limb_count; i++) r->v[i] = above ? less_p[i] : v[i];
}

LIMBS_INLINE int p256_is_zero(const p256_fe* a) {
  p256_fe canonical;
  p256_canonical(&canonical, a);
  limb bits = 0;
  for (int i = 0; i < limb_count; i++) bits |= canonical.v[i];
  return bits == 0;
}

LIMBS_INLINE void p256_constant(p256_fe* r, const limb value[limb_count]) {
  for (int i = 0; i < limb_count; i++) r->v[i] = value[i];
}

// A number below 2^256 to its form times R.
LIMBS_CALL void p256_from_words(p256_fe* r, const uint64_t words[4]) {
  p256_fe plain;
  p256_fe rr;
  limbs_from_words(plain.v, words);
  p256_constant(&rr, p256_p_rr);
  p256_mul(r, &plain, &rr);
}

// And back, to [0, p).
LIMBS_CALL void p256_to_words(uint64_t words[4], const p256_fe* a) {
  p256_fe one = {{1}};
  p256_fe plain;
  p256_mul(&plain, a, &one);
  p256_canonical(&plain, &plain);
  words_from_limbs(words, plain.v);
}

// ------------------------------------------------------------------------------------------------------------ modulo n

// r = a b / R modulo n, in [0, 2n). a, b below 2^256, one of them below 2n; limbs in [0, 2^limb_bits).
LIMBS_INLINE void p256_scalar_product(limb r[limb_count], const limb a[limb_count], const limb b[limb_count]) {
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
      if (k - i > 0 && k - i < limb_count) sum += (wide)quotient[i] * p256_n_limbs[k - i];
    }
    if (k < limb_count) {
      quotient[k] = (limb)(((ulimb)sum * p256_n_factor) & (ulimb)LIMB_MASK);
      sum += (wide)quotient[k] * p256_n_limbs[0];
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
LIMBS_INLINE void p256_scalar_canonical(limb v[limb_count]) {
  limb less_n[limb_count];
  for (int i = 0; i < limb_count; i++) less_n[i] = v[i] - p256_n_limbs[i];
  limbs_carry(less_n);
  if (less_n[limb_count - 1] >= 0) {
    for (int i = 0; i < limb_count; i++) v[i] = less_n[i];
  }
}

// r = a b / R modulo n, in [0, n), for a and b as above.
LIMBS_CALL void p256_scalar_mul(limb r[limb_count], const limb a[limb_count], const limb b[limb_count]) {
  p256_scalar_product(r, a, b);
  p256_scalar_canonical(r);
}

// -------------------------------------------------------------------------------------------------------------- points

// Coordinates tight, carried or canonical.
typedef struct {
  p256_fe x, y;
} p256_affine;

// (X/Z^2, Y/Z^3). Z = 0 modulo p is the point at infinity, and what an addition gives that its formula cannot do.
typedef struct {
  p256_fe x, y, z;
} p256_jacobian;

// sum += point, whose y is canonical or the negative of that. EFD "madd" for short Weierstrass curves in Jacobian coordinates
// (Chudnovsky, Chudnovsky 1986; 8M + 3S), with -Z1 H^2 X1 and the rest of Y3 under one reduction.
//
// Where sum and point are equal or opposite, H = x2 Z1^2 - X1 is zero and so is Z3 = Z1 H, and it stays zero: one look at the
// last Z tells whether any addition on the way was exceptional.
LIMBS_CALL void p256_add_affine(p256_jacobian* sum, const p256_affine* point) {
  p256_fe zz, s2, h, r, hh, hhh, v, t;
  p256_square(&zz, &sum->z);
  p256_mul(&s2, &point->y, &sum->z);
  p256_mul(&h, &point->x, &zz);
  p256_mul(&s2, &s2, &zz);
  p256_sub(&h, &h, &sum->x);
  p256_sub(&r, &s2, &sum->y);
  p256_square(&hh, &h);
  p256_mul(&sum->z, &sum->z, &h);
  p256_mul(&hhh, &h, &hh);
  p256_mul(&v, &sum->x, &hh);
  // X3 = r^2 - H^3 - 2 V
  p256_square(&t, &r);
  p256_sub(&t, &t, &hhh);
  p256_sub(&t, &t, &v);
  p256_sub(&sum->x, &t, &v);
  p256_carry(&sum->x);
  // Y3 = r (V - X3) - Y1 H^3
  p256_sub(&t, &v, &sum->x);
  p256_mul_sub(&sum->y, &r, &t, &sum->y, &hhh);
}

// out = a + b in affine coordinates, SEC 1 2.2.1, with 1/(x_b - x_a) given. Coordinates canonical or carried, y also the negative
// of that; the result is carried. `out` is neither a nor b.
LIMBS_CALL void p256_add_two(p256_affine* out, const p256_affine* a, const p256_affine* b, const p256_fe* dx_inverse) {
  p256_fe slope, t;
  p256_sub(&t, &b->y, &a->y);
  p256_mul(&slope, &t, dx_inverse);
  p256_square(&t, &slope);
  p256_sub(&t, &t, &a->x);
  p256_sub(&out->x, &t, &b->x);
  p256_carry(&out->x);
  p256_sub(&t, &a->x, &out->x);
  p256_mul(&t, &slope, &t);
  p256_sub(&out->y, &t, &a->y);
  p256_carry(&out->y);
}

// point += point. EFD "dbl-2001-b" for a = -3 (Bernstein 2001; 3M + 5S) with products in the place of two squares, so that
// doubled numbers need no carry: 2 gamma = 2 Y1 Y1, Z3 = 2 Y1 Z1, 8 gamma^2 = 2 gamma 4 gamma. No exceptions: no point of P-256
// has order 2.
LIMBS_CALL void p256_double(p256_jacobian* point) {
  p256_fe delta, gamma_2, beta_4, alpha, t;
  p256_square(&delta, &point->z);
  p256_add(&t, &point->y, &point->y);
  p256_mul(&gamma_2, &t, &point->y);
  p256_mul(&point->z, &t, &point->z);
  // beta = X1 gamma
  p256_mul(&beta_4, &point->x, &gamma_2);
  p256_add(&beta_4, &beta_4, &beta_4);
  p256_carry(&beta_4);
  // alpha = 3 (X1 - delta) (X1 + delta)
  p256_sub(&t, &point->x, &delta);
  p256_add(&alpha, &point->x, &delta);
  p256_mul(&t, &alpha, &t);
  p256_add(&alpha, &t, &t);
  p256_add(&alpha, &alpha, &t);
  p256_carry(&alpha);
  // X3 = alpha^2 - 8 beta
  p256_square(&t, &alpha);
  p256_sub(&t, &t, &beta_4);
  p256_sub(&point->x, &t, &beta_4);
  p256_carry(&point->x);
  // Y3 = alpha (4 beta - X3) - 8 gamma^2
  p256_sub(&t, &beta_4, &point->x);
  p256_add(&delta, &gamma_2, &gamma_2);
  p256_mul_sub(&point->y, &alpha, &t, &gamma_2, &delta);
}

#ifdef __cplusplus
}  // namespace postern
#endif
