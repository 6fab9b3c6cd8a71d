// The own P-256 against OpenSSL, mbedTLS (through crypto.h) and Wycheproof, with every table a key can have.
//
// Compiled twice, once for each shape of limbs: p256_narrow_test.cpp includes this file.
#include "p256.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "crypto.h"
#include "json.h"
#include "jwa.h"
#include "p256_constants.h"
#include "support/p256_oracle.h"

#ifndef P256_SUITE
#define P256_SUITE P256
#define P256_NAMESPACE postern
#endif

namespace {

namespace core = ::postern;
namespace fs = std::filesystem;
using core::TableBudget;
using core::TableSize;
using core::testing::case_of_sum;
using core::testing::Hash256;
using core::testing::hash_of;
using core::testing::Number;
using core::testing::P256Case;
using core::testing::P256Oracle;
using core::testing::P256OracleKey;
using core::testing::Point;
using core::testing::sign_p256;
using P256_NAMESPACE::P256Answer;
using P256_NAMESPACE::P256Tables;

// The same key four times: without any table, with both sizes, and with a table while the generator has none.
class KeyForms {
 public:
  explicit KeyForms(const P256OracleKey& key) {
    const auto no_table = std::make_shared<TableBudget>(0);
    const auto roomy = std::make_shared<TableBudget>();
    const auto tight = std::make_shared<TableBudget>(std::size_t{64} * 1024);  // two small tables: the generator's and one more
    add(no_table, key);
    add(roomy, key).request(TableSize::small);
    add(roomy, key).request(TableSize::large);
    add(tight, key).request(TableSize::small);
    while (roomy->build_step() || tight->build_step()) {
    }
    EXPECT_EQ(forms_[1].table(), TableSize::small);
    EXPECT_EQ(forms_[2].table(), TableSize::large);
    EXPECT_EQ(forms_[3].table(), TableSize::small);
  }

  // The answer of all forms; `undecided` of one does not count against another's decision.
  [[nodiscard]] P256Answer verify(const Hash256& hash, std::string_view signature) {
    std::optional<P256Answer> answer;
    for (const P256Tables& form : forms_) {
      const P256Answer one = form.verify(hash, signature);
      if (one == P256Answer::undecided) {
        undecided_++;
        continue;
      }
      EXPECT_TRUE(!answer.has_value() || *answer == one);
      answer = one;
    }
    return answer.value_or(P256Answer::undecided);
  }
  [[nodiscard]] int undecided() const { return undecided_; }

