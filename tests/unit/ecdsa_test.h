// The own ECDSA against OpenSSL, mbedTLS (through crypto.h) and Wycheproof, with every table a key can have.
//
// Compiled for each curve and each shape of limbs: p256_test.cpp and so on say which and include this file.
#pragma once

#include <gtest/gtest.h>
#include <openssl/sha.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "crypto.h"
#include "ecdsa.h"
#include "json.h"
#include "jwa.h"
#include "support/ec_oracle.h"
#if POSTERN_FIELD_BITS == 256
#include "p256_constants.h"
#else
#include "p384_constants.h"
#endif

namespace {

namespace core = ::postern;
namespace fs = std::filesystem;
using core::EcdsaAnswer;
using core::EcdsaKey;
using core::TableBudget;
using core::TableSize;
using core::testing::case_of_sum;
using core::testing::EcCurve;
using core::testing::EcdsaCase;
using core::testing::EcOracle;
using core::testing::EcOracleKey;
using core::testing::hash_of;
using core::testing::HashBytes;
using core::testing::Number;
using core::testing::Point;
using core::testing::sign_ecdsa;

constexpr int bits = POSTERN_FIELD_BITS;
#if POSTERN_FIELD_BITS == 256
constexpr EcCurve curve = core::testing::p256_curve;
constexpr core::EcdsaTableOffers tables = core::p256_tables;
constexpr core::KeyKind kind = core::KeyKind::ec_p256;
constexpr const char* alg = "ES256";
constexpr const char* curve_name = "P-256";
constexpr const char* wycheproof_file = "ecdsa_secp256r1_sha256_p1363_test.json";
constexpr int slices = 8;  // of a table
std::unique_ptr<EcdsaKey> make(TableBudget& budget, std::string_view x, std::string_view y) {
  return ECDSA_NAMESPACE::make_p256_key(budget, x, y);
}
HashBytes sha(std::string_view input) {
  HashBytes out(curve.bytes);
  SHA256(reinterpret_cast<const unsigned char*>(input.data()), input.size(), out.data());
  return out;
}
#else
constexpr EcCurve curve = core::testing::p384_curve;
constexpr core::EcdsaTableOffers tables = core::p384_tables;
constexpr core::KeyKind kind = core::KeyKind::ec_p384;
constexpr const char* alg = "ES384";
constexpr const char* curve_name = "P-384";
constexpr const char* wycheproof_file = "ecdsa_secp384r1_sha384_p1363_test.json";
constexpr int slices = 16;  // of a table
std::unique_ptr<EcdsaKey> make(TableBudget& budget, std::string_view x, std::string_view y) {
  return ECDSA_NAMESPACE::make_p384_key(budget, x, y);
}
HashBytes sha(std::string_view input) {
  HashBytes out(curve.bytes);
  SHA384(reinterpret_cast<const unsigned char*>(input.data()), input.size(), out.data());
  return out;
}
#endif

// The same key in every combination of tables that a budget lets it and the generator have: the generator's comes first. Its
// tables are built once for all keys.
class KeyForms {
 public:
  static constexpr int count = 7;

  explicit KeyForms(const EcOracleKey& key) {
    static TableBudget without{0};
    static TableBudget with_small;
    static TableBudget with_large;
    add(without, key, {}, {});
    for (const auto of_key : {std::optional<TableSize>(), std::optional(TableSize::small), std::optional(TableSize::large)}) {
      add(with_small, key, of_key, TableSize::small);
      add(with_large, key, of_key, TableSize::large);
    }
    EXPECT_EQ(forms_.size(), count);
  }

  // The answer of all forms; `undecided` of one does not count against another's decision.
  [[nodiscard]] EcdsaAnswer verify(const HashBytes& hash, std::string_view signature) {
    std::optional<EcdsaAnswer> answer;
    for (const auto& form : forms_) {
      const EcdsaAnswer one = form->verify(hash, signature);
      if (one == EcdsaAnswer::undecided) {
        undecided_++;
        continue;
      }
      EXPECT_TRUE(!answer.has_value() || *answer == one);
      answer = one;
    }
    return answer.value_or(EcdsaAnswer::undecided);
  }
  [[nodiscard]] int undecided() const { return undecided_; }

