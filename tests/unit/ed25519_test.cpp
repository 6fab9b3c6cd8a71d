// Ed25519 against RFC 8032, RFC 8037, Wycheproof, OpenSSL and a second implementation of the curve in exact integers.
//
// ed25519_limbs29_test.cpp includes this file: the same tests for the form of the field that wasm uses.
#include "ed25519.h"

#include <gtest/gtest.h>
#include <openssl/bn.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base64url.h"
#include "differential/ed25519_cases.h"
#include "json.h"

#if POSTERN_ED25519_LIMBS == 51
#define SUITE Ed25519
#else
#define SUITE Ed25519Limbs29
#endif

namespace postern::ed25519 {
namespace {

using testing::ed25519_hash;
using testing::Ed25519Signer;
using testing::openssl_verifies;

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

Fault fault(std::string_view encoded) {
  const auto result = PublicKey::import(encoded);
  EXPECT_FALSE(result.ok());
  return result.ok() ? Fault::size : result.error();
}

// With both tables, which must agree.
bool verifies(std::string_view key, std::string_view message, std::string_view signature) {
  auto imported = PublicKey::import(key);
  if (!imported) return false;
  const Hash hash = ed25519_hash(signature, key, message);
  const bool verified = imported->verify(signature, hash);
  imported->set_table_size(TableSize::large);
  EXPECT_EQ(imported->verify(signature, hash), verified);
  return verified;
}

// ------------------------------------------------------------------------------------------------------- exact numbers

struct FreeNumber {
  void operator()(BIGNUM* number) const { BN_free(number); }
};
BN_CTX* scratch() {
  static const std::unique_ptr<BN_CTX, void (*)(BN_CTX*)> context(BN_CTX_new(), BN_CTX_free);
  return context.get();
}

// Whole numbers that are copied freely, on OpenSSL's BIGNUM.
class Number {
 public:
  Number(unsigned long value = 0) : number_(BN_new()) { BN_set_word(get(), value); }  // NOLINT: implicit by intent
  Number(const Number& other) : number_(BN_dup(other.get())) {}
  Number& operator=(const Number& other) {
    BN_copy(get(), other.get());
    return *this;
  }
  explicit Number(std::string_view little_endian)
      : number_(BN_lebin2bn(testing::bytes_of(little_endian), static_cast<int>(little_endian.size()), nullptr)) {}
  [[nodiscard]] std::string bytes(std::size_t size = 32) const {
    std::string out(size, '\0');
    EXPECT_GE(BN_bn2lebinpad(get(), reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size)), 0);
    return out;
  }
  [[nodiscard]] BIGNUM* get() const { return number_.get(); }
  [[nodiscard]] bool bit(int at) const { return BN_is_bit_set(get(), at) == 1; }
  friend bool operator==(const Number& a, const Number& b) { return BN_cmp(a.get(), b.get()) == 0; }
  friend Number operator+(const Number& a, const Number& b) {
    Number r;
    BN_add(r.get(), a.get(), b.get());
    return r;
  }
  friend Number operator-(const Number& a, const Number& b) {
    Number r;
    BN_sub(r.get(), a.get(), b.get());
    return r;
  }
  friend Number operator*(const Number& a, const Number& b) {
    Number r;
    BN_mul(r.get(), a.get(), b.get(), scratch());
    return r;
  }
  friend Number operator%(const Number& a, const Number& m) {
    Number r;
    BN_nnmod(r.get(), a.get(), m.get(), scratch());
    return r;
  }
  friend Number operator<<(const Number& a, int bits) {
    Number r;
    BN_lshift(r.get(), a.get(), bits);
    return r;
  }
  [[nodiscard]] Number inverse(const Number& m) const {
    Number r;
    BN_mod_inverse(r.get(), get(), m.get(), scratch());
    return r;
  }
  [[nodiscard]] Number root(const Number& m) const {
    Number r;
    EXPECT_NE(BN_mod_sqrt(r.get(), get(), m.get(), scratch()), nullptr);
    return r;
  }

