// Ed25519 here against OpenSSL 3, as long as one likes: prints the counts, fails when one answer differs.
//
//   ed25519_differential [CASES [SEED]]
//
// Built for one form of the field, POSTERN_ED25519_LIMBS: 51, or 29 as in wasm; `run` beside this file builds and runs both.
#include "differential/ed25519_cases.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  const std::uint64_t cases = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 100'000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const postern::testing::Ed25519Tally tally = postern::testing::compare_ed25519(cases, seed);
  std::printf("ed25519, limbs of %d bits, seed %" PRIu64 ": %" PRIu64 " cases, %" PRIu64 " accepted, %" PRIu64
              " keys refused (%" PRIu64 " by a stricter rule), %" PRIu64 " differ\n",
              POSTERN_ED25519_LIMBS, seed, tally.cases, tally.accepted, tally.keys_refused, tally.stricter, tally.differ);
  return tally.differ == 0 && tally.accepted > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