 private:
  void add(TableBudget& budget, const EcOracleKey& key, std::optional<TableSize> of_key, std::optional<TableSize> of_generator) {
    forms_.push_back(make(budget, key.x(), key.y()));
    EcdsaKey* const form = forms_.back().get();
    core::testing::require(form != nullptr);
    auto* const generator = budget.shared(curve_name);
    core::testing::require(generator != nullptr);
    if (generator->table() != of_generator) give(budget, *generator, *of_generator);
    if (of_key) give(budget, *form, *of_key);
    EXPECT_EQ(generator->table(), of_generator);
    EXPECT_EQ(form->table(), of_key);
  }
  static void give(TableBudget& budget, auto& user, TableSize size) {
    user.request(size);
    while (budget.build_step()) {
    }
  }
  std::vector<std::unique_ptr<EcdsaKey>> forms_;
  int undecided_ = 0;
};

EcdsaAnswer answer_for(bool good) { return good ? EcdsaAnswer::accepted : EcdsaAnswer::refused; }

TEST(ECDSA_SUITE, RandomCasesAsOpenSsl) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(20260);  // NOLINT: the same cases in every run
#ifdef __SANITIZE_ADDRESS__
  constexpr int keys = bits == 256 ? 10 : 4;  // ten times slower there
#else
  constexpr int keys = 40;
#endif
  constexpr int cases = 500;
  int good = 0;
  for (int k = 0; k < keys; k++) {
    const Number d = oracle.random(random);
    const EcOracleKey key(curve, oracle.coordinates(oracle.multiple(d)));
    core::testing::Nonces nonces(oracle, random);
    KeyForms forms(key);
    for (int i = 0; i < cases / KeyForms::count; i++) {
      const EcdsaCase one = random_case(oracle, d, nonces, random);
      const bool expected = key.verify(one.hash, one.signature);
      good += expected ? KeyForms::count : 0;
      ASSERT_EQ(forms.verify(one.hash, one.signature), answer_for(expected)) << k << " " << i;
    }
    EXPECT_EQ(forms.undecided(), 0);
  }
  std::printf("%s differential: %d cases, %d of them good, as OpenSSL says\n", alg, keys * cases, good);
}

