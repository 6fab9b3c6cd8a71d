// Arithmetic modulo p = 2^255 - 19, the field of edwards25519 (RFC 8032 5.1), and modulo L, the order of its base
// point: numbers to numbers, for public data only (nothing here takes care to run in constant time).
//
// This file is in the subset that C and C++ share, straight lines and loops of fixed length, so that a proof reads
// the very text that is compiled: tests/proof/ed25519.md says what is proven of each function.
//
// An element is a sum of limbs in one of two forms, the faster one wherever it is compiled:
//   POSTERN_ED25519_LIMBS 51: five unsigned limbs of 51 bits, products of 128 bits, where the machine has those
//                             (11 ns a product against 22; g++ 12, x86-64).
//   POSTERN_ED25519_LIMBS 29: nine signed limbs of 29 bits, products of 64 bits, for wasm, which has no wider ones
//                             (20 ns against 92; the usual ten limbs of 25.5 bits take 27; V8 11.3).
// An element is in either form
//   tight: what fe_mul, fe_square, fe_carry and fe_from_bytes give;
//   loose: sums and differences of tight ones, which are not carried, because the products have room for them. How many
//          summands each function takes stands in its comment.
#ifndef POSTERN_ED25519_FIELD_H
#define POSTERN_ED25519_FIELD_H

#include <stdint.h>

#ifndef POSTERN_ED25519_LIMBS
#if defined(__SIZEOF_INT128__) && !defined(__wasm__)
#define POSTERN_ED25519_LIMBS 51
#else
#define POSTERN_ED25519_LIMBS 29
#endif
#endif

