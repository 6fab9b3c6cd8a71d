#include "ed25519.h"

#include <algorithm>
#include <cstring>

namespace postern::ed25519 {
#if POSTERN_ED25519_LIMBS == 51
inline namespace limbs51 {
#else
inline namespace limbs29 {
#endif

namespace {

using Bytes = std::array<std::uint8_t, 32>;

// ---------------------------------------------------------------------------------------------------------- elements

// Once each in the binary, not once for each of some forty uses.
[[gnu::noinline]] void mul(fe& r, const fe& a, const fe& b) { fe_mul(&r, &a, &b); }
[[gnu::noinline]] void square(fe& r, const fe& a) { fe_square(&r, &a); }

fe add(const fe& a, const fe& b) {
  fe r;
  fe_add(&r, &a, &b);
  return r;
}

fe sub(const fe& a, const fe& b) {
  fe r;
  fe_sub(&r, &a, &b);
  return r;
}

fe carry(const fe& a) {
  fe r;
  fe_carry(&r, &a);
  return r;
}

// The low 255 bits; whether they are under p is is_canonical's to say.
fe decode(const Bytes& bytes) {
  fe r;
  for (unsigned i = 0; i < fe_limbs; ++i) {
    const unsigned from = i * fe_limb_bits;
    r.v[i] = static_cast<fe_limb>(le_bits(bytes.data(), 32, from, std::min<unsigned>(fe_limb_bits, 255 - from)));
  }
  return carry(r);
}

// Limbs of just `limb_bits`, at most 56, to a little-endian number under 2^256.
template <typename Limb>
Bytes pack(const Limb* limbs, unsigned count, unsigned limb_bits) {
  Bytes bytes{};
  std::uint64_t waiting = 0;
  unsigned bits = 0;
  std::size_t at = 0;
  for (unsigned i = 0; i < count; ++i) {
    waiting |= static_cast<std::uint64_t>(limbs[i]) << bits;
    for (bits += limb_bits; bits >= 8 && at < bytes.size(); bits -= 8, waiting >>= 8U) {
      bytes[at++] = static_cast<std::uint8_t>(waiting);
    }
  }
  if (at < bytes.size()) bytes[at] = static_cast<std::uint8_t>(waiting);
  return bytes;
}

Bytes encode(const fe& a) {
  fe frozen;
  fe_freeze(&frozen, &a);
  return pack(frozen.v, fe_limbs, fe_limb_bits);
}

bool equal(const fe& a, const fe& b) { return encode(a) == encode(b); }
bool is_zero(const fe& a) { return encode(a) == Bytes{}; }
// RFC 8032 5.1.2: the sign of x is its lowest bit.
bool is_negative(const fe& a) { return (encode(a)[0] & 1U) != 0; }

void square_times(fe& r, const fe& a, unsigned times) {
  square(r, a);
  for (unsigned i = 1; i < times; ++i) square(r, r);
}

// a^(2^250 - 1), and a^11 on the way: the chain of D. J. Bernstein's ref10, 250 squarings and 11 products.
void power_2_250_1(fe& r, fe& power_11, const fe& a) {
  fe t0;
  fe t1;
  fe t2;
  square(t0, a);            // 2
  square_times(t1, t0, 2);  // 8
  mul(t1, a, t1);           // 9
  mul(power_11, t0, t1);    // 11
  square(t0, power_11);     // 22
  mul(t0, t1, t0);          // 2^5 - 1
  square_times(t1, t0, 5);
  mul(t0, t1, t0);  // 2^10 - 1
  square_times(t1, t0, 10);
  mul(t1, t1, t0);  // 2^20 - 1
  square_times(t2, t1, 20);
  mul(t1, t2, t1);  // 2^40 - 1
  square_times(t1, t1, 10);
  mul(t0, t1, t0);  // 2^50 - 1
  square_times(t1, t0, 50);
  mul(t1, t1, t0);  // 2^100 - 1
  square_times(t2, t1, 100);
  mul(t1, t2, t1);  // 2^200 - 1
  square_times(t1, t1, 50);
  mul(r, t1, t0);  // 2^250 - 1
}

// a^(p - 2) = a^(2^255 - 21), which is 1/a, and 0 of 0.
void invert(fe& r, const fe& a) {
  fe power_11;
  fe t;
  power_2_250_1(t, power_11, a);
  square_times(t, t, 5);
  mul(r, t, power_11);
}

// a^((p - 5) / 8) = a^(2^252 - 3), RFC 8032 5.1.3 step 2.
void power_root(fe& r, const fe& a) {
  fe power_11;
  fe t;
  power_2_250_1(t, power_11, a);
  square_times(t, t, 2);
  mul(r, t, a);
}

// d = -121665/121666 of RFC 8032 5.1, 2d, and 2^((p - 1) / 4), a square root of -1 (5.1.3 step 3).
constexpr Bytes d_bytes{0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75, 0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00,
                        0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7, 0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52};
constexpr Bytes root_bytes{0xb0, 0xa0, 0x0e, 0x4a, 0x27, 0x1b, 0xee, 0xc4, 0x78, 0xe4, 0x2f, 0xad, 0x06, 0x18, 0x43, 0x2f,
                           0xa7, 0xd7, 0xfb, 0x3d, 0x99, 0x00, 0x4d, 0x2b, 0x0b, 0xdf, 0xc1, 0x4f, 0x80, 0x24, 0x83, 0x2b};
// B, RFC 8032 5.1: y = 4/5, x positive.
constexpr Bytes base_bytes{0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
                           0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};
// L = 2^252 + 27742317777372353535851937790883648493.
constexpr Bytes order_bytes{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                            0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};

// Whether little-endian a < b.
bool less(const Bytes& a, const Bytes& b) { return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend()); }

fe small(std::uint32_t value) {
  fe r{};
  r.v[0] = static_cast<fe_limb>(value);
  return r;
}

// ------------------------------------------------------------------------------------------------------------ points

// The curve is -x^2 + y^2 = 1 + d x^2 y^2. Its additions have no exceptions, because -1 is a square and d is not
// (Hisil, Wong, Carter, Dawson 2008, 3.1): they hold for equal, opposite, neutral and small-order points too, and no Z is
// ever zero. So there is no special case in what follows and nothing to fall back to.

// x = X/Z, y = Y/Z, T = XY/Z. T is only where the next step needs it. All tight.
struct Point {
  fe x;
  fe y;
  fe z;
  fe t;
};

struct Affine {
  fe x;
  fe y;
};

// What additions and doublings end in: X = EF, Y = GH, Z = FG, T = EH.
struct Factors {
  fe e;
  fe f;
  fe g;
  fe h;
};

enum class Want : std::uint8_t { without_t, with_t };

void finish(Point& r, const Factors& f, Want want) {
  mul(r.x, f.e, f.f);
  mul(r.y, f.g, f.h);
  mul(r.z, f.f, f.g);
  if (want == Want::with_t) mul(r.t, f.e, f.h);
}

// "dbl-2008-hwcd" for a = -1, with E, G, F and H all negated: 3 or 4 products, 4 squarings. Tight summands: E 3, F 4, G 2, H 2.
void double_point(Point& r, const Point& p, Want want) {
  fe xx;
  fe yy;
  fe zz;
  fe both;
  square(xx, p.x);
  square(yy, p.y);
  square(zz, p.z);
  square(both, add(p.x, p.y));
  const fe h = add(yy, xx);
  finish(r, {sub(both, h), sub(add(add(zz, zz), xx), yy), sub(yy, xx), h}, want);
}

// "madd-2008-hwcd-3": r = p + q or, with the roles of q's members exchanged, p - q. 7 or 6 products. Tight summands: E 2, F 3,
// G 3, H 2.
template <bool subtract>
void add_multiple(Point& r, const Point& p, const Multiple& q, Want want) {
  fe a;
  fe b;
  fe c;
  mul(a, sub(p.y, p.x), subtract ? q.sum : q.difference);
  mul(b, add(p.y, p.x), subtract ? q.difference : q.sum);
  mul(c, p.t, q.product);
  const fe d = add(p.z, p.z);
  const fe minus = sub(d, c);
  const fe plus = add(d, c);
  finish(r, {sub(b, a), subtract ? plus : minus, subtract ? minus : plus, add(b, a)}, want);
}

Point neutral() { return {fe{}, small(1), small(1), fe{}}; }

// The square root of RFC 8032 5.1.3 steps 2 and 3: x with x^2 = (y^2 - 1) / (d y^2 + 1); false when there is none.
bool recover_x(fe& x, const fe& y) {
  const fe d = decode(d_bytes);
  fe yy;
  fe v;
  square(yy, y);
  const fe u = carry(sub(yy, small(1)));
  mul(v, yy, d);
  v = carry(add(v, small(1)));

  // x = u v^3 (u v^7)^((p - 5) / 8)
  fe v3;
  fe t;
  square(v3, v);
  mul(v3, v3, v);
  square(t, v3);
  mul(t, t, v);
  mul(t, t, u);
  power_root(t, t);
  mul(t, t, v3);
  mul(x, t, u);

  fe vxx;
  square(vxx, x);
  mul(vxx, vxx, v);
  if (equal(vxx, u)) return true;
  mul(x, x, decode(root_bytes));
  return is_zero(carry(add(vxx, u)));
}

// RFC 8032 5.1.3, strictly: the point whose encoding these bytes are.
Result<Affine, Fault> decode_point(const Bytes& bytes) {
  Bytes y_bytes = bytes;
  const bool sign = (y_bytes[31] & 0x80U) != 0;
  y_bytes[31] &= 0x7fU;
  const fe y = decode(y_bytes);
  if (encode(y) != y_bytes) return Fault::not_canonical;
  fe x;
  if (!recover_x(x, y)) return Fault::not_on_curve;
  if (is_zero(x) && sign) return Fault::not_canonical;
  if (is_negative(x) != sign) x = carry(sub(fe{}, x));
  return Affine{x, y};
}

Point widen(const Affine& a) {
  Point p{a.x, a.y, small(1), fe{}};
  mul(p.t, a.x, a.y);
  return p;
}

// RFC 8032 5.1.2. The one inversion of a verification.
Bytes encode_point(const Point& p) {
  fe inverse;
  fe x;
  fe y;
  invert(inverse, p.z);
  mul(x, p.x, inverse);
  mul(y, p.y, inverse);
  Bytes bytes = encode(y);
  if (is_negative(x)) bytes[31] |= 0x80U;
  return bytes;
}

// Order 1 or 2: x = 0. Order 4: y = 0. Order 8: x^2 + y^2 = 0, since that is a factor of y of twice the point. There are no
// others, as the group has order 8L. Takes X and Y for x and y too.
bool has_small_order(const fe& x, const fe& y) {
  fe xx;
  fe yy;
  fe product;
  square(xx, x);
  square(yy, y);
  mul(product, x, y);
  mul(product, product, add(xx, yy));
  return is_zero(product);
}

// ------------------------------------------------------------------------------------------------------------ tables

// A scalar of at most 253 bits in signed digits: sum of digit[i] 2^(window_bits i). Each is within 2^(window_bits - 1), the
// last one too: it has at least one bit fewer to hold and takes at most 1 from the digit below.
using Digits = std::array<std::int16_t, digits_of(window_bits_min)>;

Digits recode(const Bytes& scalar, unsigned window_bits) {
  Digits digits{};
  const int base = 1 << window_bits;
  int carried = 0;
  for (unsigned i = 0; i < digits_of(window_bits); ++i) {
    int digit = static_cast<int>(le_bits(scalar.data(), 32, i * window_bits, window_bits)) + carried;
    carried = digit > base / 2 ? 1 : 0;
    if (carried != 0) digit -= base;
    digits[i] = static_cast<std::int16_t>(digit);
  }
  return digits;
}

// Points to multiples, with one inversion for all (P. L. Montgomery, "Speeding the Pollard and Elliptic Curve Methods of
// Factorization", Math. Comp. 48 (1987), 10.3.1).
void append_multiples(std::vector<Multiple>& out, const std::vector<Point>& points) {
  if (points.empty()) return;
  std::vector<fe> products(points.size());  // of all Z up to here
  products[0] = points[0].z;
  for (std::size_t i = 1; i < points.size(); ++i) mul(products[i], products[i - 1], points[i].z);
  const fe d = decode(d_bytes);
  const fe twice_d = carry(add(d, d));
  fe inverse;
  invert(inverse, products.back());
  const std::size_t first = out.size();
  out.resize(first + points.size());
  for (std::size_t i = points.size(); i-- > 0;) {
    fe z_inverse = inverse;
    if (i > 0) mul(z_inverse, inverse, products[i - 1]);
    mul(inverse, inverse, points[i].z);
    fe x;
    fe y;
    fe xy;
    mul(x, points[i].x, z_inverse);
    mul(y, points[i].y, z_inverse);
    mul(xy, x, y);
    Multiple& multiple = out[first + i];
    multiple.sum = carry(add(y, x));
    multiple.difference = carry(sub(y, x));
    mul(multiple.product, xy, twice_d);
  }
}

Table make_table(const Affine& a, TableShape shape) {
  const std::size_t row_size = shape.row_size();

  std::vector<Point> points;
  Point p = widen(a);
  for (unsigned row = 0; row < shape.rows(); ++row) {
    points.push_back(p);
    if (row + 1 == shape.rows()) break;
    for (unsigned i = 0; i < shape.window_bits * shape.digits_per_row; ++i) double_point(p, p, Want::without_t);
  }
  std::vector<Multiple> first_of_row;
  append_multiples(first_of_row, points);

  // An inversion costs as much as some 260 products and is shared by this many points; more would only take memory.
  constexpr std::size_t together = 128;
  Table table{shape, {}};
  table.multiples.reserve(shape.multiples());
  points.clear();
  for (const Multiple& first : first_of_row) {
    p = neutral();
    for (std::size_t i = 0; i < row_size; ++i) {
      add_multiple<false>(p, p, first, Want::with_t);
      points.push_back(p);
      if (points.size() < together) continue;
      append_multiples(table.multiples, points);
      points.clear();
    }
  }
  append_multiples(table.multiples, points);
  return table;
}

// Chosen by measurement: in wasm 16 multiples in one row take 51 us, these 26 and 19, 2048 in 16 rows 18. Most of the gain is
// in the second row, which halves the doublings.
constexpr TableShape shape_of(TableSize size) { return size == TableSize::large ? TableShape{6, 4} : TableShape{5, 13}; }

// Multiples of B, for all keys: made with the first of them rather than shipped, since 37 KB that no compression shrinks are
// six times what all of this file adds to the wasm.
const Table& base_table() {
  static const Table table = make_table(decode_point(base_bytes).value(), shape_of(TableSize::large));
  return table;
}

// --------------------------------------------------------------------------------------------------------- verifying

// k modulo L, RFC 8032 5.1.7 step 2.
Bytes reduce(const Hash& hash) {
  std::array<sc_limb, 19> x{};
  for (unsigned i = 0; i < x.size(); ++i) x[i] = static_cast<sc_limb>(le_bits(hash.data(), 64, 28 * i, 28));
  sc_fold(x.data());
  // That leaves 2^225 under zero to 2^224 over 2^252: L is added at most once and taken away at most once.
  std::array<sc_limb, 9> sum{};
  const auto add_order = [&](sc_limb times) {
    sc_limb carried = 0;
    for (unsigned i = 0; i < sum.size(); ++i) {
      const unsigned bits = i == 8 ? 32 : 28;
      sum[i] = x[i] + times * static_cast<sc_limb>(le_bits(order_bytes.data(), 32, 28 * i, bits)) + carried;
      carried = sum[i] >> 28;
      if (i != 8) sum[i] -= carried * (sc_limb{1} << 28);
    }
  };
  add_order(x[8] < 0 ? 1 : 0);
  std::copy(sum.begin(), sum.end(), x.begin());
  add_order(-1);
  if (sum[8] >= 0) std::copy(sum.begin(), sum.end(), x.begin());
  return pack(x.data(), 9, 28);
}

struct Addition {
  const Multiple* multiple;
  bool subtract;
};
// All digits of two scalars meet at one position when every row holds one digit.
using Additions = std::array<Addition, 2 * Digits{}.size()>;

// The multiples that stand at this power of two: digit i of the scalar is in row i / digits_per_row.
void collect(Additions& out, std::size_t& count, const Table& table, const Digits& digits, unsigned position) {
  const auto [window_bits, digits_per_row] = table.shape;
  if (position % window_bits != 0 || position / window_bits >= digits_per_row) return;
  std::size_t first = 0;  // of the row
  for (unsigned i = position / window_bits; i < digits_of(window_bits); i += digits_per_row, first += table.shape.row_size()) {
    if (digits[i] == 0) continue;
    const auto magnitude = static_cast<std::size_t>(digits[i] < 0 ? -digits[i] : digits[i]);
    out[count++] = {&table.multiples[first + magnitude - 1], digits[i] < 0};
  }
}

// aP + bQ for the points of two tables, both read from the top at the same time (E. G. Straus, "Addition chains of vectors",
// Amer. Math. Monthly 71 (1964)), so that they share the doublings.
Point multiply_add(const Bytes& a, const Table& p, const Bytes& b, const Table& q) {
  const Digits digits_a = recode(a, p.shape.window_bits);
  const Digits digits_b = recode(b, q.shape.window_bits);
  Point sum = neutral();
  bool started = false;
  for (unsigned position = std::max(p.shape.top(), q.shape.top()) + 1; position-- > 0;) {
    Additions additions;
    std::size_t count = 0;
    collect(additions, count, p, digits_a, position);
    collect(additions, count, q, digits_b, position);
    if (started) double_point(sum, sum, count > 0 ? Want::with_t : Want::without_t);
    started = started || count > 0;
    for (std::size_t i = 0; i < count; ++i) {
      const Want want = i + 1 < count ? Want::with_t : Want::without_t;
      if (additions[i].subtract) {
        add_multiple<true>(sum, sum, *additions[i].multiple, want);
      } else {
        add_multiple<false>(sum, sum, *additions[i].multiple, want);
      }
    }
  }
  return sum;
}

}  // namespace

Result<PublicKey, Fault> PublicKey::import(std::string_view encoded) {
  if (encoded.size() != key_bytes) return Fault::size;
  PublicKey key;
  std::memcpy(key.encoded_.data(), encoded.data(), key_bytes);
  auto point = decode_point(key.encoded_);
  if (!point) return point.error();
  if (has_small_order(point->x, point->y)) return Fault::small_order;
  key.x_negative_ = carry(sub(fe{}, point->x));
  key.y_ = point->y;
  key.set_table_size(TableSize::small);
  static_cast<void>(base_table());
  return key;
}

void PublicKey::set_table_size(TableSize size) {
  table_ = make_table(Affine{x_negative_, y_}, shape_of(size));
  table_size_ = size;
}

std::size_t PublicKey::table_bytes(TableSize size) { return shape_of(size).multiples() * sizeof(Multiple); }

bool PublicKey::verify(std::string_view signature, const Hash& hash) const {
  if (signature.size() != signature_bytes) return false;
  Bytes r;
  Bytes s;
  std::memcpy(r.data(), signature.data(), r.size());
  std::memcpy(s.data(), signature.data() + r.size(), s.size());
  // RFC 8032 5.1.7 step 1 and 8.4: S + L would verify as well, so that anyone could change a signature.
  if (!less(s, order_bytes)) return false;
  // An encoding of R that is not canonical equals no encoding made here. Z does not matter for the order.
  const Point expected = multiply_add(s, base_table(), reduce(hash), table_);
  return encode_point(expected) == r && !has_small_order(expected.x, expected.y);
}

}  // inline namespace
}  // namespace postern::ed25519