TEST(ECDSA_SUITE, EveryBitOfASignatureCounts) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(7);  // NOLINT
  const Number d = oracle.random(random);
  KeyForms forms(EcOracleKey(curve, oracle.coordinates(oracle.multiple(d))));
  const EcdsaCase good = sign_ecdsa(oracle, d, oracle.random(random), oracle.random(random));
  EXPECT_EQ(forms.verify(good.hash, good.signature), EcdsaAnswer::accepted);
  for (std::size_t bit = 0; bit < 8 * good.signature.size(); bit++) {
    std::string signature = good.signature;
    signature[bit / 8] = static_cast<char>(signature[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(forms.verify(good.hash, signature), EcdsaAnswer::refused) << bit;
  }
  for (std::size_t bit = 0; bit < 8 * good.hash.size(); bit++) {
    HashBytes hash = good.hash;
    hash[bit / 8] = static_cast<std::uint8_t>(hash[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(forms.verify(hash, good.signature), EcdsaAnswer::refused) << bit;
  }
  for (std::size_t size = 0; size < good.signature.size(); size++) {
    EXPECT_EQ(forms.verify(good.hash, good.signature.substr(0, size)), EcdsaAnswer::refused) << size;
  }
  EXPECT_EQ(forms.verify(good.hash, good.signature + '\0'), EcdsaAnswer::refused);
}

// Every combination of the values at the edges as r, s and hash, for keys that are small multiples of G too: OpenSSL decides.
TEST(ECDSA_SUITE, EdgesOfEveryNumber) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(11);  // NOLINT
  std::vector<Number> edges;
  for (const std::uint64_t low : {0, 1, 2, 3}) edges.push_back(oracle.number(low));
  for (const int offset : {-2, -1, 0, 1, 2}) edges.push_back(oracle.order(offset));
  edges.push_back(oracle.number(std::string(curve.bytes, '\xff')));
  edges.push_back(oracle.number('\x80' + std::string(curve.bytes - 1, '\0')));
  edges.push_back(oracle.r_of(oracle.multiple(oracle.number(std::uint64_t{1}))));
  for (const int multiple : {1, -1, 0}) {
    const Number d = multiple == 0  ? oracle.random(random)
                     : multiple < 0 ? oracle.order(multiple)
                                    : oracle.number(static_cast<std::uint64_t>(multiple));
    const EcOracleKey key(curve, oracle.coordinates(oracle.multiple(d)));
    KeyForms forms(key);
    for (const Number& r : edges) {
      for (const Number& s : edges) {
        for (const Number& e : edges) {
          const std::string signature = oracle.bytes(r) + oracle.bytes(s);
          const bool expected = key.verify(hash_of(oracle, e), signature);
          const EcdsaAnswer answer = forms.verify(hash_of(oracle, e), signature);
          // No form at all may be wrong; that none decides happens where u G = -v Q.
          if (answer != EcdsaAnswer::undecided) {
            ASSERT_EQ(answer, answer_for(expected)) << multiple;
          }
        }
      }
    }
  }
}

// Good signatures with u and v made to order: for keys that are small multiples of G or their negatives this makes the two halves
// of the sum meet; R = 2 u G where they are equal.
TEST(ECDSA_SUITE, ChosenScalars) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(13);  // NOLINT
  int cases = 0;
  int undecided = 0;
  for (const int multiple : {1, -1, 2, -2, 3, -3, 4, 5, 7, 8, 15, 16, 17, 255, 256, 257, 0}) {
    const Number d = multiple == 0  ? oracle.random(random)
                     : multiple < 0 ? oracle.order(multiple)
                                    : oracle.number(static_cast<std::uint64_t>(multiple));
    const Point q = oracle.multiple(d);
    const EcOracleKey key(curve, oracle.coordinates(q));
    KeyForms forms(key);
    std::vector<std::pair<Number, Number>> pairs;
    const auto add_pairs = [&](const Number& v) {
      const Number same = oracle.times(v, d);  // u G = v Q
      pairs.emplace_back(oracle.number(same.get()), oracle.number(v.get()));
      pairs.emplace_back(oracle.minus(same), oracle.number(v.get()));  // u G = -v Q: R is infinity
      pairs.emplace_back(oracle.plus(same, oracle.number(std::uint64_t{1})), oracle.number(v.get()));
      pairs.emplace_back(oracle.number(std::uint64_t{0}), oracle.number(v.get()));
      pairs.emplace_back(oracle.random(random), oracle.number(v.get()));
    };
    for (const std::uint64_t low : {1, 2, 3, 16, 255, 256}) add_pairs(oracle.number(low));
    for (const int offset : {-1, -2, -3, -16}) add_pairs(oracle.order(offset));
    for (int i = 0; i < 4; i++) add_pairs(oracle.random(random));
    // Multiples of 2^(bits - 8) and 2^(bits - 4): the last window alone; and what is left when it is the negative of all others.
    for (const int shift : {bits / 2, bits - 8, bits - 4, bits - 1}) {
      Number v = oracle.number(std::uint64_t{1});
      core::testing::require(BN_lshift(v.get(), v.get(), shift) == 1);
      add_pairs(v);
      add_pairs(oracle.plus(v, oracle.number(std::uint64_t{1})));
      add_pairs(oracle.minus(v));
    }
    for (const auto& [u, v] : pairs) {
      const Point sum = oracle.combine(u, q, v);
      const bool infinite = oracle.infinite(sum);
      const Number r = infinite ? oracle.random(random) : oracle.r_of(sum);
      const EcdsaCase one = case_of_sum(oracle, r, u, v);
      ASSERT_EQ(key.verify(one.hash, one.signature), !infinite);
      const EcdsaAnswer answer = forms.verify(one.hash, one.signature);
      if (answer != EcdsaAnswer::undecided) {
        ASSERT_EQ(answer, answer_for(!infinite)) << multiple;
      }
      cases++;
    }
    undecided += forms.undecided();
    // What somebody can meet who does not know the private half.
    if (multiple == 0) {
      const EcdsaCase one = sign_ecdsa(oracle, d, oracle.random(random), oracle.number(std::uint64_t{0}));
      EXPECT_EQ(forms.verify(one.hash, one.signature), EcdsaAnswer::accepted);
    }
  }
  std::printf("%s chosen scalars: %d sums in all forms, %d left to mbedTLS\n", alg, cases, undecided);
}

// Whoever does not know the private half can still choose u and v, by choosing r and s for a hash: no choice may lead to the slow
// path. 34 and n - 30 would (without a table, where 2^5 times something is then 17 or 15 times Q), and 2 (2^w - 1) 2^(bits - w) -
// n.
TEST(ECDSA_SUITE, NobodyElseReachesTheSlowPath) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(23);  // NOLINT
  const Point q = oracle.multiple(oracle.random(random));
  const EcOracleKey key(curve, oracle.coordinates(q));
  KeyForms forms(key);
  std::vector<Number> chosen;
  for (std::uint64_t low = 1; low <= 70; low++) {
    chosen.push_back(oracle.number(low));
    chosen.push_back(oracle.order(-static_cast<std::int64_t>(low)));
  }
  for (int shift = 8; shift < bits; shift += 8) {
    for (const std::uint64_t top : {1, 15, 30, 31, 62, 255, 510}) {
      Number v = oracle.number(top);
      core::testing::require(BN_lshift(v.get(), v.get(), shift) == 1);
      chosen.push_back(oracle.times(v, oracle.number(std::uint64_t{1})));
      chosen.push_back(oracle.minus(v));
    }
  }
  const Number other = oracle.random(random);
  const auto check = [&](const Number& u, const Number& v) {
    const EcdsaCase good = case_of_sum(oracle, oracle.r_of(oracle.combine(u, q, v)), u, v);
    ASSERT_EQ(forms.verify(good.hash, good.signature), EcdsaAnswer::accepted);
    const EcdsaCase bad = case_of_sum(oracle, other, u, v);
    ASSERT_EQ(forms.verify(bad.hash, bad.signature), EcdsaAnswer::refused);
  };
  for (const Number& number : chosen) {
    check(number, other);
    check(other, number);
  }
  check(oracle.number(std::uint64_t{34}), oracle.number(std::uint64_t{34}));
  check(oracle.number(std::uint64_t{0}), oracle.number(std::uint64_t{34}));  // a hash of 0
  EXPECT_EQ(forms.undecided(), 0);
}

