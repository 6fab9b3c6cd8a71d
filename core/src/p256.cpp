#include "p256.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "modinv.h"
#include "p256_field.h"

namespace postern {

namespace {

// ------------------------------------------------------------------------------------------------- 256-bit numbers

using Words = std::array<std::uint64_t, 4>;  // the lowest first

constexpr Words words_of(const std::uint64_t (&words)[4]) { return {words[0], words[1], words[2], words[3]}; }
constexpr Words order = words_of(p256_n_words);
constexpr Words prime = words_of(p256_p_words);

Words read_words(const std::uint8_t* big_endian) {
  Words words{};
  for (std::size_t i = 0; i < 32; i++) words[3 - i / 8] = words[3 - i / 8] << 8U | big_endian[i];
  return words;
}

Words read_words(std::string_view big_endian) { return read_words(reinterpret_cast<const std::uint8_t*>(big_endian.data())); }

bool is_zero(const Words& a) { return (a[0] | a[1] | a[2] | a[3]) == 0; }

bool less(const Words& a, const Words& b) { return std::lexicographical_compare(a.rbegin(), a.rend(), b.rbegin(), b.rend()); }

// For b <= a.
Words subtract(const Words& a, const Words& b) {
  Words difference{};
  std::uint64_t borrow = 0;
  for (std::size_t i = 0; i < 4; i++) {
    difference[i] = a[i] - b[i] - borrow;
    borrow = static_cast<std::uint64_t>(a[i] < b[i] || (a[i] == b[i] && borrow != 0));
  }
  return difference;
}

// For sums below 2^256.
Words add(const Words& a, const Words& b) {
  Words sum{};
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < 4; i++) {
    sum[i] = a[i] + b[i] + carry;
    carry = static_cast<std::uint64_t>(sum[i] < a[i] || (sum[i] == a[i] && carry != 0));
  }
  return sum;
}

// ----------------------------------------------------------------------------------------------------------- points

// x and y in [0, p), times R: the form of a table, one cache line a point.
struct alignas(64) PackedPoint {
  Words x;
  Words y;
};

p256_affine unpack(const PackedPoint& packed) {
  p256_affine point;
  limbs_from_words(point.x.v, packed.x.data());
  limbs_from_words(point.y.v, packed.y.data());
  return point;
}

PackedPoint pack(const p256_affine& point) {
  PackedPoint packed{};
  p256_fe canonical;
  p256_canonical(&canonical, &point.x);
  words_from_limbs(packed.x.data(), canonical.v);
  p256_canonical(&canonical, &point.y);
  words_from_limbs(packed.y.data(), canonical.v);
  return packed;
}

p256_affine affine_of(const std::uint64_t x[4], const std::uint64_t y[4]) {
  p256_affine point;
  p256_from_words(&point.x, x);
  p256_from_words(&point.y, y);
  return point;
}

p256_jacobian jacobian_of(const p256_affine& point) {
  p256_jacobian out{point.x, point.y, {}};
  p256_constant(&out.z, p256_p_r);
  return out;
}

// y^2 = x^3 - 3x + b, SP 800-186 3.2.1.
bool on_curve(const p256_affine& point) {
  p256_fe left;
  p256_fe right;
  p256_fe constant;
  p256_square(&left, &point.y);
  p256_square(&right, &point.x);
  p256_mul(&right, &right, &point.x);
  for (int i = 0; i < 3; i++) {
    p256_sub(&right, &right, &point.x);
    p256_carry(&right);
  }
  p256_constant(&constant, p256_p_b);
  p256_add(&right, &right, &constant);
  p256_carry(&right);
  p256_sub(&left, &left, &right);
  return p256_is_zero(&left) != 0;
}

// Each of `values` to its inverse, with one inversion: Montgomery, "Speeding the Pollard and elliptic curve methods of
// factorization", Math. Comp. 48 (1987), 10.3.1. `products` is of the same size. False if one of them is zero modulo p.
[[nodiscard]] bool invert_all(std::span<p256_fe> values, std::span<p256_fe> products) {
  products[0] = values[0];
  for (std::size_t i = 1; i < values.size(); i++) p256_mul(&products[i], &products[i - 1], &values[i]);
  inverse_modulus modulus;
  inverse_modulus_from_words(&modulus, p256_p_words);
  Words words{};
  p256_to_words(words.data(), &products.back());
  if (is_zero(words)) return false;
  modular_inverse(words.data(), words.data(), &modulus);
  p256_fe inverse;
  p256_from_words(&inverse, words.data());
  // The inversion is the one part that is tested and not proven. A wrong one would be our bug: stop.
  p256_fe one;
  p256_mul(&one, &inverse, &products.back());
  p256_fe r_mod_p;
  p256_constant(&r_mod_p, p256_p_r);
  p256_sub(&one, &one, &r_mod_p);
  if (p256_is_zero(&one) == 0) __builtin_trap();
  for (std::size_t i = values.size() - 1; i > 0; i--) {
    p256_fe one_inverse;
    p256_mul(&one_inverse, &inverse, &products[i - 1]);
    p256_mul(&inverse, &inverse, &values[i]);
    values[i] = one_inverse;
  }
  values[0] = inverse;
  return true;
}

p256_affine affine_of(const p256_jacobian& point, const p256_fe& z_inverse) {
  p256_affine out;
  p256_fe power;
  p256_square(&power, &z_inverse);
  p256_mul(&out.x, &point.x, &power);
  p256_mul(&power, &power, &z_inverse);
  p256_mul(&out.y, &point.y, &power);
  return out;
}

// ----------------------------------------------------------------------------------------------------------- digits

// Without a table. 5 bits: 16 multiples to compute against 52 additions.
constexpr int plain_window = 5;
constexpr std::size_t plain_multiples = std::size_t{1} << (plain_window - 1);

constexpr int window_bits(TableSize size) { return size == TableSize::small ? 4 : 8; }
constexpr int windows(int bits) { return (256 + bits - 1) / bits; }
constexpr int windows_max = windows(window_bits(TableSize::small));
constexpr std::size_t window_multiples(TableSize size) { return std::size_t{1} << (window_bits(size) - 1); }
constexpr std::size_t table_points(TableSize size) {
  return static_cast<std::size_t>(windows(window_bits(size))) * window_multiples(size);
}
constexpr std::size_t table_bytes(TableSize size) { return table_points(size) * sizeof(PackedPoint); }

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
  void add(const p256_affine& point) {
    if (empty_) {
      value_ = jacobian_of(point);
      empty_ = false;
    } else {
      p256_add_affine(&value_, &point);
    }
  }
  void double_times(int times) {
    if (empty_) return;
    for (int i = 0; i < times; i++) p256_double(&value_);
  }
  [[nodiscard]] const p256_jacobian& value() const { return value_; }

