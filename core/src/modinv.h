// x and an odd modulus to 1/x, by safegcd in variable time (public data only). The C subset.
//
// Bernstein, Yang: "Fast constant-time gcd computation and modular inversion", TCHES 2019(3), and Wuille's account of it in
// libsecp256k1 (doc/safegcd_implementation.md), whose names and variable-time step are used here. Sections below are of the
// latter.
#pragma once

#include "limbs.h"

#ifdef __cplusplus
namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
#endif

#define INVERSE_MASK ((((limb)1) << inverse_bits) - 1)

typedef struct {
  limb v[inverse_count];
} inverse_number;

// (f, g) after `inverse_bits` steps is 2^-inverse_bits [u v; q r] (f, g). |u| + |v| and |q| + |r| are at most 2^inverse_bits.
typedef struct {
  limb u, v, q, r;
} inverse_matrix;

typedef struct {
  inverse_number number;
  ulimb inverse_low;  // 1/modulus modulo 2^inverse_bits
} inverse_modulus;

LIMBS_INLINE int inverse_trailing_zeros(ulimb x) {
#if POSTERN_LIMB_BITS > 32
  return __builtin_ctzll(x);
#else
  return __builtin_ctz(x);
#endif
}

LIMBS_INLINE void inverse_from_words(inverse_number* out, const uint64_t words[field_words]) {
  for (int i = 0; i < inverse_count; i++) out->v[i] = (limb)words_slice(words, inverse_bits * i, inverse_bits);
}

LIMBS_INLINE void inverse_to_words(uint64_t words[field_words], const inverse_number* in) {
  for (int i = 0; i < field_words; i++) words[i] = 0;
  for (int i = 0; i < inverse_count; i++) {
    const int word = inverse_bits * i >> 6;
    const int shift = inverse_bits * i & 63;
    if (word < field_words) words[word] |= (uint64_t)in->v[i] << shift;
    if (word < field_words - 1 && shift + inverse_bits > 64) words[word + 1] |= (uint64_t)in->v[i] >> (64 - shift);
  }
}

LIMBS_INLINE void inverse_modulus_from_words(inverse_modulus* out, const uint64_t words[field_words]) {
  inverse_from_words(&out->number, words);
  const ulimb low = (ulimb)out->number.v[0];
  // Newton's iteration: x is its own inverse modulo 8, and each round doubles the bits that are right.
  ulimb x = low;
  for (int i = 0; i < 5; i++) x *= 2 - low * x;
  out->inverse_low = x & (ulimb)INVERSE_MASK;
}

// Section 6: inverse_bits divsteps on the low bits of f and g; eta is -delta. Wraps around where only low bits count.
LIMBS_INLINE limb inverse_steps(limb eta, ulimb f, ulimb g, inverse_matrix* out) {
  ulimb u = 1, v = 0, q = 0, r = 1;
  int left = inverse_bits;
  for (;;) {
    const int zeros = inverse_trailing_zeros(g | (~(ulimb)0 << left));
    g >>= zeros;
    u <<= zeros;
    v <<= zeros;
    eta -= zeros;
    left -= zeros;
    if (left == 0) break;
    if (eta < 0) {
      ulimb old = f;
      eta = -eta;
      f = g;
      g = 0 - old;
      old = u;
      u = q;
      q = 0 - old;
      old = v;
      v = r;
      r = 0 - old;
    }
    // Up to 6 low bits of g are cleared at once: -g/f modulo 2^6 is g f (f^2 - 2).
    const int clear = eta + 1 > left ? left : (int)eta + 1;
    const ulimb mask = clear >= 6 ? 63 : (((ulimb)1) << clear) - 1;
    const ulimb w = (g * f * (f * f - 2)) & mask;
    g += f * w;
    q += u * w;
    r += v * w;
  }
  out->u = (limb)u;
  out->v = (limb)v;
  out->q = (limb)q;
  out->r = (limb)r;
  return eta;
}

// Section 3: (d, e) becomes 2^-inverse_bits t (d, e) modulo the modulus. Both stay in (-2 modulus, modulus).
LIMBS_INLINE void inverse_update_de(inverse_number* d, inverse_number* e, const inverse_matrix* t, const inverse_modulus* m) {
  const limb d_negative = d->v[inverse_count - 1] < 0 ? -1 : 0;
  const limb e_negative = e->v[inverse_count - 1] < 0 ? -1 : 0;
  // The multiples of the modulus that make the sums divisible by 2^inverse_bits.
  limb md = (t->u & d_negative) + (t->v & e_negative);
  limb me = (t->q & d_negative) + (t->r & e_negative);
  wide cd = (wide)t->u * d->v[0] + (wide)t->v * e->v[0];
  wide ce = (wide)t->q * d->v[0] + (wide)t->r * e->v[0];
  md -= (limb)((m->inverse_low * (ulimb)cd + (ulimb)md) & (ulimb)INVERSE_MASK);
  me -= (limb)((m->inverse_low * (ulimb)ce + (ulimb)me) & (ulimb)INVERSE_MASK);
  cd += (wide)m->number.v[0] * md;
  ce += (wide)m->number.v[0] * me;
  cd >>= inverse_bits;
  ce >>= inverse_bits;
  for (int i = 1; i < inverse_count; i++) {
    const limb di = d->v[i];
    const limb ei = e->v[i];
    cd += (wide)t->u * di + (wide)t->v * ei;
    cd += (wide)m->number.v[i] * md;
    ce += (wide)t->q * di + (wide)t->r * ei;
    ce += (wide)m->number.v[i] * me;
    d->v[i - 1] = (limb)(cd & INVERSE_MASK);
    e->v[i - 1] = (limb)(ce & INVERSE_MASK);
    cd >>= inverse_bits;
    ce >>= inverse_bits;
  }
  d->v[inverse_count - 1] = (limb)cd;
  e->v[inverse_count - 1] = (limb)ce;
}

