// ecdsa.h for the one curve that POSTERN_FIELD_BITS says: p256.cpp and p384.cpp include this file, and nothing else does.
#pragma once

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "ec_lanes.h"
#include "ecdsa.h"
#include "modinv.h"

namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
namespace {

// ------------------------------------------------------------------------------------------------- numbers in words

constexpr std::size_t word_count = field_words;
constexpr std::size_t number_bytes = word_count * 8;
using Words = std::array<std::uint64_t, word_count>;  // the lowest first

constexpr Words words_of(const std::uint64_t (&words)[word_count]) {
  Words out{};
  for (std::size_t i = 0; i < word_count; i++) out[i] = words[i];
  return out;
}
constexpr Words order = words_of(ec_n_words);
constexpr Words prime = words_of(ec_p_words);

Words read_words(const std::uint8_t* big_endian) {
  Words words{};
  for (std::size_t i = 0; i < number_bytes; i++) {
    std::uint64_t& word = words[word_count - 1 - i / 8];
    word = word << 8U | big_endian[i];
  }
  return words;
}

Words read_words(std::string_view big_endian) { return read_words(reinterpret_cast<const std::uint8_t*>(big_endian.data())); }

bool is_zero(const Words& a) { return a == Words{}; }

bool less(const Words& a, const Words& b) { return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend()); }

// For b <= a.
Words subtract(const Words& a, const Words& b) {
  Words difference{};
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < word_count; i++) {
    difference[i] = a[i] - b[i] - borrow;
    borrow = static_cast<std::uint64_t>(a[i] < b[i] || (a[i] == b[i] && borrow != 0));
  }
  return difference;
}

// For sums below 2^field_bits.
Words add(const Words& a, const Words& b) {
  Words sum{};
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < word_count; i++) {
    sum[i] = a[i] + b[i] + carry;
    carry = static_cast<std::uint64_t>(sum[i] < a[i] || (sum[i] == a[i] && carry != 0));
  }
  return sum;
}

// ----------------------------------------------------------------------------------------------------------- points

// x and y in [0, p), times R: the form of a table; for P-256 one cache line a point.
struct alignas(field_bits == 256 ? 64 : 32) PackedPoint {
  Words x;
  Words y;
};

ec_affine unpack(const PackedPoint& packed) {
  ec_affine point;
  limbs_from_words(point.x.v, packed.x.data());
  limbs_from_words(point.y.v, packed.y.data());
  return point;
}

PackedPoint pack(const ec_affine& point) {
  PackedPoint packed{};
  ec_fe canonical;
  ec_canonical(&canonical, &point.x);
  words_from_limbs(packed.x.data(), canonical.v);
  ec_canonical(&canonical, &point.y);
  words_from_limbs(packed.y.data(), canonical.v);
  return packed;
}

ec_affine affine_of(const std::uint64_t x[field_words], const std::uint64_t y[field_words]) {
  ec_affine point;
  ec_from_words(&point.x, x);
  ec_from_words(&point.y, y);
  return point;
}

ec_jacobian jacobian_of(const ec_affine& point) {
  ec_jacobian out{point.x, point.y, {}};
  ec_constant(&out.z, ec_p_r);
  return out;
}

// y^2 = x^3 - 3x + b, SP 800-186 3.2.1 (a is -3 for both curves).
bool on_curve(const ec_affine& point) {
  ec_fe left;
  ec_fe right;
  ec_fe constant;
  ec_square(&left, &point.y);
  ec_square(&right, &point.x);
  ec_mul(&right, &right, &point.x);
  for (int i = 0; i < 3; i++) {
    ec_sub(&right, &right, &point.x);
    ec_carry(&right);
  }
  ec_constant(&constant, ec_p_b);
  ec_add(&right, &right, &constant);
  ec_carry(&right);
  ec_sub(&left, &left, &right);
  return ec_is_zero(&left) != 0;
}

