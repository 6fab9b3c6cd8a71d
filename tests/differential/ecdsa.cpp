// The own ECDSA against OpenSSL for as long as one likes: good and bad signatures, every size of tables.
//
//   ecdsa_differential CASES [SEED]
//
// Built for one curve and one shape of limbs, POSTERN_FIELD_BITS and POSTERN_LIMB_BITS; `run` beside this file builds and runs
// all of them. Prints one line, which says what was run and how it ended; the exit status is 1 after any difference. A
// `difference` line has the case in hex.
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ecdsa.h"
#include "limbs.h"
#include "support/ec_oracle.h"

namespace {

using postern::EcdsaAnswer;
using postern::EcdsaKey;
using postern::TableBudget;
using postern::TableSize;
using postern::testing::EcdsaCase;
using postern::testing::EcOracle;
using postern::testing::EcOracleKey;
using postern::testing::Number;

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    out += digits[static_cast<unsigned char>(c) >> 4U];
    out += digits[static_cast<unsigned char>(c) & 15U];
  }
  return out;
}

// As much of a run of this many cases as one key serves: its tables cost as much as some hundred cases.
constexpr std::uint64_t cases_a_key = 2000;

#if POSTERN_FIELD_BITS == 256
constexpr auto& curve = postern::testing::p256_curve;
constexpr auto make_key = postern::make_p256_key;
#else
constexpr auto& curve = postern::testing::p384_curve;
constexpr auto make_key = postern::make_p384_key;
#endif

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ecdsa_differential CASES [SEED]\n");
    return 2;
  }
  const std::uint64_t cases = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
  std::mt19937_64 random(seed);
  const EcOracle oracle(curve);
  std::uint64_t done = 0;
  std::uint64_t good = 0;
  std::uint64_t undecided = 0;
  std::uint64_t differences = 0;
  const auto start = std::chrono::steady_clock::now();
  while (done < cases) {
    const Number d = oracle.random(random);
    const EcOracleKey key(curve, oracle.coordinates(oracle.multiple(d)));
    postern::testing::Nonces nonces(oracle, random);
    TableBudget none(0);
    TableBudget roomy;
    std::vector<std::unique_ptr<EcdsaKey>> forms;
    for (TableBudget* budget : {&none, &roomy, &roomy}) forms.push_back(make_key(*budget, key.x(), key.y()));
    forms[1]->request(TableSize::small);
    forms[2]->request(TableSize::large);
    while (roomy.build_step()) {
    }
    for (std::uint64_t i = 0; i < cases_a_key && done < cases; i++, done++) {
      const EcdsaCase one = random_case(oracle, d, nonces, random);
      const bool expected = key.verify(one.hash, one.signature);
      good += expected ? 1 : 0;
      // The large table is what most requests meet; the other two take turns.
      for (const std::size_t form : {std::size_t{2}, static_cast<std::size_t>(i % 2)}) {
        const EcdsaAnswer answer = forms[form]->verify(one.hash, one.signature);
        if (answer == EcdsaAnswer::undecided) {
          undecided++;
        } else if ((answer == EcdsaAnswer::accepted) != expected) {
          differences++;
          std::printf("difference: form %zu, OpenSSL says %s: key %s%s hash %s signature %s\n", form, expected ? "good" : "bad",
                      hex(key.x()).c_str(), hex(key.y()).c_str(),
                      hex({reinterpret_cast<const char*>(one.hash.data()), one.hash.size()}).c_str(), hex(one.signature).c_str());
        }
      }
    }
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
  std::printf("P-%d differential: limbs of %d bits, seed %" PRIu64 ": %" PRIu64 " cases against %s, %" PRIu64 " good, %" PRIu64
              " bad, each with two forms of tables; %" PRIu64 " undecided, %" PRIu64 " differences; %lld s\n",
              POSTERN_FIELD_BITS, POSTERN_LIMB_BITS, seed, done, OpenSSL_version(OPENSSL_VERSION), good, done - good, undecided,
              differences, static_cast<long long>(seconds));
  return differences == 0 ? 0 : 1;
}