 private:
  p256_jacobian value_{};
  bool empty_ = true;
};

// Multiples of one point: windows of 2^(bits i) times 1, 3, 5, ... 2^bits - 1.
struct Table {
  TableSize size;
  std::vector<PackedPoint> points;
};

using PlainMultiples = std::array<p256_affine, plain_multiples>;

// 1, 3, 5, ... 31 times the point. 2P is affine on the curve that (x, y) -> (x Z^2, y Z^3) leads to, Z being that of 2P; the
// additions, which do not use the curve's constants, are done there ("effective affine", libsecp256k1), and one inversion leads
// back.
PlainMultiples plain_multiples_of(const p256_affine& point) {
  p256_jacobian twice = jacobian_of(point);
  p256_double(&twice);
  p256_fe power;
  p256_affine there;
  p256_square(&power, &twice.z);
  p256_mul(&there.x, &point.x, &power);
  p256_mul(&power, &power, &twice.z);
  p256_mul(&there.y, &point.y, &power);
  const p256_affine step{twice.x, twice.y};

  std::array<p256_jacobian, plain_multiples> multiples;
  std::array<p256_fe, plain_multiples> z;
  std::array<p256_fe, plain_multiples> products;
  multiples[0] = jacobian_of(there);
  for (std::size_t i = 1; i < plain_multiples; i++) {
    multiples[i] = multiples[i - 1];
    p256_add_affine(&multiples[i], &step);
  }
  for (std::size_t i = 0; i < plain_multiples; i++) p256_mul(&z[i], &multiples[i].z, &twice.z);
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
    for (std::size_t i = 0; i < plain_multiples; i++) plain_[i] = affine_of(p256_g_odd[i][0], p256_g_odd[i][1]);
  }

  [[nodiscard]] bool has_table() const { return table_ != nullptr; }
  [[nodiscard]] std::size_t count() const { return static_cast<std::size_t>(windows(bits_)); }

  // Digit i times the point, and with a table times 2^(bits i) too.
  [[nodiscard]] p256_affine part(std::size_t i) const {
    const Digit digit = digits_[i];
    p256_affine point = table_ == nullptr ? plain_[digit.index] : unpack(*place(i));
    if (digit.negative) p256_negate(&point.y, &point.y);
    return point;
  }

  void prefetch() const {
    for (std::size_t i = 0; i < count(); i++) __builtin_prefetch(place(i));
  }

 private:
  [[nodiscard]] const PackedPoint* place(std::size_t i) const {
    return &table_->points[i * window_multiples(table_->size) + digits_[i].index];
  }

  const Table* table_;
  int bits_;
  Digits digits_;
  PlainMultiples plain_;  // only without a table
};