// Each of `values` to its inverse, with one inversion: Montgomery, "Speeding the Pollard and elliptic curve methods of
// factorization", Math. Comp. 48 (1987), 10.3.1. `products` is of the same size. False if one of them is zero modulo p.
[[nodiscard]] bool invert_all(std::span<ec_fe> values, std::span<ec_fe> products) {
  products[0] = values[0];
  for (std::size_t i = 1; i < values.size(); i++) ec_mul(&products[i], &products[i - 1], &values[i]);
  inverse_modulus modulus;
  inverse_modulus_from_words(&modulus, ec_p_words);
  Words words{};
  ec_to_words(words.data(), &products.back());
  if (is_zero(words)) return false;
  modular_inverse(words.data(), words.data(), &modulus);
  ec_fe inverse;
  ec_from_words(&inverse, words.data());
  // The inversion is the one part that is tested and not proven. A wrong one would be our bug: stop.
  ec_fe one;
  ec_mul(&one, &inverse, &products.back());
  ec_fe r_mod_p;
  ec_constant(&r_mod_p, ec_p_r);
  ec_sub(&one, &one, &r_mod_p);
  if (ec_is_zero(&one) == 0) __builtin_trap();
  for (std::size_t i = values.size() - 1; i > 0; i--) {
    ec_fe one_inverse;
    ec_mul(&one_inverse, &inverse, &products[i - 1]);
    ec_mul(&inverse, &inverse, &values[i]);
    values[i] = one_inverse;
  }
  values[0] = inverse;
  return true;
}

ec_affine affine_of(const ec_jacobian& point, const ec_fe& z_inverse) {
  ec_affine out;
  ec_fe power;
  ec_square(&power, &z_inverse);
  ec_mul(&out.x, &point.x, &power);
  ec_mul(&power, &power, &z_inverse);
  ec_mul(&out.y, &point.y, &power);
  return out;
}

// ----------------------------------------------------------------------------------------------------------- digits

// Without a table. 5 bits: 16 multiples to compute against 52 or 77 additions.
constexpr int plain_window = 5;
constexpr std::size_t plain_multiples = std::size_t{1} << (plain_window - 1);

// The large ones: 8 bits for P-384 would take three times the memory of 6 and save a quarter of the additions.
constexpr int window_bits(TableSize size) { return size == TableSize::small ? 4 : field_bits == 256 ? 8 : 6; }
constexpr int windows(int bits) { return (field_bits + bits - 1) / bits; }
constexpr int windows_max = windows(window_bits(TableSize::small));
constexpr std::size_t window_multiples(TableSize size) { return std::size_t{1} << (window_bits(size) - 1); }
constexpr std::size_t table_points(TableSize size) {
  return static_cast<std::size_t>(windows(window_bits(size))) * window_multiples(size);
}
constexpr TableOffer offer_of(TableSize size) {
  const EcdsaTableOffers& offers = field_bits == 256 ? p256_tables : p384_tables;
  return size == TableSize::small ? offers.small : offers.large;
}
static_assert(offer_of(TableSize::small).bytes == table_points(TableSize::small) * sizeof(PackedPoint));
static_assert(offer_of(TableSize::large).bytes == table_points(TableSize::large) * sizeof(PackedPoint));

struct Digit {
  std::uint8_t index = 0;  // of the odd multiple 2 index + 1
  bool negative = false;
};
using Digits = std::array<Digit, windows_max>;

// k in [0, n) as odd digits of `bits` bits and a sign, none zero (Joye, Tunstall: "Exponent recoding and regular exponentiation
// algorithms", AFRICACRYPT 2009). An even k is taken as -(n - k), 0 as -n.
Digits digits_of(Words k, int bits) {
  const bool negated = (k[0] & 1U) == 0;
  if (negated) k = subtract(order, k);
  const auto half = std::uint64_t{1} << (bits - 1);
  const int count = windows(bits);
  Digits digits{};
  for (int i = 0; i < count; i++) {
    // Bits above the window's lowest: 2 slice + 1 - 2^bits, the 2^bits being handed to the next digit, which it makes odd.
    const std::uint64_t slice = words_slice(k.data(), bits * i + 1, bits);
    Digit& digit = digits[static_cast<std::size_t>(i)];
    if (i == count - 1) {
      digit = {static_cast<std::uint8_t>(slice), negated};
    } else if (slice >= half) {
      digit = {static_cast<std::uint8_t>(slice - half), negated};
    } else {
      digit = {static_cast<std::uint8_t>(half - 1 - slice), !negated};
    }
  }
  return digits;
}

