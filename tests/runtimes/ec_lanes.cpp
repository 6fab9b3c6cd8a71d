// The wasm that ec_lanes.test.mjs runs: ec_lanes.h as the core is compiled, and nothing else.
#define POSTERN_FIELD_BITS 256
#include "ec_lanes.h"
#include "support/ec_lanes_check.h"

extern "C" __attribute__((export_name("differences"))) double differences(double seed, double rounds) {
  return static_cast<double>(
      postern::LanesCheck(static_cast<std::uint64_t>(seed)).differences(static_cast<std::uint64_t>(rounds)));
}