// Neighbours added: half as many points. An addition in affine coordinates is 5M + 1S with its share of one inversion, which
// costs as much as 50 to 60 multiplications; into a Jacobian sum it is 8M + 3S. So this pays from 16 additions on.
constexpr std::size_t halving_min = 32;
[[nodiscard]] bool halve(std::span<p256_affine> points) {
  std::array<p256_fe, windows_max> differences;
  std::array<p256_fe, windows_max> products;
  const std::size_t pairs = points.size() / 2;
  for (std::size_t i = 0; i < pairs; i++) p256_sub(&differences[i], &points[2 * i + 1].x, &points[2 * i].x);
  if (!invert_all(std::span(differences).first(pairs), std::span(products).first(pairs))) return false;
  for (std::size_t i = 0; i < pairs; i++) {
    const p256_affine left = points[2 * i];
    p256_add_two(&points[i], &left, &points[2 * i + 1], &differences[i]);
  }
  return true;
}

// The sum of both terms, or nothing where an addition turned out exceptional at once. Those without a table share the doublings
// (Straus, "Addition chains of vectors", 1964; "Shamir's trick").
//
// The lowest parts of both come last, so that nobody can make an exceptional addition who does not know how many times the
// generator the key is. Before them, parts of one term alone never meet: without a table the sum so far is 2^bits times more
// than the next digit, and under n; with one, what is added are different even numbers, under 2n together, and n is odd. (With
// the lowest ones there are scalars for which the last addition doubles.) And once both terms are in the sum, a coincidence is
// an equation between G and Q.
std::optional<Sum> sum_of(const Term& key, const Term& generator) {
  const std::array<TermDigits, 2> terms{TermDigits(key), TermDigits(generator)};
  Sum sum;
  if (!terms[0].has_table() || !terms[1].has_table()) {
    for (auto i = static_cast<std::size_t>(windows(plain_window)); i-- > 0;) {
      sum.double_times(plain_window);
      for (const TermDigits& term : terms) {
        if (i != 0 && !term.has_table()) sum.add(term.part(i));
      }
    }
  }

  std::array<p256_affine, 2 * windows_max> points;
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
  while (size >= halving_min) {  // both numbers of parts are powers of two from 32 up, so that terms do not mix
    if (!halve(std::span(points).first(size))) return std::nullopt;
    size /= 2;
    for (std::size_t& count : parts) count /= 2;
  }
  for (std::size_t i = 0; i < size; i++) {
    if (i != 0 && i != parts[0]) sum.add(points[i]);
  }
  for (std::size_t t = 0; t < 2; t++) {
    if (terms[t].has_table()) {
      sum.add(points[t == 0 ? 0 : parts[0]]);
    } else {
      sum.add(terms[t].part(0));
    }
  }
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
  p256_scalar_mul(out.v, a.v, b.v);
  return out;
}