// ------------------------------------------------------------------------------------------------------------- sums

class Sum {
 public:
  // Adds Z = 0 as what it is for ec_add_affine: Z stays zero. The point is affine on the curve that (x, y) -> (x Z^2, y Z^3)
  // leads to, Z being its own; there it is added ("effective affine", libsecp256k1).
  void add(const ec_jacobian& point) {
    if (empty_) {
      value_ = point;
      empty_ = false;
      return;
    }
    ec_fe power;
    ec_square(&power, &point.z);
    ec_mul(&value_.x, &value_.x, &power);
    ec_mul(&power, &power, &point.z);
    ec_mul(&value_.y, &value_.y, &power);
    const ec_affine there{point.x, point.y};
    ec_add_affine(&value_, &there);
    ec_mul(&value_.z, &value_.z, &point.z);
  }
  void add(const ec_affine& point) {
    if (empty_) {
      value_ = jacobian_of(point);
      empty_ = false;
    } else {
      ec_add_affine(&value_, &point);
    }
  }
  void double_times(int times) {
    if (empty_) return;
    for (int i = 0; i < times; i++) ec_double(&value_);
  }
  [[nodiscard]] const ec_jacobian& value() const { return value_; }

 private:
  ec_jacobian value_{};
  bool empty_ = true;
};

// Multiples of one point: windows of 2^(bits i) times 1, 3, 5, ... 2^bits - 1.
struct Table {
  TableSize size;
  std::vector<PackedPoint> points;
};

using PlainMultiples = std::array<ec_affine, plain_multiples>;

// 1, 3, 5, ... 31 times the point. 2P is affine on the curve that (x, y) -> (x Z^2, y Z^3) leads to, Z being that of 2P; the
// additions, which do not use the curve's constants, are done there ("effective affine", libsecp256k1), and one inversion leads
// back.
PlainMultiples plain_multiples_of(const ec_affine& point) {
  ec_jacobian twice = jacobian_of(point);
  ec_double(&twice);
  ec_fe power;
  ec_affine there;
  ec_square(&power, &twice.z);
  ec_mul(&there.x, &point.x, &power);
  ec_mul(&power, &power, &twice.z);
  ec_mul(&there.y, &point.y, &power);
  const ec_affine step{twice.x, twice.y};

  std::array<ec_jacobian, plain_multiples> multiples;
  std::array<ec_fe, plain_multiples> z;
  std::array<ec_fe, plain_multiples> products;
  multiples[0] = jacobian_of(there);
  for (std::size_t i = 1; i < plain_multiples; i++) {
    multiples[i] = multiples[i - 1];
    ec_add_affine(&multiples[i], &step);
  }
  for (std::size_t i = 0; i < plain_multiples; i++) ec_mul(&z[i], &multiples[i].z, &twice.z);
  if (!invert_all(z, products)) __builtin_trap();  // none of them is infinity
  PlainMultiples out;
  for (std::size_t i = 0; i < plain_multiples; i++) out[i] = affine_of(multiples[i], z[i]);
  return out;
}

// A factor and the point it multiplies.
struct Term {
  const PackedPoint* point;  // null: the generator
  const Table* table;        // null: none yet
  Words factor;
};

class TermDigits {
 public:
  explicit TermDigits(const Term& term)
      : table_(term.table),
        bits_(table_ == nullptr ? plain_window : window_bits(table_->size)),
        digits_(digits_of(term.factor, bits_)) {
    if (table_ != nullptr) return;
    if (term.point != nullptr) {
      plain_ = plain_multiples_of(unpack(*term.point));
      return;
    }
    for (std::size_t i = 0; i < plain_multiples; i++) plain_[i] = affine_of(ec_g_odd[i][0], ec_g_odd[i][1]);
  }