// R's x at or over n, which chance gives once in 2^128 signatures or fewer: the key is computed from R.
TEST(ECDSA_SUITE, XCoordinateOverTheOrder) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(17);  // NOLINT
  int found = 0;
  for (int offset = 1; found < 20; offset++) {
    const Point big_r = oracle.lift(oracle.order(offset));
    if (big_r == nullptr) continue;
    found++;
    const Number r = oracle.number(static_cast<std::uint64_t>(offset));
    const Number u = oracle.random(random);
    const Number v = oracle.random(random);
    const Number v_inverse = oracle.inverse(v);
    const Point q = oracle.combine(oracle.number(std::uint64_t{0}), oracle.subtract(big_r, oracle.multiple(u)), v_inverse);
    const EcOracleKey key(curve, oracle.coordinates(q));
    KeyForms forms(key);
    const EcdsaCase one = case_of_sum(oracle, r, u, v);
    ASSERT_TRUE(key.verify(one.hash, one.signature));
    EXPECT_EQ(forms.verify(one.hash, one.signature), EcdsaAnswer::accepted) << offset;
    // The same sum with another r.
    const EcdsaCase other = case_of_sum(oracle, oracle.number(static_cast<std::uint64_t>(offset + 1)), u, v);
    EXPECT_EQ(forms.verify(other.hash, other.signature), answer_for(key.verify(other.hash, other.signature)));
  }
}