// Section 3: (f, g) becomes 2^-inverse_bits t (f, g), of which only the lowest `length` limbs are not zero.
LIMBS_INLINE void inverse_update_fg(int length, inverse_number* f, inverse_number* g, const inverse_matrix* t) {
  wide cf = (wide)t->u * f->v[0] + (wide)t->v * g->v[0];
  wide cg = (wide)t->q * f->v[0] + (wide)t->r * g->v[0];
  cf >>= inverse_bits;
  cg >>= inverse_bits;
  for (int i = 1; i < length; i++) {
    const limb fi = f->v[i];
    const limb gi = g->v[i];
    cf += (wide)t->u * fi + (wide)t->v * gi;
    cg += (wide)t->q * fi + (wide)t->r * gi;
    f->v[i - 1] = (limb)(cf & INVERSE_MASK);
    g->v[i - 1] = (limb)(cg & INVERSE_MASK);
    cf >>= inverse_bits;
    cg >>= inverse_bits;
  }
  f->v[length - 1] = (limb)cf;
  g->v[length - 1] = (limb)cg;
}

LIMBS_INLINE void inverse_carry(inverse_number* x) {
  limb carry = 0;
  for (int i = 0; i < inverse_count - 1; i++) {
    const limb sum = x->v[i] + carry;
    x->v[i] = sum & INVERSE_MASK;
    carry = sum >> inverse_bits;
  }
  x->v[inverse_count - 1] += carry;
}

LIMBS_INLINE void inverse_add(inverse_number* x, const inverse_number* y) {
  for (int i = 0; i < inverse_count; i++) x->v[i] += y->v[i];
  inverse_carry(x);
}

LIMBS_INLINE void inverse_negate(inverse_number* x) {
  for (int i = 0; i < inverse_count; i++) x->v[i] = -x->v[i];
  inverse_carry(x);
}

// For x in [0, modulus) with gcd(x, modulus) = 1; words, the lowest first. 0 gives 0. Callers that must not go wrong multiply the
// result with x again: that costs less than a twentieth of this.
LIMBS_CALL void modular_inverse(uint64_t out[field_words], const uint64_t x[field_words], const inverse_modulus* modulus) {
  // Theorem 11.2 of the paper: so many steps make g zero (741 for 256 bits, 1110 for 384).
  enum { steps_max = (49 * field_bits + 57) / 17, rounds_max = steps_max / inverse_bits + 1 };
  inverse_number f = modulus->number;
  inverse_number g;
  inverse_number d = {{0}};
  inverse_number e = {{1}};
  inverse_from_words(&g, x);
  limb eta = -1;
  int length = inverse_count;
  for (int round = 0; round < rounds_max; round++) {
    inverse_matrix t;
    eta = inverse_steps(eta, (ulimb)f.v[0], (ulimb)g.v[0], &t);
    inverse_update_de(&d, &e, &t, modulus);
    inverse_update_fg(length, &f, &g, &t);
    limb rest = 0;
    for (int i = 0; i < length; i++) rest |= g.v[i];
    if (rest == 0) break;
    // Section 7: where both top limbs only hold the sign, the numbers are shortened by one.
    const limb f_top = f.v[length - 1];
    const limb g_top = g.v[length - 1];
    if (length > 1 && (f_top == 0 || f_top == -1) && (g_top == 0 || g_top == -1)) {
      f.v[length - 2] |= (limb)((ulimb)f_top << inverse_bits);
      g.v[length - 2] |= (limb)((ulimb)g_top << inverse_bits);
      length--;
    }
  }
  // f is 1 or -1, and d is f/x modulo the modulus, in (-2 modulus, modulus).
  if (d.v[inverse_count - 1] < 0) inverse_add(&d, &modulus->number);
  if (f.v[length - 1] < 0) inverse_negate(&d);
  if (d.v[inverse_count - 1] < 0) inverse_add(&d, &modulus->number);
  inverse_to_words(out, &d);
}

#ifdef __cplusplus
}  // inline namespace
}  // namespace postern
#endif