// Whether the point's x is `value`, without the division by Z^2.
bool x_is(const p256_jacobian& point, const p256_fe& zz, const Words& value) {
  p256_fe x;
  p256_from_words(&x, value.data());
  p256_mul(&x, &x, &zz);
  p256_sub(&x, &x, &point.x);
  return p256_is_zero(&x) != 0;
}

// FIPS 186-5, 6.4.2; the steps' numbers are at their lines. Step 1 was done when the key was made, step 2 is the caller's hash.
P256Answer verify_signature(const PackedPoint& key, const Table* key_table, const Table* generator_table,
                            std::span<const std::uint8_t, 32> hash, std::string_view signature) {
  // 1: r and s in [1, n-1] (CVE-2022-21449 is what happens otherwise).
  if (signature.size() != 64) return P256Answer::refused;
  const Words r = read_words(signature.substr(0, 32));
  const Words s = read_words(signature.substr(32));
  if (is_zero(r) || is_zero(s) || !less(r, order) || !less(s, order)) return P256Answer::refused;

  // 3: e is the hash as it is, since it is as long as n; that it may be over n is taken care of by the products below.
  const Words e = read_words(hash.data());

  // 4: 1/s mod n. A wrong inverse (which would be our bug) is not trusted: it is multiplied out again.
  inverse_modulus modulus;
  inverse_modulus_from_words(&modulus, p256_n_words);
  Words inverse{};
  modular_inverse(inverse.data(), s.data(), &modulus);
  Limbs rr;
  std::copy(std::begin(p256_n_rr), std::end(p256_n_rr), std::begin(rr.v));
  const Limbs inverse_r = multiply(limbs_of(inverse), rr);  // times R, so that each product below loses it again
  if (words_of(multiply(inverse_r, limbs_of(s))) != Words{1, 0, 0, 0}) return P256Answer::undecided;

  // 5: u = e/s, v = r/s mod n.  6: R = u G + v Q.
  const Words u = words_of(multiply(inverse_r, limbs_of(e)));
  const Words v = words_of(multiply(inverse_r, limbs_of(r)));
  const std::optional<Sum> sum = sum_of({&key, key_table, v}, {nullptr, generator_table, u});

  // 7: infinity is refused; but the formulas also come to Z = 0 by an addition that they cannot do (p256_add_affine).
  if (!sum.has_value() || p256_is_zero(&sum->value().z) != 0) return P256Answer::undecided;
  const p256_jacobian& point = sum->value();

  // 8, 9: x mod n is r. x is below p, so it is r or, where that is below p, r + n.
  p256_fe zz;
  p256_square(&zz, &point.z);
  if (x_is(point, zz, r)) return P256Answer::accepted;
  if (less(r, subtract(prime, order)) && x_is(point, zz, add(r, order))) return P256Answer::accepted;
  return P256Answer::refused;
}

// --------------------------------------------------------------------------------------------------------- building