  [[nodiscard]] bool has_table() const { return table_ != nullptr; }
  // How many parts the term has.
  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(windows(bits_)); }

  // Digit i times the point, and with a table times 2^(bits i) too.
  [[nodiscard]] ec_affine part(std::size_t i) const {
    const Digit digit = digits_[i];
    ec_affine point = table_ == nullptr ? plain_[digit.index] : unpack(*place(i));
    if (digit.negative) ec_negate(&point.y, &point.y);
    return point;
  }
  [[nodiscard]] bool negative(std::size_t i) const { return digits_[i].negative; }
  // With a table: part i, but for its sign.
  [[nodiscard]] const PackedPoint* place(std::size_t i) const {
    return &table_->points[i * window_multiples(table_->size) + digits_[i].index];
  }

  void prefetch() const {
    for (std::size_t i = 0; i < count(); i++) {
      __builtin_prefetch(place(i));
      if (sizeof(PackedPoint) > 64) __builtin_prefetch(&place(i)->y);
    }
  }

 private:
  const Table* table_;
  int bits_;
  Digits digits_;
  PlainMultiples plain_;  // only without a table
};

using Terms = std::array<TermDigits, 2>;

// Adds the parts that tables give, but for each term's lowest, which is handed back; its neighbours may be in it.
#if POSTERN_LIMB_BITS == 29
// As two sums in two lanes, of the key's parts and of the generator's where both have as many. To halve first (below) would be
// as fast at best: there are two inversions to it.
[[nodiscard]] bool add_tables(Sum& sum, const Terms& terms, std::array<ec_affine, 2>& lowest) {
  struct Part {
    const PackedPoint* point;
    bool negative;
  };
  std::array<Part, 2 * windows_max> parts;
  std::size_t size = 0;
  for (std::size_t t = 0; t < 2; t++) {
    if (!terms[t].has_table()) continue;
    lowest[t] = terms[t].part(0);
    for (std::size_t i = 1; i < terms[t].count(); i++) parts[size++] = {terms[t].place(i), terms[t].negative(i)};
  }
  const std::size_t half = size / 2;
  if (half == 0) return true;
  // All are read before the first is used: where they are not in the cache, the processor waits for several at a time.
  std::array<ec_lanes_affine, windows_max> rows;
  for (std::size_t i = 0; i < half; i++) {
    const Part& first = parts[i];
    const Part& second = parts[half + i];
    ec_lanes_from_words(&rows[i].x, first.point->x.data(), second.point->x.data());
    ec_lanes_from_words(&rows[i].y, first.point->y.data(), second.point->y.data());
    ec_lanes_negate_where(&rows[i].y, first.negative, second.negative);
  }
  ec_lanes_jacobian sums{rows[0].x, rows[0].y, {}};
  ec_lanes_constant(&sums.z, ec_p_r);
  for (std::size_t i = 1; i < half; i++) ec_lanes_add_affine(&sums, &rows[i]);
  for (int lane = 0; lane < ec_lanes; lane++) {
    ec_jacobian one;
    ec_lanes_get(&one.x, &sums.x, lane);
    ec_lanes_get(&one.y, &sums.y, lane);
    ec_lanes_get(&one.z, &sums.z, lane);
    sum.add(one);
  }
  // One term alone has an odd number of parts without the lowest.
  const TermDigits& last = terms[terms[1].has_table() ? 1 : 0];
  if (size % 2 != 0) sum.add(last.part(last.count() - 1));
  return true;
}
#else
// Neighbours added: half as many points. An addition in affine coordinates is 5M + 1S with its share of one inversion, which
// costs as much as 50 to 60 multiplications; into a Jacobian sum it is 8M + 3S. So this pays from 16 additions on.
constexpr std::size_t halving_min = 32;
[[nodiscard]] bool halve(std::span<ec_affine> points) {
  std::array<ec_fe, windows_max> differences;
  std::array<ec_fe, windows_max> products;
  const std::size_t pairs = points.size() / 2;
  for (std::size_t i = 0; i < pairs; i++) ec_sub(&differences[i], &points[2 * i + 1].x, &points[2 * i].x);
  if (!invert_all(std::span(differences).first(pairs), std::span(products).first(pairs))) return false;
  for (std::size_t i = 0; i < pairs; i++) {
    const ec_affine left = points[2 * i];
    ec_add_two(&points[i], &left, &points[2 * i + 1], &differences[i]);
  }
  return true;
}