 private:
  const P256Tables& add(const std::shared_ptr<TableBudget>& budget, const P256OracleKey& key) {
    auto made = P256Tables::make(budget, key.x(), key.y());
    EXPECT_TRUE(made.has_value());
    forms_.reserve(4);
    return forms_.emplace_back(std::move(*made));
  }
  std::vector<P256Tables> forms_;
  int undecided_ = 0;
};

P256Answer answer_for(bool good) { return good ? P256Answer::accepted : P256Answer::refused; }

TEST(P256_SUITE, RandomCasesAsOpenSsl) {
  const P256Oracle oracle;
  std::mt19937_64 random(20260);  // NOLINT: the same cases in every run
#ifdef __SANITIZE_ADDRESS__
  constexpr int keys = 10;  // ten times slower there
#else
  constexpr int keys = 40;
#endif
  constexpr int cases = 500;
  int good = 0;
  for (int k = 0; k < keys; k++) {
    const Number d = oracle.random(random);
    const P256OracleKey key(oracle.coordinates(oracle.multiple(d)));
    KeyForms forms(key);
    for (int i = 0; i < cases / 4; i++) {  // four forms each
      const P256Case one = random_case(oracle, d, random);
      const bool expected = key.verify(one.hash, one.signature);
      good += expected ? 4 : 0;
      ASSERT_EQ(forms.verify(one.hash, one.signature), answer_for(expected)) << k << " " << i;
    }
    EXPECT_EQ(forms.undecided(), 0);
  }
  std::printf("p256 differential: %d cases, %d of them good, as OpenSSL says\n", keys * cases, good);
}

TEST(P256_SUITE, EveryBitOfASignatureCounts) {
  const P256Oracle oracle;
  std::mt19937_64 random(7);  // NOLINT
  const Number d = oracle.random(random);
  KeyForms forms(P256OracleKey(oracle.coordinates(oracle.multiple(d))));
  const P256Case good = sign_p256(oracle, d, oracle.random(random), oracle.random(random));
  EXPECT_EQ(forms.verify(good.hash, good.signature), P256Answer::accepted);
  for (std::size_t bit = 0; bit < 8 * 64; bit++) {
    std::string signature = good.signature;
    signature[bit / 8] = static_cast<char>(signature[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(forms.verify(good.hash, signature), P256Answer::refused) << bit;
  }
  for (std::size_t bit = 0; bit < 8 * 32; bit++) {
    Hash256 hash = good.hash;
    hash[bit / 8] = static_cast<std::uint8_t>(hash[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(forms.verify(hash, good.signature), P256Answer::refused) << bit;
  }
  for (std::size_t size = 0; size < 64; size++) {
    EXPECT_EQ(forms.verify(good.hash, good.signature.substr(0, size)), P256Answer::refused) << size;
  }
  EXPECT_EQ(forms.verify(good.hash, good.signature + '\0'), P256Answer::refused);
}

// Every combination of the values at the edges as r, s and hash, for keys that are small multiples of G too: OpenSSL decides.
TEST(P256_SUITE, EdgesOfEveryNumber) {
  const P256Oracle oracle;
  std::mt19937_64 random(11);  // NOLINT
  std::vector<Number> edges;
  for (const std::uint64_t low : {0, 1, 2, 3}) edges.push_back(oracle.number(low));
  for (const int offset : {-2, -1, 0, 1, 2}) edges.push_back(oracle.order(offset));
  edges.push_back(oracle.number(std::string(32, '\xff')));
  edges.push_back(oracle.number('\x80' + std::string(31, '\0')));
  edges.push_back(oracle.r_of(oracle.multiple(oracle.number(std::uint64_t{1}))));
  for (const int multiple : {1, -1, 0}) {
    const Number d = multiple == 0  ? oracle.random(random)
                     : multiple < 0 ? oracle.order(multiple)
                                    : oracle.number(static_cast<std::uint64_t>(multiple));
    const P256OracleKey key(oracle.coordinates(oracle.multiple(d)));
    KeyForms forms(key);
    for (const Number& r : edges) {
      for (const Number& s : edges) {
        for (const Number& e : edges) {
          const std::string signature = P256Oracle::bytes(r) + P256Oracle::bytes(s);
          const bool expected = key.verify(hash_of(e), signature);
          const P256Answer answer = forms.verify(hash_of(e), signature);
          // No form at all may be wrong; that none decides happens where u G = -v Q.
          if (answer != P256Answer::undecided) {
            ASSERT_EQ(answer, answer_for(expected)) << multiple;
          }
        }
      }
    }
  }
}

// Good signatures with u and v made to order: for keys that are small multiples of G or their negatives this makes the two halves
// of the sum meet; R = 2 u G where they are equal.
TEST(P256_SUITE, ChosenScalars) {
  const P256Oracle oracle;
  std::mt19937_64 random(13);  // NOLINT
  int cases = 0;
  int undecided = 0;
  for (const int multiple : {1, -1, 2, -2, 3, -3, 4, 5, 7, 8, 15, 16, 17, 255, 256, 257, 0}) {
    const Number d = multiple == 0  ? oracle.random(random)
                     : multiple < 0 ? oracle.order(multiple)
                                    : oracle.number(static_cast<std::uint64_t>(multiple));
    const Point q = oracle.multiple(d);
    const P256OracleKey key(oracle.coordinates(q));
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
    // Multiples of 2^248 and 2^252: the last window alone; and what is left when it is the negative of all others.
    for (const int shift : {128, 248, 252, 255}) {
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
      const P256Case one = case_of_sum(oracle, r, u, v);
      ASSERT_EQ(key.verify(one.hash, one.signature), !infinite);
      const P256Answer answer = forms.verify(one.hash, one.signature);
      if (answer != P256Answer::undecided) {
        ASSERT_EQ(answer, answer_for(!infinite)) << multiple;
      }
      cases++;
    }
    undecided += forms.undecided();
    // What somebody can meet who does not know the private half.
    if (multiple == 0) {
      const P256Case one = sign_p256(oracle, d, oracle.random(random), oracle.number(std::uint64_t{0}));
      EXPECT_EQ(forms.verify(one.hash, one.signature), P256Answer::accepted);
    }
  }
  std::printf("p256 chosen scalars: %d sums in four forms, %d left to mbedTLS\n", cases, undecided);
}

// Whoever does not know the private half can still choose u and v, by choosing r and s for a hash: no choice may lead to the slow
// path. 34 and n - 30 would (without a table, where 2^5 times something is then 17 or 15 times Q), and 2 (2^w - 1) 2^(256 - w) -
// n.
TEST(P256_SUITE, NobodyElseReachesTheSlowPath) {
  const P256Oracle oracle;
  std::mt19937_64 random(23);  // NOLINT
  const Point q = oracle.multiple(oracle.random(random));
  const P256OracleKey key(oracle.coordinates(q));
  KeyForms forms(key);
  std::vector<Number> chosen;
  for (std::uint64_t low = 1; low <= 70; low++) {
    chosen.push_back(oracle.number(low));
    chosen.push_back(oracle.order(-static_cast<std::int64_t>(low)));
  }
  for (int shift = 8; shift < 256; shift += 8) {
    for (const std::uint64_t top : {1, 15, 30, 31, 62, 255, 510}) {
      Number v = oracle.number(top);
      core::testing::require(BN_lshift(v.get(), v.get(), shift) == 1);
      chosen.push_back(oracle.times(v, oracle.number(std::uint64_t{1})));
      chosen.push_back(oracle.minus(v));
    }
  }
  const Number other = oracle.random(random);
  const auto check = [&](const Number& u, const Number& v) {
    const P256Case good = case_of_sum(oracle, oracle.r_of(oracle.combine(u, q, v)), u, v);
    ASSERT_EQ(forms.verify(good.hash, good.signature), P256Answer::accepted);
    const P256Case bad = case_of_sum(oracle, other, u, v);
    ASSERT_EQ(forms.verify(bad.hash, bad.signature), P256Answer::refused);
  };
  for (const Number& number : chosen) {
    check(number, other);
    check(other, number);
  }
  check(oracle.number(std::uint64_t{34}), oracle.number(std::uint64_t{34}));
  check(oracle.number(std::uint64_t{0}), oracle.number(std::uint64_t{34}));  // a hash of 0
  EXPECT_EQ(forms.undecided(), 0);
}

// R's x at or over n, which chance gives once in 2^128 signatures: the key is computed from R.
TEST(P256_SUITE, XCoordinateOverTheOrder) {
  const P256Oracle oracle;
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
    const P256OracleKey key(oracle.coordinates(q));
    KeyForms forms(key);
    const P256Case one = case_of_sum(oracle, r, u, v);
    ASSERT_TRUE(key.verify(one.hash, one.signature));
    EXPECT_EQ(forms.verify(one.hash, one.signature), P256Answer::accepted) << offset;
    // The same sum with another r.
    const P256Case other = case_of_sum(oracle, oracle.number(static_cast<std::uint64_t>(offset + 1)), u, v);
    EXPECT_EQ(forms.verify(other.hash, other.signature), answer_for(key.verify(other.hash, other.signature)));
  }
}

TEST(P256_SUITE, AsMbedTls) {
  const P256Oracle oracle;
  std::mt19937_64 random(19);  // NOLINT
  const core::Jwa* es256 = core::find_jwa("ES256");
  ASSERT_NE(es256, nullptr);
  for (int k = 0; k < 4; k++) {
    const Number d = oracle.random(random);
    const P256OracleKey key(oracle.coordinates(oracle.multiple(d)));
    KeyForms forms(key);
    const auto portable = core::crypto::import_ec(core::KeyKind::ec_p256, key.x(), key.y());
    ASSERT_TRUE(portable.ok());
    for (int i = 0; i < 50; i++) {
      const std::string input = "input " + std::to_string(random());
      const Hash256 hash = core::crypto::sha256(input);
      P256Case one = sign_p256(oracle, d, oracle.random(random),
                               oracle.number(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size())));
      if (i % 2 == 1) one.signature[random() % 64] ^= static_cast<char>(1 << random() % 8);
      ASSERT_EQ(forms.verify(hash, one.signature),
                answer_for(core::crypto::verify(portable.value(), *es256, input, one.signature)));
    }
  }
}

// What scripts/p256-constants made, by other hands (the rest of it shows in every signature).
TEST(P256_SUITE, MultiplesOfTheGenerator) {
  const P256Oracle oracle;
  for (std::uint64_t i = 0; i < 16; i++) {
    std::string coordinates;
    for (const auto& words : P256_NAMESPACE::p256_g_odd[i]) {
      for (int bit = 248; bit >= 0; bit -= 8) coordinates += static_cast<char>(words[bit / 64] >> bit % 64);
    }
    EXPECT_EQ(coordinates, oracle.coordinates(oracle.multiple(oracle.number(2 * i + 1)))) << i;
  }
}

TEST(P256_SUITE, RefusesWhatIsNoPoint) {
  const P256Oracle oracle;
  const auto budget = std::make_shared<TableBudget>();
  const std::string point = oracle.coordinates(oracle.multiple(oracle.number(std::uint64_t{5})));
  const std::string x = point.substr(0, 32);
  const std::string y = point.substr(32);
  EXPECT_TRUE(P256Tables::make(budget, x, y).has_value());
  EXPECT_FALSE(P256Tables::make(budget, y, x).has_value());
  EXPECT_FALSE(P256Tables::make(budget, x, x).has_value());
  EXPECT_FALSE(P256Tables::make(budget, std::string(32, '\0'), std::string(32, '\0')).has_value());
  EXPECT_FALSE(P256Tables::make(budget, std::string(32, '\xff'), y).has_value());
  EXPECT_FALSE(P256Tables::make(budget, x.substr(1), y).has_value());
  EXPECT_FALSE(P256Tables::make(budget, x, y + '\0').has_value());
  EXPECT_FALSE(P256Tables::make(budget, "", "").has_value());
  for (std::size_t bit = 0; bit < 256; bit++) {
    std::string other = x;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << bit % 8));
    // Half of all x have points, but not with this y.
    EXPECT_FALSE(P256Tables::make(budget, other, y).has_value()) << bit;
  }
  // p + 1 and so on are the same numbers modulo p, but not the coordinates of anything: the point with x = 5.
  const Point five = oracle.lift(oracle.number(std::uint64_t{5}));
  ASSERT_NE(five, nullptr);
  const std::string coordinates = oracle.coordinates(five);
  EXPECT_TRUE(P256Tables::make(budget, coordinates.substr(0, 32), coordinates.substr(32)).has_value());
  std::string over("\xff\xff\xff\xff\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
                   32);  // p
  Number p_and_five = oracle.number(over);
  core::testing::require(BN_add_word(p_and_five.get(), 5) == 1);
  EXPECT_FALSE(P256Tables::make(budget, P256Oracle::bytes(p_and_five), coordinates.substr(32)).has_value());
}

// ----------------------------------------------------------------------------------------------------------- budget

struct BudgetKey {
  P256Tables tables;
  P256Case good;
};

class Keys {
 public:
  explicit Keys(std::shared_ptr<TableBudget> budget) : budget_(std::move(budget)) {}
  BudgetKey make() {
    const Number d = oracle_.random(random_);
    const std::string point = oracle_.coordinates(oracle_.multiple(d));
    return {P256Tables::make(budget_, point.substr(0, 32), point.substr(32)).value(),
            sign_p256(oracle_, d, oracle_.random(random_), oracle_.random(random_))};
  }
  static void use(const BudgetKey& key, std::uint64_t times) {
    for (std::uint64_t i = 0; i < times; i++) {
      EXPECT_EQ(key.tables.verify(key.good.hash, key.good.signature), P256Answer::accepted);
      EXPECT_EQ(key.tables.verify(Hash256{}, key.good.signature), P256Answer::refused);  // is no use
    }
  }
  void build() const {
    while (budget_->build_step()) {
    }
  }

