// ES256 or ES384 verification: the own code with each kind of table against OpenSSL's EVP, in alternating rounds.
//
//   ecdsa_bench [ROUNDS]       default 101; prints one line per contestant: median, least and greatest of the rounds in
//                              microseconds a verification, and the median's ratio to OpenSSL's
//
// Every contestant hashes the same 740-byte inputs (a signing input's usual size) with OpenSSL's SHA-2 and verifies 64
// signatures of 8 keys in turn, one in 16 of them bad. OpenSSL's contestants keep what may be kept between calls:
// EVP_DigestVerify as programs use it, and EVP_PKEY_verify on the hash alone, its DER signature made beforehand. For each curve:
//
//   c++ -O3 -std=c++20 -DPOSTERN_FIELD_BITS=384 -Icore/include -Icore/src -Itests bench/ecdsa.cpp core/src/p384.cpp
//     core/src/table_budget.cpp -lcrypto -o ecdsa_bench
#include <openssl/sha.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ecdsa.h"
#include "support/ec_oracle.h"

namespace {

using postern::EcdsaAnswer;
using postern::EcdsaKey;
using postern::TableSize;
using postern::TableBudget;
using postern::testing::Freed;
using postern::testing::HashBytes;
using postern::testing::Number;
using postern::testing::EcdsaCase;
using postern::testing::EcOracle;
using postern::testing::EcOracleKey;
using postern::testing::require;

constexpr std::size_t keys = 8;
constexpr std::size_t tokens = 64;
constexpr std::size_t input_bytes = 740;

#if POSTERN_FIELD_BITS == 256
constexpr auto& curve = postern::testing::p256_curve;
constexpr auto make_key = postern::make_p256_key;
constexpr auto digest = SHA256;
const EVP_MD* md() { return EVP_sha256(); }
#else
constexpr auto& curve = postern::testing::p384_curve;
constexpr auto make_key = postern::make_p384_key;
constexpr auto digest = SHA384;
const EVP_MD* md() { return EVP_sha384(); }
#endif

HashBytes sha(const std::string& input) {
  HashBytes hash(curve.bytes);
  digest(reinterpret_cast<const unsigned char*>(input.data()), input.size(), hash.data());
  return hash;
}

struct Token {
  std::size_t key;
  std::string input;
  std::string signature;
  std::vector<unsigned char> der;
  bool good;
};

std::vector<unsigned char> der_of(const std::string& signature) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
  constexpr auto half = static_cast<int>(curve.bytes);
  std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>> value(ECDSA_SIG_new());
  require(ECDSA_SIG_set0(value.get(), BN_bin2bn(bytes, half, nullptr), BN_bin2bn(bytes + half, half, nullptr)) == 1);
  std::vector<unsigned char> der(static_cast<std::size_t>(i2d_ECDSA_SIG(value.get(), nullptr)));
  unsigned char* end = der.data();
  i2d_ECDSA_SIG(value.get(), &end);
  return der;
}

struct Contestant {
  std::string name;
  std::function<bool(const Token&)> verify;
  std::vector<double> microseconds;
};