// False where an addition turned out exceptional at once. Neighbours are added until an inversion no longer pays.
[[nodiscard]] bool add_tables(Sum& sum, const Terms& terms, std::array<ec_affine, 2>& lowest) {
  std::array<ec_affine, 2 * windows_max> points;
  std::size_t size = 0;
  std::array<std::size_t, 2> parts{};  // of each term, among the points
  for (const TermDigits& term : terms) {
    if (term.has_table()) term.prefetch();
  }
  for (std::size_t t = 0; t < 2; t++) {
    if (!terms[t].has_table()) continue;
    parts[t] = terms[t].count();
    for (std::size_t i = 0; i < parts[t]; i++) points[size++] = terms[t].part(i);
  }
  // A sum of one term's neighbours is that term's: the numbers of parts stay even as long as they are halved.
  static_assert(windows(window_bits(TableSize::small)) % 8 == 0 && windows(window_bits(TableSize::large)) % 8 == 0);
  static_assert(2 * windows_max / 8 < halving_min);
  while (size >= halving_min) {
    if (!halve(std::span(points).first(size))) return false;
    size /= 2;
    for (std::size_t& count : parts) count /= 2;
  }
  for (std::size_t i = 0; i < size; i++) {
    if (i != 0 && i != parts[0]) sum.add(points[i]);
  }
  for (std::size_t t = 0; t < 2; t++) {
    if (terms[t].has_table()) lowest[t] = points[t == 0 ? 0 : parts[0]];
  }
  return true;
}
#endif

// The sum of both terms, or nothing where an addition turned out exceptional at once. Those without a table share the doublings
// (Straus, "Addition chains of vectors", 1964; "Shamir's trick").
//
// The lowest parts of both come last, so that nobody can make an exceptional addition who does not know how many times the
// generator the key is. Before them, parts of one term alone never meet: without a table the sum so far is 2^bits times more
// than the next digit, and under n; with one, what is added are different even numbers, under 2n together, and n is odd: two
// neighbours, what there is so far and a higher part, in lanes also the sum of some parts and that of all higher ones. (With the
// lowest ones there are scalars for which the last addition doubles.) And once both terms are in the sum, a coincidence is
// an equation between G and Q.
std::optional<Sum> sum_of(const Term& key, const Term& generator) {
  const Terms terms{TermDigits(key), TermDigits(generator)};
  Sum sum;
  if (!terms[0].has_table() || !terms[1].has_table()) {
    for (auto i = static_cast<std::size_t>(windows(plain_window)); i-- > 0;) {
      sum.double_times(plain_window);
      for (const TermDigits& term : terms) {
        if (i != 0 && !term.has_table()) sum.add(term.part(i));
      }
    }
  }
  std::array<ec_affine, 2> lowest;
  if (!add_tables(sum, terms, lowest)) return std::nullopt;
  for (std::size_t t = 0; t < 2; t++) sum.add(terms[t].has_table() ? lowest[t] : terms[t].part(0));
  return sum;
}

// ------------------------------------------------------------------------------------------------------ verification

struct Limbs {
  limb v[limb_count];
};

Limbs limbs_of(const Words& words) {
  Limbs out;
  limbs_from_words(out.v, words.data());
  return out;
}

Words words_of(const Limbs& limbs) {
  Words out{};
  words_from_limbs(out.data(), limbs.v);
  return out;
}

Limbs multiply(const Limbs& a, const Limbs& b) {
  Limbs out;
  ec_scalar_mul(out.v, a.v, b.v);
  return out;
}

