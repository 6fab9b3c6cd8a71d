// The own P-256 against OpenSSL for as long as one likes: good and bad signatures, every combination of tables.
//
//   p256_differential CASES [SEED]
//
// Prints one line, which says what was run and how it ended; the exit status is 1 after any difference. Build it with
// -DPOSTERN_LIMB_BITS=29 as well, for the arithmetic that wasm uses. A `difference` line has the case in hex.
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "limbs.h"
#include "p256.h"
#include "support/p256_oracle.h"

namespace {

using postern::P256Answer;
using postern::P256Tables;
using postern::TableBudget;
using postern::TableSize;
using postern::testing::Number;
using postern::testing::P256Case;
using postern::testing::P256Oracle;
using postern::testing::P256OracleKey;

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

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: p256_differential CASES [SEED]\n");
    return 2;
  }
  const std::uint64_t cases = std::strtoull(argv[1], nullptr, 10);
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : std::random_device()();
  std::mt19937_64 random(seed);
  const P256Oracle oracle;
  std::uint64_t done = 0;
  std::uint64_t good = 0;
  std::uint64_t undecided = 0;
  std::uint64_t differences = 0;
  const auto start = std::chrono::steady_clock::now();
  while (done < cases) {
    const Number d = oracle.random(random);
    const P256OracleKey key(oracle.coordinates(oracle.multiple(d)));
    const auto none = std::make_shared<TableBudget>(0);
    const auto roomy = std::make_shared<TableBudget>();
    std::vector<P256Tables> forms;
    for (const auto& budget : {none, roomy, roomy}) forms.push_back(P256Tables::make(budget, key.x(), key.y()).value());
    forms[1].request(TableSize::small);
    forms[2].request(TableSize::large);
    while (roomy->build_step()) {
    }
    for (std::uint64_t i = 0; i < cases_a_key && done < cases; i++, done++) {
      const P256Case one = random_case(oracle, d, random);
      const bool expected = key.verify(one.hash, one.signature);
      good += expected ? 1 : 0;
      // The large table is what most requests meet; the other two take turns.
      for (const std::size_t form : {std::size_t{2}, static_cast<std::size_t>(i % 2)}) {
        const P256Answer answer = forms[form].verify(one.hash, one.signature);
        if (answer == P256Answer::undecided) {
          undecided++;
        } else if ((answer == P256Answer::accepted) != expected) {
          differences++;
          std::printf("difference: form %zu, OpenSSL says %s: key %s%s hash %s signature %s\n", form, expected ? "good" : "bad",
                      hex(key.x()).c_str(), hex(key.y()).c_str(),
                      hex({reinterpret_cast<const char*>(one.hash.data()), one.hash.size()}).c_str(), hex(one.signature).c_str());
        }
      }
    }
  }
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - start).count();
  std::printf("p256 differential: limbs of %d bits, seed %" PRIu64 ": %" PRIu64 " cases against %s, %" PRIu64 " good, %" PRIu64
              " bad, each with two forms of tables; %" PRIu64 " undecided, %" PRIu64 " differences; %lld s\n",
              POSTERN_LIMB_BITS, seed, done, OpenSSL_version(OPENSSL_VERSION), good, done - good, undecided, differences,
              static_cast<long long>(seconds));
  return differences == 0 ? 0 : 1;
}