double now_microseconds() {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 101;
  const EcOracle oracle(curve);
  std::mt19937_64 random(1);  // NOLINT: the same tokens in every run
  std::vector<Number> private_keys;
  std::vector<EcOracleKey> public_keys;
  for (std::size_t i = 0; i < keys; i++) {
    private_keys.push_back(oracle.random(random));
    public_keys.emplace_back(curve, oracle.coordinates(oracle.multiple(private_keys.back())));
  }
  std::vector<Token> all;
  for (std::size_t i = 0; i < tokens; i++) {
    Token token{i % keys, std::string(input_bytes, 'x') + std::to_string(i), "", {}, i % 16 != 7};
    const HashBytes hash = sha(token.input);
    token.signature = sign_ecdsa(oracle, private_keys[token.key], oracle.random(random),
                                oracle.number(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size())))
                          .signature;
    if (!token.good) token.signature[40] ^= 1;
    token.der = der_of(token.signature);
    all.push_back(std::move(token));
  }

  const auto forms = [&](TableBudget& budget, std::optional<TableSize> size) {
    std::vector<std::unique_ptr<EcdsaKey>> made;
    for (const EcOracleKey& key : public_keys) {
      made.push_back(make_key(budget, key.x(), key.y()));
      if (size.has_value()) made.back()->request(*size);
    }
    return made;
  };
  TableBudget no_tables(0);
  TableBudget tables;
  const auto none = forms(no_tables, std::nullopt);
  const auto small = forms(tables, TableSize::small);
  double start = now_microseconds();
  while (tables.build_step()) {
  }
  const double small_time = (now_microseconds() - start) / keys;
  const auto large = forms(tables, TableSize::large);
  std::vector<double> slices;
  start = now_microseconds();
  for (bool more = true; more;) {
    const double slice_start = now_microseconds();
    more = tables.build_step();
    slices.push_back(now_microseconds() - slice_start);
  }
  std::printf("small table %.0f us (with a share of the generator's), large table %.0f us, a slice of it %.0f us\n", small_time,
              (now_microseconds() - start) / keys, median(slices));

  std::vector<std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>> digests;
  std::vector<std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>> verifiers;
  for (const EcOracleKey& key : public_keys) {
    digests.emplace_back(EVP_MD_CTX_new());
    verifiers.emplace_back(EVP_PKEY_CTX_new(key.pkey(), nullptr));
    require(EVP_PKEY_verify_init(verifiers.back().get()) == 1);
  }
  const auto own = [](const std::vector<std::unique_ptr<EcdsaKey>>& made) {
    return [&made](const Token& token) {
      return made[token.key]->verify(sha(token.input), token.signature) == EcdsaAnswer::accepted;
    };
  };
  std::vector<Contestant> contestants;
  contestants.push_back({"OpenSSL EVP_DigestVerify",
                         [&](const Token& token) {
                           EVP_MD_CTX* context = digests[token.key].get();
                           require(EVP_MD_CTX_reset(context) == 1 && EVP_DigestVerifyInit(context, nullptr, md(), nullptr,
                                                                                          public_keys[token.key].pkey()) == 1);
                           return EVP_DigestVerify(context, token.der.data(), token.der.size(),
                                                   reinterpret_cast<const unsigned char*>(token.input.data()),
                                                   token.input.size()) == 1;
                         },
                         {}});
  contestants.push_back({"OpenSSL EVP_PKEY_verify",
                         [&](const Token& token) {
                           const HashBytes hash = sha(token.input);
                           return EVP_PKEY_verify(verifiers[token.key].get(), token.der.data(), token.der.size(), hash.data(),
                                                  hash.size()) == 1;
                         },
                         {}});
  contestants.push_back({"own, no table", own(none), {}});
  contestants.push_back({"own, small table", own(small), {}});
  contestants.push_back({"own, large table", own(large), {}});

  constexpr std::size_t passes = 1;
  for (int round = 0; round < rounds + 5; round++) {  // five rounds to warm up
    for (Contestant& contestant : contestants) {
      const double round_start = now_microseconds();
      for (std::size_t i = 0; i < passes * tokens; i++) {
        const Token& token = all[i % tokens];
        if (contestant.verify(token) != token.good) {
          std::fprintf(stderr, "%s is wrong about token %zu\n", contestant.name.c_str(), i % tokens);
          return 1;
        }
      }
      if (round >= 5) contestant.microseconds.push_back((now_microseconds() - round_start) / (passes * tokens));
    }
  }
  const double reference = median(contestants.front().microseconds);
  for (const Contestant& contestant : contestants) {
    const auto [least, greatest] = std::minmax_element(contestant.microseconds.begin(), contestant.microseconds.end());
    const double middle = median(contestant.microseconds);
    std::printf("%-26s %7.1f us  (%.1f to %.1f)  %.2f\n", contestant.name.c_str(), middle, *least, *greatest, middle / reference);
  }
  return 0;
}