TEST(ECDSA_SUITE, AsMbedTls) {
  const EcOracle oracle(curve);
  std::mt19937_64 random(19);  // NOLINT
  const core::Jwa* row = core::find_jwa(alg);
  ASSERT_NE(row, nullptr);
  for (int k = 0; k < 4; k++) {
    const Number d = oracle.random(random);
    const EcOracleKey key(curve, oracle.coordinates(oracle.multiple(d)));
    KeyForms forms(key);
    const auto portable = core::crypto::import_ec(kind, key.x(), key.y());
    ASSERT_TRUE(portable.ok());
    for (int i = 0; i < 50; i++) {
      const std::string input = "input " + std::to_string(random());
      const HashBytes hash = sha(input);
      EcdsaCase one = sign_ecdsa(oracle, d, oracle.random(random),
                                 oracle.number(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size())));
      if (i % 2 == 1) one.signature[random() % one.signature.size()] ^= static_cast<char>(1 << random() % 8);
      ASSERT_EQ(forms.verify(hash, one.signature),
                answer_for(core::crypto::verify(portable.value(), *row, input, one.signature)));
    }
  }
}

// What scripts/curve-constants made, by other hands (the rest of it shows in every signature).
TEST(ECDSA_SUITE, MultiplesOfTheGenerator) {
  const EcOracle oracle(curve);
  for (std::uint64_t i = 0; i < 16; i++) {
    std::string coordinates;
    for (const auto& words : ECDSA_NAMESPACE::ec_g_odd[i]) {
      for (int bit = bits - 8; bit >= 0; bit -= 8) coordinates += static_cast<char>(words[bit / 64] >> bit % 64);
    }
    EXPECT_EQ(coordinates, oracle.coordinates(oracle.multiple(oracle.number(2 * i + 1)))) << i;
  }
}

TEST(ECDSA_SUITE, RefusesWhatIsNoPoint) {
  const EcOracle oracle(curve);
  TableBudget budget;
  const std::string point = oracle.coordinates(oracle.multiple(oracle.number(std::uint64_t{5})));
  const std::string x = point.substr(0, curve.bytes);
  const std::string y = point.substr(curve.bytes);
  EXPECT_NE(make(budget, x, y), nullptr);
  EXPECT_EQ(make(budget, y, x), nullptr);
  EXPECT_EQ(make(budget, x, x), nullptr);
  EXPECT_EQ(make(budget, std::string(curve.bytes, '\0'), std::string(curve.bytes, '\0')), nullptr);
  EXPECT_EQ(make(budget, std::string(curve.bytes, '\xff'), y), nullptr);
  EXPECT_EQ(make(budget, x.substr(1), y), nullptr);
  EXPECT_EQ(make(budget, x, y + '\0'), nullptr);
  EXPECT_EQ(make(budget, "", ""), nullptr);
  for (std::size_t bit = 0; bit < 8 * curve.bytes; bit++) {
    std::string other = x;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    // Half of all x have points, but not with this y.
    EXPECT_EQ(make(budget, other, y), nullptr) << bit;
  }
  // p + x is the same number modulo p as a small x, but not the coordinate of anything.
  std::uint64_t small = 1;
  Point low = oracle.lift(oracle.number(small));
  while (low == nullptr) low = oracle.lift(oracle.number(++small));
  const std::string coordinates = oracle.coordinates(low);
  EXPECT_NE(make(budget, coordinates.substr(0, curve.bytes), coordinates.substr(curve.bytes)), nullptr);
  std::string over;  // p
  for (int bit = bits - 8; bit >= 0; bit -= 8) over += static_cast<char>(ECDSA_NAMESPACE::ec_p_words[bit / 64] >> bit % 64);
  Number over_p = oracle.number(over);
  core::testing::require(BN_add_word(over_p.get(), small) == 1);
  EXPECT_EQ(make(budget, oracle.bytes(over_p), coordinates.substr(curve.bytes)), nullptr);
}

// ----------------------------------------------------------------------------------------------------------- budget

struct BudgetKey {
  std::unique_ptr<EcdsaKey> tables;
  EcdsaCase good;
};