#ifdef __cplusplus
namespace postern::ed25519 {
// The form is part of every name, so that objects built with different forms are never linked to each other.
#if POSTERN_ED25519_LIMBS == 51
inline namespace limbs51 {
#else
inline namespace limbs29 {
#endif
#endif

// A proof puts types in place of these that record what is done to them.
#ifndef POSTERN_ED25519_PROOF
#if POSTERN_ED25519_LIMBS == 51
typedef uint64_t fe_limb;
__extension__ typedef unsigned __int128 fe_wide;
#else
typedef int32_t fe_limb;
typedef int64_t fe_wide;
#endif
typedef int64_t sc_limb;
#endif

// `count` bits of a little-endian number, at most 57, from bit `from` on. Bytes past `size` are zero.
static inline uint64_t le_bits(const uint8_t* bytes, unsigned size, unsigned from, unsigned count) {
  uint64_t out = 0;
  for (unsigned i = 0; 8 * i < count + from % 8; ++i) {
    if (from / 8 + i < size) out |= (uint64_t)bytes[from / 8 + i] << (8 * i);
  }
  return (out >> (from % 8)) & (((uint64_t)1 << count) - 1);
}

#if POSTERN_ED25519_LIMBS == 51

// Tight limbs are at most 2^51 + 2^13.
enum { fe_limbs = 5, fe_limb_bits = 51 };
typedef struct {
  fe_limb v[5];
} fe;

// r = a - b, as a + 4p - b so that no limb falls below zero. b: at most 3 tight summands.
static inline void fe_sub(fe* r, const fe* a, const fe* b) {
  r->v[0] = a->v[0] + (fe_limb)(((uint64_t)1 << 53) - 76) - b->v[0];
  for (int i = 1; i < 5; ++i) r->v[i] = a->v[i] + (fe_limb)(((uint64_t)1 << 53) - 4) - b->v[i];
}

// Five columns to a tight element; 2^255 = 19 (mod p) brings the last carry round. The columns are under 2^114.5 and the
// last one under 2^110.5, so that every carry, and 19 times the last, is one limb.
static inline void fe_reduce(fe* r, fe_wide c0, fe_wide c1, fe_wide c2, fe_wide c3, fe_wide c4) {
  const fe_wide mask = (fe_wide)(((uint64_t)1 << 51) - 1);
  c1 = c1 + (fe_wide)(fe_limb)(c0 >> 51);
  c2 = c2 + (fe_wide)(fe_limb)(c1 >> 51);
  c3 = c3 + (fe_wide)(fe_limb)(c2 >> 51);
  c4 = c4 + (fe_wide)(fe_limb)(c3 >> 51);
  const fe_limb low = (fe_limb)(c0 & mask) + (fe_limb)(c4 >> 51) * (fe_limb)19;
  r->v[0] = low & (fe_limb)(((uint64_t)1 << 51) - 1);
  r->v[1] = (fe_limb)(c1 & mask) + (low >> 51);
  r->v[2] = (fe_limb)(c2 & mask);
  r->v[3] = (fe_limb)(c3 & mask);
  r->v[4] = (fe_limb)(c4 & mask);
}

// r = a * b, tight: each column with the one 255 bits above it. a, b: limbs under 2^54, so fe_sub's result or 7 tight
// summands.
static inline void fe_mul(fe* r, const fe* a, const fe* b) {
  const fe_limb nineteen = (fe_limb)19;
  const fe_limb a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
  const fe_limb b0 = b->v[0], b1 = b->v[1], b2 = b->v[2], b3 = b->v[3], b4 = b->v[4];
  const fe_limb u1 = b1 * nineteen, u2 = b2 * nineteen, u3 = b3 * nineteen, u4 = b4 * nineteen;
  fe_reduce(r, (fe_wide)a0 * b0 + (fe_wide)a1 * u4 + (fe_wide)a2 * u3 + (fe_wide)a3 * u2 + (fe_wide)a4 * u1,
            (fe_wide)a0 * b1 + (fe_wide)a1 * b0 + (fe_wide)a2 * u4 + (fe_wide)a3 * u3 + (fe_wide)a4 * u2,
            (fe_wide)a0 * b2 + (fe_wide)a1 * b1 + (fe_wide)a2 * b0 + (fe_wide)a3 * u4 + (fe_wide)a4 * u3,
            (fe_wide)a0 * b3 + (fe_wide)a1 * b2 + (fe_wide)a2 * b1 + (fe_wide)a3 * b0 + (fe_wide)a4 * u4,
            (fe_wide)a0 * b4 + (fe_wide)a1 * b3 + (fe_wide)a2 * b2 + (fe_wide)a3 * b1 + (fe_wide)a4 * b0);
}

// r = a^2, as fe_mul.
static inline void fe_square(fe* r, const fe* a) {
  const fe_limb nineteen = (fe_limb)19, two = (fe_limb)2;
  const fe_limb a0 = a->v[0], a1 = a->v[1], a2 = a->v[2], a3 = a->v[3], a4 = a->v[4];
  const fe_limb d0 = a0 * two, d1 = a1 * two, d2 = a2 * two, u3 = a3 * nineteen, u4 = a4 * nineteen;
  fe_reduce(r, (fe_wide)a0 * a0 + (fe_wide)d1 * u4 + (fe_wide)d2 * u3, (fe_wide)d0 * a1 + (fe_wide)d2 * u4 + (fe_wide)a3 * u3,
            (fe_wide)d0 * a2 + (fe_wide)a1 * a1 + (fe_wide)(a3 * two) * u4,
            (fe_wide)d0 * a3 + (fe_wide)d1 * a2 + (fe_wide)a4 * u4, (fe_wide)d0 * a4 + (fe_wide)d1 * a3 + (fe_wide)a2 * a2);
}

// The same number, tight. Limbs under 2^58.
static inline void fe_carry(fe* r, const fe* a) {
  const fe_limb mask = (fe_limb)(((uint64_t)1 << 51) - 1);
  const fe_limb a1 = a->v[1] + (a->v[0] >> 51);
  const fe_limb a2 = a->v[2] + (a1 >> 51);
  const fe_limb a3 = a->v[3] + (a2 >> 51);
  const fe_limb a4 = a->v[4] + (a3 >> 51);
  r->v[0] = (a->v[0] & mask) + (a4 >> 51) * (fe_limb)19;
  r->v[1] = a1 & mask;
  r->v[2] = a2 & mask;
  r->v[3] = a3 & mask;
  r->v[4] = a4 & mask;
}

// The one representative in [0, p), each limb of 51 bits. a: tight.
static inline void fe_freeze(fe* r, const fe* a) {
  const fe_limb mask = (fe_limb)(((uint64_t)1 << 51) - 1);
  fe_limb carry;
  fe t;
  fe_carry(&t, a);
  // t < 2p, so t >= p exactly when t + 19 has bit 255; then t - p = t + 19 - 2^255.
  carry = (t.v[0] + (fe_limb)19) >> 51;
  for (int i = 1; i < 5; ++i) carry = (t.v[i] + carry) >> 51;
  carry = carry * (fe_limb)19;
  for (int i = 0; i < 5; ++i) {
    const fe_limb sum = t.v[i] + carry;
    r->v[i] = sum & mask;
    carry = sum >> 51;
  }
}

#else

// Tight limbs lie within 2^28 + 2^16 of zero.
enum { fe_limbs = 9, fe_limb_bits = 29 };
typedef struct {
  fe_limb v[9];
} fe;

// r = a - b. Together at most 7 tight summands.
static inline void fe_sub(fe* r, const fe* a, const fe* b) {
  for (int i = 0; i < 9; ++i) r->v[i] = a->v[i] - b->v[i];
}

// One step of fe_mul and fe_square. `high` is a column 261 bits up, where 2^261 = 64 * 19 (mod p): its low 29 bits come
// down into `low`, the rest goes on to the next. A limb is what remains of `low` after the carry to the nearest.
#define FE_STEP(limb, low_column, high_column)                             \
  high = high + (high_column);                                             \
  low = low + (low_column) + (high & (fe_wide)0x1fffffff) * (fe_wide)1216; \
  high = high >> 29;                                                       \
  carry = (low + (fe_wide)0x10000000) >> 29;                               \
  limb = low - carry * (fe_wide)0x20000000;                                \
  low = carry

// The last column, and twice a carry from the top round to the bottom.
#define FE_LAST(low_column)                               \
  low = low + (low_column) + high * (fe_wide)1216;        \
  carry = (low + (fe_wide)0x10000000) >> 29;              \
  r->v[8] = (fe_limb)(low - carry * (fe_wide)0x20000000); \
  low = r0 + carry * (fe_wide)1216;                       \
  carry = (low + (fe_wide)0x10000000) >> 29;              \
  r->v[0] = (fe_limb)(low - carry * (fe_wide)0x20000000); \
  r->v[1] = (fe_limb)(r1 + carry);                        \
  r->v[2] = (fe_limb)r2;                                  \
  r->v[3] = (fe_limb)r3;                                  \
  r->v[4] = (fe_limb)r4;                                  \
  r->v[5] = (fe_limb)r5;                                  \
  r->v[6] = (fe_limb)r6;                                  \
  r->v[7] = (fe_limb)r7

// r = a * b, tight. a of s and b of t tight summands with s * t <= 12.
static inline void fe_mul(fe* r, const fe* a, const fe* b) {
  const fe_wide a0 = (fe_wide)a->v[0], a1 = (fe_wide)a->v[1], a2 = (fe_wide)a->v[2], a3 = (fe_wide)a->v[3];
  const fe_wide a4 = (fe_wide)a->v[4], a5 = (fe_wide)a->v[5], a6 = (fe_wide)a->v[6], a7 = (fe_wide)a->v[7];
  const fe_wide b0 = (fe_wide)b->v[0], b1 = (fe_wide)b->v[1], b2 = (fe_wide)b->v[2], b3 = (fe_wide)b->v[3];
  const fe_wide b4 = (fe_wide)b->v[4], b5 = (fe_wide)b->v[5], b6 = (fe_wide)b->v[6], b7 = (fe_wide)b->v[7];
  const fe_wide a8 = (fe_wide)a->v[8], b8 = (fe_wide)b->v[8];
  fe_wide low = (fe_wide)0, high = (fe_wide)0, carry, r0, r1, r2, r3, r4, r5, r6, r7;
  FE_STEP(r0, a0 * b0, a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1);
  FE_STEP(r1, a0 * b1 + a1 * b0, a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2);
  FE_STEP(r2, a0 * b2 + a1 * b1 + a2 * b0, a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3);
  FE_STEP(r3, a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0, a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4);
  FE_STEP(r4, a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0, a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5);
  FE_STEP(r5, a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0, a6 * b8 + a7 * b7 + a8 * b6);
  FE_STEP(r6, a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0, a7 * b8 + a8 * b7);
  FE_STEP(r7, a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0, a8 * b8);
  FE_LAST(a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0);
}

// r = a^2, tight. a: at most 3 tight summands.
static inline void fe_square(fe* r, const fe* a) {
  const fe_wide a0 = (fe_wide)a->v[0], a1 = (fe_wide)a->v[1], a2 = (fe_wide)a->v[2], a3 = (fe_wide)a->v[3];
  const fe_wide a4 = (fe_wide)a->v[4], a5 = (fe_wide)a->v[5], a6 = (fe_wide)a->v[6], a7 = (fe_wide)a->v[7];
  const fe_wide a8 = (fe_wide)a->v[8], two = (fe_wide)2;
  const fe_wide d0 = a0 * two, d1 = a1 * two, d2 = a2 * two, d3 = a3 * two;
  const fe_wide d4 = a4 * two, d5 = a5 * two, d6 = a6 * two, d7 = a7 * two;
  fe_wide low = (fe_wide)0, high = (fe_wide)0, carry, r0, r1, r2, r3, r4, r5, r6, r7;
  FE_STEP(r0, a0 * a0, d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5);
  FE_STEP(r1, d0 * a1, d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5);
  FE_STEP(r2, d0 * a2 + a1 * a1, d3 * a8 + d4 * a7 + d5 * a6);
  FE_STEP(r3, d0 * a3 + d1 * a2, d4 * a8 + d5 * a7 + a6 * a6);
  FE_STEP(r4, d0 * a4 + d1 * a3 + a2 * a2, d5 * a8 + d6 * a7);
  FE_STEP(r5, d0 * a5 + d1 * a4 + d2 * a3, d6 * a8 + a7 * a7);
  FE_STEP(r6, d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3, d7 * a8);
  FE_STEP(r7, d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4, a8 * a8);
  FE_LAST(d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4);
}

#undef FE_STEP
#undef FE_LAST

// The same number, tight. At most 7 tight summands.
static inline void fe_carry(fe* r, const fe* a) {
  fe_wide t[9], carry = (fe_wide)0;
  for (int i = 0; i < 9; ++i) {
    t[i] = (fe_wide)a->v[i] + carry;
    carry = (t[i] + (fe_wide)0x10000000) >> 29;
    t[i] = t[i] - carry * (fe_wide)0x20000000;
  }
  t[0] = t[0] + carry * (fe_wide)1216;
  for (int i = 0; i < 9; ++i) r->v[i] = (fe_limb)t[i];
}

// The one representative in [0, p), each limb of 29 bits. a: tight.
static inline void fe_freeze(fe* r, const fe* a) {
  const fe_wide mask = (fe_wide)0x1fffffff, top_mask = (fe_wide)0x7fffff;
  fe_wide t[9], carry = (fe_wide)0;
  // 64p = 2^261 - 1216 makes every limb positive.
  t[0] = (fe_wide)a->v[0] + (fe_wide)(0x20000000 - 1216);
  for (int i = 1; i < 9; ++i) t[i] = (fe_wide)a->v[i] + mask;
  for (int i = 0; i < 8; ++i) {
    t[i] = t[i] + carry;
    carry = t[i] >> 29;
    t[i] = t[i] & mask;
  }
  // What is over 2^255 comes round. That leaves less than 2p.
  t[8] = t[8] + carry;
  carry = (t[8] >> 23) * (fe_wide)19;
  t[8] = t[8] & top_mask;
  for (int i = 0; i < 8; ++i) {
    t[i] = t[i] + carry;
    carry = t[i] >> 29;
    t[i] = t[i] & mask;
  }
  t[8] = t[8] + carry;
  // t >= p exactly when t + 19 has bit 255; then t - p = t + 19 - 2^255.
  carry = (t[0] + (fe_wide)19) >> 29;
  for (int i = 1; i < 8; ++i) carry = (t[i] + carry) >> 29;
  carry = ((t[8] + carry) >> 23) * (fe_wide)19;
  for (int i = 0; i < 8; ++i) {
    const fe_wide sum = t[i] + carry;
    r->v[i] = (fe_limb)(sum & mask);
    carry = sum >> 29;
  }
  r->v[8] = (fe_limb)((t[8] + carry) & top_mask);
}

#endif

// r = a + b. Together at most 7 tight summands, or one of fe_sub's results and 3.
static inline void fe_add(fe* r, const fe* a, const fe* b) {
  for (int i = 0; i < fe_limbs; ++i) r->v[i] = a->v[i] + b->v[i];
}

// Modulo L = 2^252 + c, RFC 8032 5.1: nine limbs of 28 bits reach just to 2^252, so whatever is above it is multiplied by
// -c and added below.
//
// `x` is 19 limbs of 28 bits. The first nine become the same number modulo L, from -2^225 to 2^252 + 2^224: limbs of 28 bits
// but for the last, which may be as low as -2 and as high as 2^28. The others are used up.
static inline void sc_fold(sc_limb* x) {
  const sc_limb c[5] = {(sc_limb)0xcf5d3ed, (sc_limb)0x12631a5, (sc_limb)0x79cd658, (sc_limb)0xf9dea2f, (sc_limb)0x14de};
  const sc_limb half = (sc_limb)0x8000000, base = (sc_limb)0x10000000;
  sc_limb carry;
  for (int i = 18; i >= 9; --i) {
    carry = (sc_limb)0;
    for (int j = 0; j < 5; ++j) {
      const sc_limb sum = x[i - 9 + j] - x[i] * c[j] + carry;
      carry = (sum + half) >> 28;
      x[i - 9 + j] = sum - carry * base;
    }
    x[i - 4] = x[i - 4] + carry;
  }
  // What carrying put over 2^252 again, rounded down so that the rest is not negative.
  carry = (sc_limb)0;
  for (int i = 0; i < 9; ++i) {
    const sc_limb sum = x[i] + carry;
    carry = sum >> 28;
    x[i] = sum - carry * base;
  }
  const sc_limb over = carry;
  carry = (sc_limb)0;
  for (int i = 0; i < 9; ++i) {
    sc_limb sum = x[i] + carry;
    if (i < 5) sum = sum - over * c[i];
    if (i == 8) {
      x[8] = sum;
    } else {
      carry = sum >> 28;
      x[i] = sum - carry * base;
    }
  }
}

#ifdef __cplusplus
}  // inline namespace
}  // namespace postern::ed25519
#endif

#endif