// A point to its table, 32 bits of scalar (an eighth of the table) a slice.
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
    const std::size_t count = slice_bits / bits;  // windows in a slice; both sizes divide slice_bits, and that 256
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
          p256_sub(&differences_[i * have + k], &powers_[i * bits + power].x, &points_[i * multiples + k].x);
        }
      }
      // 2k + 1 is neither plus nor minus a power of two from 2 up, modulo n.
      if (!invert_all(differences_, products_)) __builtin_trap();
      for (std::size_t i = 0; i < count; i++) {
        for (std::size_t k = 0; k < have; k++) {
          p256_add_two(&points_[i * multiples + have + k], &points_[i * multiples + k], &powers_[i * bits + power],
                       &differences_[i * have + k]);
        }
      }
    }
    for (const p256_affine& point : points_) table_->points.push_back(pack(point));
    return table_->points.size() == table_points(table_->size);
  }

  [[nodiscard]] std::unique_ptr<Table> take() { return std::move(table_); }
  [[nodiscard]] TableSize size() const { return table_->size; }

 private:
  static constexpr std::size_t slice_bits = 32;

  // The next slice_bits doublings, made affine.
  void slice_powers() {
    std::array<p256_jacobian, slice_bits> powers;
    std::array<p256_fe, slice_bits> z;
    std::array<p256_fe, slice_bits> products;
    for (std::size_t i = 0; i < slice_bits; i++) {
      powers[i] = next_;
      z[i] = next_.z;
      p256_double(&next_);
    }
    if (!invert_all(z, products)) __builtin_trap();  // none of them is infinity
    for (std::size_t i = 0; i < slice_bits; i++) powers_[i] = affine_of(powers[i], z[i]);
  }

  std::unique_ptr<Table> table_;
  p256_jacobian next_;
  std::array<p256_affine, slice_bits> powers_{};
  std::vector<p256_affine> points_;
  std::vector<p256_fe> differences_;
  std::vector<p256_fe> products_;
};

}  // namespace

// ------------------------------------------------------------------------------------------------------------- keys

// One point that may have a table: a key, or the generator.
class P256Tables::User final : public TableUser {
 public:
  User(TableBudget& budget, User* generator, const PackedPoint& point)
      : TableUser(budget, generator), generator_(generator), point_(point) {}

  [[nodiscard]] P256Answer verify(std::span<const std::uint8_t, 32> hash, std::string_view signature) {
    const P256Answer answer = verify_signature(point_, table_.get(), generator_->table_.get(), hash, signature);
    if (answer == P256Answer::accepted) count_use();
    return answer;
  }

 private:
  [[nodiscard]] std::optional<TableOffer> offer(TableSize size) const override {
    return TableOffer{table_bytes(size), size == TableSize::small ? p256_small_table_uses : p256_large_table_uses};
  }
  bool build_slice(TableSize size) override {
    if (!building_.has_value()) building_.emplace(point_, size);
    if (!building_->slice()) return false;
    table_ = building_->take();
    building_.reset();
    return true;
  }
  void drop_table() override { table_.reset(); }

  User* generator_;  // null for itself
  PackedPoint point_;
  std::unique_ptr<Table> table_;
  std::optional<Building> building_;
};

std::optional<P256Tables> P256Tables::make(std::shared_ptr<TableBudget> budget, std::string_view x, std::string_view y) {
  if (x.size() != 32 || y.size() != 32) return std::nullopt;
  const Words x_words = read_words(x);
  const Words y_words = read_words(y);
  if (!less(x_words, prime) || !less(y_words, prime)) return std::nullopt;
  const p256_affine point = affine_of(x_words.data(), y_words.data());
  if (!on_curve(point)) return std::nullopt;
  constexpr std::string_view name = "P-256";
  TableUser* generator = budget->shared(name);
  if (generator == nullptr) {
    const PackedPoint packed = pack(affine_of(p256_g_odd[0][0], p256_g_odd[0][1]));
    generator = &budget->share(name, std::make_unique<User>(*budget, nullptr, packed));
  }
  auto user = std::make_unique<User>(*budget, static_cast<User*>(generator), pack(point));
  return P256Tables(std::move(budget), std::move(user));
}

P256Tables::P256Tables(std::shared_ptr<TableBudget> budget, std::unique_ptr<User> user)
    : budget_(std::move(budget)), user_(std::move(user)) {}
P256Tables::P256Tables(P256Tables&&) noexcept = default;
// What was here goes with `other`, its user before its budget.
P256Tables& P256Tables::operator=(P256Tables&& other) noexcept {
  budget_.swap(other.budget_);
  user_.swap(other.user_);
  return *this;
}
P256Tables::~P256Tables() = default;

P256Answer P256Tables::verify(std::span<const std::uint8_t, 32> hash, std::string_view signature) const {
  return user_->verify(hash, signature);
}

void P256Tables::request(TableSize size) const { user_->request(size); }
std::optional<TableSize> P256Tables::table() const { return user_->table(); }

}  // namespace postern