 private:
  P256Oracle oracle_;
  std::mt19937_64 random_{29};  // NOLINT
  std::shared_ptr<TableBudget> budget_;
};

constexpr std::size_t small_bytes = std::size_t{32} * 1024;
constexpr std::size_t large_bytes = std::size_t{256} * 1024;

TEST(P256_SUITE, TablesGrowWithUse) {
  const auto budget = std::make_shared<TableBudget>();
  Keys keys(budget);
  const BudgetKey key = keys.make();
  EXPECT_EQ(budget->bytes(), 0U);
  Keys::use(key, P256_NAMESPACE::p256_small_table_uses - 1);
  EXPECT_FALSE(budget->building_waits());
  EXPECT_FALSE(budget->build_step());
  Keys::use(key, 1);
  EXPECT_TRUE(budget->building_waits());
  EXPECT_EQ(budget->bytes(), 0U) << "only build_step builds";
  int steps = 1;
  while (budget->build_step()) steps++;
  EXPECT_EQ(steps, 16) << "two tables in eight slices each";
  EXPECT_EQ(key.tables.table(), TableSize::small);
  EXPECT_EQ(budget->bytes(), large_bytes + small_bytes) << "the generator's is large at once";
  Keys::use(key, P256_NAMESPACE::p256_large_table_uses);
  EXPECT_EQ(key.tables.table(), TableSize::small);
  keys.build();
  EXPECT_EQ(key.tables.table(), TableSize::large);
  EXPECT_EQ(budget->bytes(), 2 * large_bytes);
  Keys::use(key, 10 * P256_NAMESPACE::p256_large_table_uses);
  EXPECT_FALSE(budget->building_waits());
}

TEST(P256_SUITE, TheBudgetIsKept) {
  // The generator's small table and three more.
  const auto budget = std::make_shared<TableBudget>(4 * small_bytes);
  Keys keys(budget);
  std::vector<BudgetKey> all;
  for (int i = 0; i < 6; i++) all.push_back(keys.make());
  // Six equally busy keys: the first three to ask keep their tables.
  for (int round = 0; round < 40; round++) {
    for (const BudgetKey& key : all) {
      Keys::use(key, 1);
      budget->build_step();
      EXPECT_LE(budget->bytes(), 4 * small_bytes);
    }
  }
  keys.build();
  int with_table = 0;
  for (const BudgetKey& key : all) with_table += key.tables.table().has_value() ? 1 : 0;
  EXPECT_EQ(with_table, 3);
  EXPECT_TRUE(all[0].tables.table().has_value());
  // The others stay busy while the first three rest: now they get the tables, one after the other.
  for (int round = 0; round < 40; round++) {
    for (std::size_t i = 3; i < 6; i++) Keys::use(all[i], 1);
    keys.build();
    EXPECT_LE(budget->bytes(), 4 * small_bytes);
  }
  for (std::size_t i = 0; i < 6; i++) EXPECT_EQ(all[i].tables.table().has_value(), i >= 3) << i;
}

TEST(P256_SUITE, TheLeastRecentlyUsedIsDropped) {
  const auto budget = std::make_shared<TableBudget>(4 * small_bytes);
  Keys keys(budget);
  std::vector<BudgetKey> all;
  for (int i = 0; i < 4; i++) all.push_back(keys.make());
  for (const std::size_t i : {1, 2, 0}) Keys::use(all[i], P256_NAMESPACE::p256_small_table_uses);
  keys.build();
  Keys::use(all[1], 1);  // now 2 is the one that rested longest
  Keys::use(all[3], P256_NAMESPACE::p256_small_table_uses);
  keys.build();
  EXPECT_TRUE(all[2].tables.table().has_value()) << "it was used since 3 was made";
  EXPECT_FALSE(all[3].tables.table().has_value());
  Keys::use(all[3], P256_NAMESPACE::p256_small_table_uses);
  keys.build();
  EXPECT_TRUE(all[0].tables.table().has_value());
  EXPECT_TRUE(all[1].tables.table().has_value());
  EXPECT_FALSE(all[2].tables.table().has_value());
  EXPECT_TRUE(all[3].tables.table().has_value());
}

TEST(P256_SUITE, KeysComeAndGo) {
  const auto budget = std::make_shared<TableBudget>();
  Keys keys(budget);
  {
    BudgetKey gone = keys.make();
    gone.tables.request(TableSize::small);
    EXPECT_TRUE(budget->building_waits());
    P256Tables moved = std::move(gone.tables);
    moved.request(TableSize::small);
    for (int i = 0; i < 10; i++) budget->build_step();  // the generator's and the beginning of this one
    EXPECT_EQ(budget->bytes(), large_bytes + small_bytes);
  }
  EXPECT_EQ(budget->bytes(), large_bytes) << "a key that goes while its table is built";
  EXPECT_FALSE(budget->building_waits());
  BudgetKey key = keys.make();
  key.tables.request(TableSize::large);
  keys.build();
  EXPECT_EQ(budget->bytes(), 2 * large_bytes);
  key = keys.make();  // takes the place of one with a table
  EXPECT_EQ(budget->bytes(), large_bytes);
  EXPECT_FALSE(key.tables.table().has_value());
}

// ------------------------------------------------------------------------------------------------------- Wycheproof

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

TEST(P256_SUITE, Wycheproof) {
  const char* folder = std::getenv("POSTERN_VECTORS");
#ifdef POSTERN_VECTORS
  if (folder == nullptr) folder = POSTERN_VECTORS;
#endif
  const fs::path path = fs::path(folder == nullptr ? "" : folder) / "wycheproof" / "ecdsa_secp256r1_sha256_p1363_test.json";
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
      if (coordinate->size() > 32) coordinate->erase(0, coordinate->size() - 32);
      coordinate->insert(0, 32 - coordinate->size(), '\0');
    }
    KeyForms forms(P256OracleKey(wx + wy));
    for (const core::json::Value& test : group.find("tests")->items()) {
      const Hash256 hash = core::crypto::sha256(from_hex(test.find("msg")->as_string()));
      const bool valid = test.find("result")->as_string() == "valid";
      const P256Answer answer = forms.verify(hash, from_hex(test.find("sig")->as_string()));
      cases++;
      // Their keys are not random: some sums meet on the way.
      undecided += answer == P256Answer::undecided ? 1 : 0;
      if (answer != P256Answer::undecided) {
        EXPECT_EQ(answer, answer_for(valid)) << test.find("tcId")->as_integer().value_or(0);
      }
    }
  }
  EXPECT_GT(cases, 200);
  std::printf("p256 wycheproof: %d cases in four forms, %d left to mbedTLS\n", cases, undecided);
}

}  // namespace