class Keys {
 public:
  explicit Keys(TableBudget& budget) : budget_(budget) {}
  BudgetKey make_one() {
    const Number d = oracle_.random(random_);
    const EcOracleKey key(curve, oracle_.coordinates(oracle_.multiple(d)));
    return {make(budget_, key.x(), key.y()), sign_ecdsa(oracle_, d, oracle_.random(random_), oracle_.random(random_))};
  }
  static void use(const BudgetKey& key, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; i++) {
      EXPECT_EQ(key.tables->verify(key.good.hash, key.good.signature), EcdsaAnswer::accepted);
      EXPECT_EQ(key.tables->verify(HashBytes(curve.bytes), key.good.signature), EcdsaAnswer::refused);  // is no use
    }
  }
  void build() const {
    while (budget_.build_step()) {
    }
  }

 private:
  EcOracle oracle_{curve};
  std::mt19937_64 random_{29};  // NOLINT
  TableBudget& budget_;
};

constexpr std::size_t small_bytes = tables.small.bytes;
constexpr std::size_t large_bytes = tables.large.bytes;

TEST(ECDSA_SUITE, TablesGrowWithUse) {
  TableBudget budget;
  Keys keys(budget);
  const BudgetKey key = keys.make_one();
  EXPECT_EQ(budget.bytes(), 0U);
  Keys::use(key, tables.small.uses - 1);
  EXPECT_FALSE(budget.building_waits());
  EXPECT_FALSE(budget.build_step());
  Keys::use(key, 1);
  EXPECT_TRUE(budget.building_waits());
  EXPECT_EQ(budget.bytes(), 0U) << "only build_step builds";
  int steps = 1;
  while (budget.build_step()) steps++;
  EXPECT_EQ(steps, 2 * slices) << "two tables";
  EXPECT_EQ(key.tables->table(), TableSize::small);
  EXPECT_EQ(budget.bytes(), large_bytes + small_bytes) << "the generator's is large at once";
  Keys::use(key, tables.large.uses);
  EXPECT_EQ(key.tables->table(), TableSize::small);
  keys.build();
  EXPECT_EQ(key.tables->table(), TableSize::large);
  EXPECT_EQ(budget.bytes(), 2 * large_bytes);
  Keys::use(key, 10 * tables.large.uses);
  EXPECT_FALSE(budget.building_waits());
}

TEST(ECDSA_SUITE, TheBudgetIsKept) {
  // The generator's small table and three more.
  TableBudget budget(4 * small_bytes);
  Keys keys(budget);
  std::vector<BudgetKey> all;
  for (int i = 0; i < 6; i++) all.push_back(keys.make_one());
  // Six equally busy keys: the first three to ask keep their tables.
  for (int round = 0; round < 40; round++) {
    for (const BudgetKey& key : all) {
      Keys::use(key, 1);
      budget.build_step();
      EXPECT_LE(budget.bytes(), 4 * small_bytes);
    }
  }
  keys.build();
  int with_table = 0;
  for (const BudgetKey& key : all) with_table += key.tables->table().has_value() ? 1 : 0;
  EXPECT_EQ(with_table, 3);
  EXPECT_TRUE(all[0].tables->table().has_value());
  // The others stay busy while the first three rest: now they get the tables, one after the other.
  for (int round = 0; round < 40; round++) {
    for (std::size_t i = 3; i < 6; i++) Keys::use(all[i], 1);
    keys.build();
    EXPECT_LE(budget.bytes(), 4 * small_bytes);
  }
  for (std::size_t i = 0; i < 6; i++) EXPECT_EQ(all[i].tables->table().has_value(), i >= 3) << i;
}