// Whether the point's x is `value`, without the division by Z^2.
bool x_is(const ec_jacobian& point, const ec_fe& zz, const Words& value) {
  ec_fe x;
  ec_from_words(&x, value.data());
  ec_mul(&x, &x, &zz);
  ec_sub(&x, &x, &point.x);
  return ec_is_zero(&x) != 0;
}

// FIPS 186-5, 6.4.2; the steps' numbers are at their lines. Step 1 was done when the key was made, step 2 is the caller's hash.
EcdsaAnswer verify_signature(const PackedPoint& key, const Table* key_table, const Table* generator_table,
                             std::span<const std::uint8_t> hash, std::string_view signature) {
  // 1: r and s in [1, n-1] (CVE-2022-21449 is what happens otherwise).
  if (signature.size() != 2 * number_bytes || hash.size() != number_bytes) return EcdsaAnswer::refused;
  const Words r = read_words(signature.substr(0, number_bytes));
  const Words s = read_words(signature.substr(number_bytes));
  if (is_zero(r) || is_zero(s) || !less(r, order) || !less(s, order)) return EcdsaAnswer::refused;

  // 3: e is the hash as it is, since it is as long as n; that it may be over n is taken care of by the products below.
  const Words e = read_words(hash.data());

  // 4: 1/s mod n. A wrong inverse (which would be our bug) is not trusted: it is multiplied out again.
  inverse_modulus modulus;
  inverse_modulus_from_words(&modulus, ec_n_words);
  Words inverse{};
  modular_inverse(inverse.data(), s.data(), &modulus);
  Limbs rr;
  std::copy(std::begin(ec_n_rr), std::end(ec_n_rr), std::begin(rr.v));
  const Limbs inverse_r = multiply(limbs_of(inverse), rr);  // times R, so that each product below loses it again
  if (words_of(multiply(inverse_r, limbs_of(s))) != Words{1}) return EcdsaAnswer::undecided;

  // 5: u = e/s, v = r/s mod n.  6: R = u G + v Q.
  const Words u = words_of(multiply(inverse_r, limbs_of(e)));
  const Words v = words_of(multiply(inverse_r, limbs_of(r)));
  const std::optional<Sum> sum = sum_of({&key, key_table, v}, {nullptr, generator_table, u});

  // 7: infinity is refused; but the formulas also come to Z = 0 by an addition that they cannot do (ec_add_affine).
  if (!sum.has_value() || ec_is_zero(&sum->value().z) != 0) return EcdsaAnswer::undecided;
  const ec_jacobian& point = sum->value();

  // 8, 9: x mod n is r. x is below p, so it is r or, where that is below p, r + n.
  ec_fe zz;
  ec_square(&zz, &point.z);
  if (x_is(point, zz, r)) return EcdsaAnswer::accepted;
  if (less(r, subtract(prime, order)) && x_is(point, zz, add(r, order))) return EcdsaAnswer::accepted;
  return EcdsaAnswer::refused;
}

// --------------------------------------------------------------------------------------------------------- building

// A point to its table, slice_bits of scalar a slice: an eighth of the table of P-256, a sixteenth of that of P-384.
class Building {
 public:
  Building(const PackedPoint& point, TableSize size) : next_(jacobian_of(unpack(point))) {
    table_ = std::make_unique<Table>(Table{size, {}});
    table_->points.reserve(table_points(size));
  }

  // True once the table is whole.
  bool slice() {
    const auto bits = static_cast<std::size_t>(window_bits(table_->size));
    const std::size_t multiples = window_multiples(table_->size);
    const std::size_t count = slice_bits / bits;  // windows in a slice; both sizes divide slice_bits, and that field_bits
    slice_powers();
    // points_[i * multiples + k] is 2k + 1 times the base of window i. The multiples that are there, plus the base times the next
    // power of two, are as many more.
    points_.resize(count * multiples);
    for (std::size_t i = 0; i < count; i++) points_[i * multiples] = powers_[i * bits];
    for (std::size_t have = 1, power = 1; have < multiples; have *= 2, power++) {
      differences_.resize(count * have);
      products_.resize(count * have);
      for (std::size_t i = 0; i < count; i++) {
        for (std::size_t k = 0; k < have; k++) {
          ec_sub(&differences_[i * have + k], &powers_[i * bits + power].x, &points_[i * multiples + k].x);
        }
      }
      // 2k + 1 is neither plus nor minus a power of two from 2 up, modulo n.
      if (!invert_all(differences_, products_)) __builtin_trap();
      for (std::size_t i = 0; i < count; i++) {
        for (std::size_t k = 0; k < have; k++) {
          ec_add_two(&points_[i * multiples + have + k], &points_[i * multiples + k], &powers_[i * bits + power],
                     &differences_[i * have + k]);
        }
      }
    }
    for (const ec_affine& point : points_) table_->points.push_back(pack(point));
    return table_->points.size() == table_points(table_->size);
  }