 private:
  std::unique_ptr<BIGNUM, FreeNumber> number_;
};

const Number p = (Number(1) << 255) - 19;
const Number order = Number(from_hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010"));

// RFC 8032 5.1.4, affine, with a division in every step: slow, and nothing in common with the code under test.
struct ExactPoint {
  Number x = 0;
  Number y = 1;

  friend ExactPoint operator+(const ExactPoint& a, const ExactPoint& b) {
    static const Number d = (p - 121665) * Number(121666).inverse(p) % p;
    const Number product = d * (a.x * b.x % p) % p * (a.y * b.y % p) % p;
    return {(a.x * b.y + b.x * a.y) * (product + 1).inverse(p) % p, (a.y * b.y + a.x * b.x) * (p + 1 - product).inverse(p) % p};
  }
  friend ExactPoint operator*(const Number& scalar, const ExactPoint& a) {
    ExactPoint sum;
    for (int i = BN_num_bits(scalar.get()) - 1; i >= 0; --i) {
      sum = sum + sum;
      if (scalar.bit(i)) sum = sum + a;
    }
    return sum;
  }
  [[nodiscard]] ExactPoint negative() const { return {(p - x) % p, y}; }
  [[nodiscard]] std::string encoded() const { return (y + (Number(x.bit(0) ? 1 : 0) << 255)).bytes(); }
};

// B: y = 4/5, x even (RFC 8032 5.1).
ExactPoint base_point() {
  static const ExactPoint base = [] {
    const Number d = (p - 121665) * Number(121666).inverse(p) % p;
    const Number y = Number(4) * Number(5).inverse(p) % p;
    Number x = ((y * y - 1) * (d * y * y + 1).inverse(p) % p).root(p);
    if (x.bit(0)) x = p - x;
    return ExactPoint{x, y};
  }();
  return base;
}

// scalar * B, with the doublings kept.
ExactPoint times_base(const Number& scalar) {
  static const std::vector<ExactPoint> doublings = [] {
    std::vector<ExactPoint> points{base_point()};
    while (points.size() < 253) points.push_back(points.back() + points.back());
    return points;
  }();
  ExactPoint sum;
  for (std::size_t i = 0; i < doublings.size(); ++i) {
    if (scalar.bit(static_cast<int>(i))) sum = sum + doublings[i];
  }
  return sum;
}

// The eight points of order 1, 2, 4 and 8: multiples of what L times a point leaves of it, when that has order 8.
const std::vector<ExactPoint>& torsion() {
  static const std::vector<ExactPoint> points = [] {
    const Number d = (p - 121665) * Number(121666).inverse(p) % p;
    for (unsigned long y = 2;; ++y) {
      const Number square = (Number(y) * y - 1) * (d * y * y + 1).inverse(p) % p;
      if (BN_kronecker(square.get(), p.get(), scratch()) != 1) continue;
      const ExactPoint rest = order * ExactPoint{square.root(p), y};
      if ((Number(4) * rest).encoded() == ExactPoint{}.encoded()) continue;
      std::vector<ExactPoint> all{ExactPoint{}};
      for (int i = 1; i < 8; ++i) all.push_back(all.back() + rest);
      return all;
    }
  }();
  return points;
}

// R || S for the key A = aB + torsion, any R and S = r + ka.
std::string signature_of(const std::string& r_encoded, const Number& r, const Number& a, std::string_view key,
                         std::string_view message) {
  const Hash hash = ed25519_hash(r_encoded, key, message);
  const Number k(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
  return r_encoded + ((r + k * a) % order).bytes();
}

std::string with_sign(std::string encoded) {
  encoded[31] = static_cast<char>(encoded[31] ^ '\x80');
  return encoded;
}

// ------------------------------------------------------------------------------------------------------------- vectors

// RFC 8032 7.1, tests 1 to 3: key, message, signature.
TEST(SUITE, Rfc8032) {
  const std::vector<std::array<std::string, 3>> examples = {
      {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
       "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438"
       "e"
       "7a100b"},
      {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
       "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d29161"
       "2"
       "bb0c00"},
      {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
       "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027becee"
       "a"
       "1ec40a"},
  };
  for (const auto& [key, message, signature] : examples) {
    EXPECT_TRUE(verifies(from_hex(key), from_hex(message), from_hex(signature)));
    EXPECT_FALSE(verifies(from_hex(key), from_hex(message) + "x", from_hex(signature)));
  }
}

json::Value read(const std::string& file) {
  const char* named = std::getenv("POSTERN_VECTORS");
#ifdef POSTERN_VECTORS
  if (named == nullptr) named = POSTERN_VECTORS;
#endif
  std::ifstream in(std::filesystem::path(named == nullptr ? "" : named) / file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = json::parse(text.str(), json::Limits{.depth_max = 16, .values_max = 100'000});
  return parsed ? std::move(parsed).value() : json::Value();
}

TEST(SUITE, Wycheproof) {
  const json::Value document = read("wycheproof/ed25519_test.json");
  if (!document.is_object()) {
    if (std::getenv("CI") != nullptr) FAIL() << "no test vectors; POSTERN_VECTORS must name their folder";
    GTEST_SKIP() << "no test vectors; POSTERN_VECTORS names their folder";
  }
  std::size_t cases = 0;
  for (const json::Value& group : document.find("testGroups")->items()) {
    const std::string key = from_hex(group.find("publicKey")->find("pk")->as_string());
    for (const json::Value& test : group.find("tests")->items()) {
      const bool accepted = verifies(key, from_hex(test.find("msg")->as_string()), from_hex(test.find("sig")->as_string()));
      EXPECT_EQ(accepted, test.find("result")->as_string() == "valid") << test.find("tcId")->as_integer().value_or(0);
      ++cases;
    }
  }
  EXPECT_EQ(cases, 151U);
}

// RFC 8037 A.4, as the JOSE cookbook has it.
TEST(SUITE, Rfc8037) {
  const json::Value document = read("cookbook/curve25519/jws.json");
  if (!document.is_object()) GTEST_SKIP() << "no test vectors; POSTERN_VECTORS names their folder";
  const json::Value& signing = *document.find("signing");
  const std::string key = base64url::decode(document.find("input")->find("key")->find("x")->as_string()).value();
  const std::string signature = base64url::decode(signing.find("sig")->as_string()).value();
  EXPECT_TRUE(verifies(key, signing.find("sig-input")->as_string(), signature));
}

// ---------------------------------------------------------------------------------------------------------------- keys

TEST(SUITE, AKeyIsJust32Bytes) {
  const std::string key = Ed25519Signer(std::string(32, 'k')).public_key();
  ASSERT_TRUE(PublicKey::import(key).ok());
  EXPECT_EQ(PublicKey::import(key)->encoded(), key);
  for (const std::size_t size : {0U, 1U, 31U}) EXPECT_EQ(fault(key.substr(0, size)), Fault::size);
  EXPECT_EQ(fault(key + '\0'), Fault::size);
  EXPECT_EQ(fault(key + key), Fault::size);
}

TEST(SUITE, CoordinatesOverThePrimeAreRefused) {
  // p is 19 under 2^255, so these are all; y - p is a point for some and a small-order one for 0 and 1.
  for (unsigned long i = 0; i < 19; ++i) {
    const std::string encoded = (p + i).bytes();
    EXPECT_EQ(fault(encoded), Fault::not_canonical) << i;
    EXPECT_EQ(fault(with_sign(encoded)), Fault::not_canonical) << i;
  }
}

TEST(SUITE, PointsOfSmallOrderAreRefusedInEveryEncoding) {
  ASSERT_EQ(torsion().size(), 8U);
  std::vector<std::string> seen;
  for (const ExactPoint& point : torsion()) {
    const std::string encoded = point.encoded();
    EXPECT_EQ(std::find(seen.begin(), seen.end(), encoded), seen.end());
    seen.push_back(encoded);
    EXPECT_EQ(fault(encoded), Fault::small_order);
    // Where x is 0 the other sign is no encoding at all; where it is not, it is the opposite point, as small.
    EXPECT_EQ(fault(with_sign(encoded)), point.x == Number(0) ? Fault::not_canonical : Fault::small_order);
  }
  // Two of them, y = 0 and y = 1, have a second encoding under 2^255.
  EXPECT_EQ(fault(p.bytes()), Fault::not_canonical);
  EXPECT_EQ(fault((p + 1).bytes()), Fault::not_canonical);
  EXPECT_EQ(fault(with_sign((p + 1).bytes())), Fault::not_canonical);
}

TEST(SUITE, PointsOffTheCurveAreRefused) {
  std::size_t off = 0;
  for (unsigned long y = 2; y < 200; ++y) {
    const Number d = (p - 121665) * Number(121666).inverse(p) % p;
    const Number square = (Number(y) * y - 1) * (d * y * y + 1).inverse(p) % p;
    const bool on = BN_kronecker(square.get(), p.get(), scratch()) == 1;
    for (const std::string& encoded : {Number(y).bytes(), with_sign(Number(y).bytes())}) {
      const auto key = PublicKey::import(encoded);
      EXPECT_EQ(key.ok(), on) << y;
      EXPECT_TRUE(key.ok() || key.error() == Fault::not_on_curve) << y;
    }
    off += on ? 0 : 1;
  }
  EXPECT_GT(off, 50U);
}

TEST(SUITE, TablesHaveTheSizeTheySay) {
  auto key = PublicKey::import(Ed25519Signer(std::string(32, 'k')).public_key());
  for (const TableSize size : {TableSize::small, TableSize::large, TableSize::small}) {
    key->set_table_size(size);
    EXPECT_EQ(key->table_size(), size);
    EXPECT_EQ(key->table_bytes(), PublicKey::table_bytes(size));
  }
  EXPECT_LE(PublicKey::table_bytes(TableSize::small), 8U * 1024);
  EXPECT_LE(PublicKey::table_bytes(TableSize::large), 42U * 1024);
}

// ---------------------------------------------------------------------------------------------------------- signatures

TEST(SUITE, EachBitAndEachLengthCounts) {
  const Ed25519Signer signer(std::string(32, 's'));
  const std::string message = "the bytes that are signed";
  const std::string key = signer.public_key();
  const std::string signature = signer.sign(message);
  ASSERT_TRUE(verifies(key, message, signature));
  const auto flipped = [](std::string text, std::size_t bit) {
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
    return text;
  };
  for (std::size_t bit = 0; bit < signature.size() * 8; ++bit)
    EXPECT_FALSE(verifies(key, message, flipped(signature, bit))) << bit;
  for (std::size_t bit = 0; bit < message.size() * 8; ++bit) EXPECT_FALSE(verifies(key, flipped(message, bit), signature)) << bit;
  for (std::size_t bit = 0; bit < key.size() * 8; ++bit) EXPECT_FALSE(verifies(flipped(key, bit), message, signature)) << bit;
  for (std::size_t size = 0; size < signature.size(); ++size) EXPECT_FALSE(verifies(key, message, signature.substr(0, size)));
  EXPECT_FALSE(verifies(key, message, signature + '\0'));
  EXPECT_FALSE(verifies(key, message, '\0' + signature));
  EXPECT_FALSE(verifies(key, message, std::string(64, '\0')));
  EXPECT_FALSE(verifies(key, message, std::string(64, '\xff')));
}

// RFC 8032 8.4: S + L is as good an S in the equation.
TEST(SUITE, AnSThatIsNotUnderTheOrderIsRefused) {
  const Ed25519Signer signer(std::string(32, 's'));
  const std::string key = signer.public_key();
  const std::string signature = signer.sign("m");
  const Number s(std::string_view(signature).substr(32));
  for (unsigned long times = 1; times < 15; ++times) {
    EXPECT_FALSE(verifies(key, "m", signature.substr(0, 32) + (s + order * times).bytes())) << times;
  }

  // Just under and at the order, with the S for which everything else holds: r = S - ka.
  const Number a = 77;
  const std::string own_key = times_base(a).encoded();
  for (const Number& wanted : {order - 2, order - 1}) {
    // R depends on S here and k on R, so k is given.
    Hash hash{};
    hash[0] = 3;
    const std::string r = times_base((wanted + order * 4 - Number(3) * a) % order).encoded();
    const auto imported = PublicKey::import(own_key);
    EXPECT_TRUE(imported->verify(r + wanted.bytes(), hash));
    EXPECT_FALSE(imported->verify(r + (wanted + order).bytes(), hash));
  }
  Hash hash{};
  hash[0] = 3;
  const std::string r = times_base((order * 4 - Number(3) * a) % order).encoded();
  EXPECT_TRUE(PublicKey::import(own_key)->verify(r + Number(0).bytes(), hash));
  EXPECT_FALSE(PublicKey::import(own_key)->verify(r + order.bytes(), hash));
}

// Also where the equation holds, which only the key's owner can bring about. OpenSSL takes those.
TEST(SUITE, AnROfSmallOrderIsRefusedInEveryEncoding) {
  const Number a = 123456789;
  const std::string key = times_base(a).encoded();
  for (std::size_t i = 0; i < 8; ++i) {
    SCOPED_TRACE(i);
    const std::string r = torsion()[i].encoded();
    for (const std::string& encoded : {r, with_sign(r)}) {
      for (const char* message : {"", "a", "ab"}) {
        // The signature of r = 0: SB - kA is neutral, so that only the neutral point's own encoding fits. One that
        // multiplied by the cofactor would take all eight.
        const std::string signature = signature_of(encoded, 0, a, key, message);
        EXPECT_FALSE(verifies(key, message, signature));
        EXPECT_EQ(openssl_verifies(key, message, signature), i == 0 && encoded == r);
        EXPECT_FALSE(verifies(key, message, encoded + std::string(32, '\0')));
      }
    }
  }
  // Encodings with y >= p, hashed as they stand: a verifier that decodes R leniently takes the first.
  for (const std::string& encoded : {(p + 1).bytes(), with_sign((p + 1).bytes()), p.bytes(), with_sign(p.bytes())}) {
    EXPECT_FALSE(verifies(key, "a", signature_of(encoded, 0, a, key, "a")));
  }
  // Under A = aB + T the equation holds for R = -kT, of any small order.
  std::size_t holds = 0;
  for (const ExactPoint& torsion_point : torsion()) {
    const std::string mixed = (times_base(a) + torsion_point).encoded();
    for (const ExactPoint& r : torsion()) {
      const std::string signature = signature_of(r.encoded(), 0, a, mixed, "m");
      holds += openssl_verifies(mixed, "m", signature) ? 1 : 0;
      EXPECT_FALSE(verifies(mixed, "m", signature));
    }
  }
  EXPECT_GT(holds, 3U);
}

// The same for a proper point: y + p fits in 255 bits only for y < 19, so R must be searched for one; y = 3, 4 ... are on the
// curve, but nobody knows their r. What can be tested is that no R but the canonical one is taken.
TEST(SUITE, AnRThatIsNotCanonicalIsRefused) {
  const Ed25519Signer signer(std::string(32, 's'));
  for (unsigned long i = 0; i < 19; ++i) {
    for (const std::string& encoded : {(p + i).bytes(), with_sign((p + i).bytes())}) {
      const std::string signature = encoded + signer.sign("m").substr(32);
      EXPECT_FALSE(verifies(signer.public_key(), "m", signature));
      EXPECT_FALSE(openssl_verifies(signer.public_key(), "m", signature));
    }
  }
}

// Keys A = aB + T with T of order 2, 4 or 8, which nobody makes by accident, are taken, as OpenSSL takes them; their
// signatures verify where SB = R + kA holds without the cofactor, k modulo L. That shows which equation is checked.
TEST(SUITE, KeysWithATorsionPartFollowTheEquationWithoutCofactor) {
  const Number a = 987654321;
  const Number r = 1234;
  std::size_t accepted = 0;
  for (std::size_t i = 1; i < 8; ++i) {
    const std::string key = (times_base(a) + torsion()[i]).encoded();
    ASSERT_TRUE(PublicKey::import(key).ok());
    for (int n = 0; n < 16; ++n) {
      const std::string message(static_cast<std::size_t>(n), 'm');
      const std::string signature = signature_of(times_base(r).encoded(), r, a, key, message);
      const bool theirs = openssl_verifies(key, message, signature);
      EXPECT_EQ(verifies(key, message, signature), theirs);
      accepted += theirs ? 1 : 0;
    }
  }
  EXPECT_GT(accepted, 0U);
  EXPECT_LT(accepted, 7U * 16);
}

// Scalars and points at every edge of the tables, against the exact curve: R is what SB - kA must be.
TEST(SUITE, EdgesOfScalarsAndKeys) {
  const std::string fives(64, '\x55');
  std::vector<Number> scalars{0, 1, 2, 15, 16, 17, 31, 32, 33, order - 1, order - 2, order - 17, Number(1) << 252};
  // Digits that are all the largest, all just over it, and all ones, for windows of 5 and 6 bits.
  for (const unsigned window : {5U, 6U}) {
    for (const unsigned long digit : {(1UL << (window - 1)), (1UL << (window - 1)) + 1, (1UL << window) - 1}) {
      Number sum = 0;
      for (unsigned at = 0; at + window <= 252; at += window) sum = sum + (Number(digit) << static_cast<int>(at));
      scalars.push_back(sum % order);
    }
  }
  std::vector<Number> hashes = scalars;
  const Number most = (Number(1) << 512) - 1;
  const Number last = most - most % order;  // the last multiple of L under 2^512
  for (const Number& k : {order, order + 1, most, last, last - 1, last + 1, order << 259, (order << 259) - 1, Number(1) << 511,
                          Number(1) << 256, (Number(1) << 256) - 1, (Number(1) << 252) - 1}) {
    hashes.push_back(k);
  }
  const std::vector<Number> keys{
      1, 2, 3, 16, 32, order - 1, order - 2, Number(1) << 65, Number(1) << 130, (Number(1) << 24) - 1, 31337};

  std::size_t at = 0;
  for (const Number& a : keys) {
    const ExactPoint point = times_base(a);
    auto key = PublicKey::import(point.encoded());
    ASSERT_TRUE(key.ok());
    for (const Number& k : hashes) {
      // Each key meets all scalars S, in another order than it meets the hashes.
      const Number& s = scalars[at++ % scalars.size()];
      Hash hash{};
      const std::string k_bytes = k.bytes(64);
      std::copy(k_bytes.begin(), k_bytes.end(), hash.begin());
      const ExactPoint r = times_base((s + k * (order - a)) % order);
      for (const TableSize size : {TableSize::small, TableSize::large}) {
        key->set_table_size(size);
        EXPECT_EQ(key->verify(r.encoded() + s.bytes(), hash), !(r.x == Number(0)));  // then it is the neutral point
        EXPECT_FALSE(key->verify((r + base_point()).encoded() + s.bytes(), hash));
        EXPECT_FALSE(key->verify(r.negative().encoded() + s.bytes(), hash));
      }
    }
  }
}

TEST(SUITE, AgreesWithOpenssl) {
  const testing::Ed25519Tally tally = testing::compare_ed25519(20'000, 8032);
  EXPECT_EQ(tally.cases, 20'000U);
  EXPECT_EQ(tally.differ, 0U);
  EXPECT_GT(tally.accepted, 4'000U);
  EXPECT_GT(tally.keys_refused, 1'000U);
}

}  // namespace
}  // namespace postern::ed25519