TEST(ECDSA_SUITE, TheLeastRecentlyUsedIsDropped) {
  TableBudget budget(4 * small_bytes);
  Keys keys(budget);
  std::vector<BudgetKey> all;
  for (int i = 0; i < 4; i++) all.push_back(keys.make_one());
  for (const std::size_t i : {1, 2, 0}) Keys::use(all[i], tables.small.uses);
  keys.build();
  Keys::use(all[1], 1);  // now 2 is the one that rested longest
  Keys::use(all[3], tables.small.uses);
  keys.build();
  EXPECT_TRUE(all[2].tables->table().has_value()) << "it was used since 3 was made";
  EXPECT_FALSE(all[3].tables->table().has_value());
  Keys::use(all[3], tables.small.uses);
  keys.build();
  EXPECT_TRUE(all[0].tables->table().has_value());
  EXPECT_TRUE(all[1].tables->table().has_value());
  EXPECT_FALSE(all[2].tables->table().has_value());
  EXPECT_TRUE(all[3].tables->table().has_value());
}

TEST(ECDSA_SUITE, KeysComeAndGo) {
  TableBudget budget;
  Keys keys(budget);
  {
    BudgetKey gone = keys.make_one();
    gone.tables->request(TableSize::small);
    EXPECT_TRUE(budget.building_waits());
    gone.tables->request(TableSize::small);
    for (int i = 0; i < slices + 2; i++) budget.build_step();  // the generator's and the beginning of this one
    EXPECT_EQ(budget.bytes(), large_bytes + small_bytes);
  }
  EXPECT_EQ(budget.bytes(), large_bytes) << "a key that goes while its table is built";
  EXPECT_FALSE(budget.building_waits());
  BudgetKey key = keys.make_one();
  key.tables->request(TableSize::large);
  keys.build();
  EXPECT_EQ(budget.bytes(), 2 * large_bytes);
  key = keys.make_one();  // takes the place of one with a table
  EXPECT_EQ(budget.bytes(), large_bytes);
  EXPECT_FALSE(key.tables->table().has_value());
}

// ------------------------------------------------------------------------------------------------------- Wycheproof

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

TEST(ECDSA_SUITE, Wycheproof) {
  const char* folder = std::getenv("POSTERN_VECTORS");
#ifdef POSTERN_VECTORS
  if (folder == nullptr) folder = POSTERN_VECTORS;
#endif
  const fs::path path = fs::path(folder == nullptr ? "" : folder) / "wycheproof" / wycheproof_file;
  if (!fs::exists(path)) {
    if (std::getenv("CI") != nullptr) FAIL() << "no test vectors; POSTERN_VECTORS must name their folder";
    GTEST_SKIP() << "no test vectors; POSTERN_VECTORS names their folder";
  }
  std::ifstream in(path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = core::json::parse(text.str(), core::json::Limits{.depth_max = 64, .values_max = 1'000'000});
  ASSERT_TRUE(parsed.ok());
  int cases = 0;
  int undecided = 0;
  for (const core::json::Value& group : parsed->find("testGroups")->items()) {
    const core::json::Value& public_key = *group.find("publicKey");
    std::string wx = from_hex(public_key.find("wx")->as_string());
    std::string wy = from_hex(public_key.find("wy")->as_string());
    // Written as Java does: with a zero byte in front where the top bit is set, and without leading zeros.
    for (std::string* coordinate : {&wx, &wy}) {
      if (coordinate->size() > curve.bytes) coordinate->erase(0, coordinate->size() - curve.bytes);
      coordinate->insert(0, curve.bytes - coordinate->size(), '\0');
    }
    KeyForms forms(EcOracleKey(curve, wx + wy));
    for (const core::json::Value& test : group.find("tests")->items()) {
      const HashBytes hash = sha(from_hex(test.find("msg")->as_string()));
      const bool valid = test.find("result")->as_string() == "valid";
      const EcdsaAnswer answer = forms.verify(hash, from_hex(test.find("sig")->as_string()));
      cases++;
      // Their keys are not random: some sums meet on the way.
      undecided += answer == EcdsaAnswer::undecided ? 1 : 0;
      if (answer != EcdsaAnswer::undecided) {
        EXPECT_EQ(answer, answer_for(valid)) << test.find("tcId")->as_integer().value_or(0);
      }
    }
  }
  EXPECT_GT(cases, 200);
  std::printf("%s wycheproof: %d cases in all forms, %d left to mbedTLS\n", alg, cases, undecided);
}

}  // namespace