  [[nodiscard]] std::unique_ptr<Table> take() { return std::move(table_); }
  [[nodiscard]] TableSize size() const { return table_->size; }

 private:
  static constexpr std::size_t slice_bits = field_bits == 256 ? 32 : 24;

  // The next slice_bits doublings, made affine.
  void slice_powers() {
    std::array<ec_jacobian, slice_bits> powers;
    std::array<ec_fe, slice_bits> z;
    std::array<ec_fe, slice_bits> products;
    for (std::size_t i = 0; i < slice_bits; i++) {
      powers[i] = next_;
      z[i] = next_.z;
      ec_double(&next_);
    }
    if (!invert_all(z, products)) __builtin_trap();  // none of them is infinity
    for (std::size_t i = 0; i < slice_bits; i++) powers_[i] = affine_of(powers[i], z[i]);
  }

  std::unique_ptr<Table> table_;
  ec_jacobian next_;
  std::array<ec_affine, slice_bits> powers_{};
  std::vector<ec_affine> points_;
  std::vector<ec_fe> differences_;
  std::vector<ec_fe> products_;
};

// ------------------------------------------------------------------------------------------------------------- keys

// One point that may have a table: a key, or the generator.
class PointUser final : public EcdsaKey {
 public:
  PointUser(TableBudget& budget, PointUser* generator, const PackedPoint& point)
      : EcdsaKey(budget, generator), generator_(generator), point_(point) {}

  [[nodiscard]] EcdsaAnswer verify(std::span<const std::uint8_t> hash, std::string_view signature) override {
    const EcdsaAnswer answer = verify_signature(point_, table_.get(), generator_->table_.get(), hash, signature);
    if (answer == EcdsaAnswer::accepted) count_use();
    return answer;
  }

 private:
  [[nodiscard]] std::optional<TableOffer> offer(TableSize size) const override { return offer_of(size); }
  [[nodiscard]] bool build_slice(TableSize size) override {
    if (!building_.has_value()) building_.emplace(point_, size);
    if (!building_->slice()) return false;
    table_ = building_->take();
    building_.reset();
    return true;
  }
  void drop_table() override { table_.reset(); }

  PointUser* generator_;  // null for itself
  PackedPoint point_;
  std::unique_ptr<Table> table_;
  std::optional<Building> building_;
};

std::unique_ptr<EcdsaKey> make_key(TableBudget& budget, std::string_view curve, std::string_view x, std::string_view y) {
  if (x.size() != number_bytes || y.size() != number_bytes) return nullptr;
  const Words x_words = read_words(x);
  const Words y_words = read_words(y);
  if (!less(x_words, prime) || !less(y_words, prime)) return nullptr;
  const ec_affine point = affine_of(x_words.data(), y_words.data());
  if (!on_curve(point)) return nullptr;
  TableUser* generator = budget.shared(curve);
  if (generator == nullptr) {
    const PackedPoint packed = pack(affine_of(ec_g_odd[0][0], ec_g_odd[0][1]));
    generator = &budget.share(curve, std::make_unique<PointUser>(budget, nullptr, packed));
  }
  return std::make_unique<PointUser>(budget, static_cast<PointUser*>(generator), pack(point));
}

}  // namespace
}  // namespace POSTERN_FIELD_NAMESPACE
}  // namespace postern
