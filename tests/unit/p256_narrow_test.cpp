// The tests of p256_test.cpp once more, over the 29-bit limbs that wasm uses, compiled natively under a namespace of their own.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "table_budget.h"

// The budget knows no limbs: there is one.
namespace postern_narrow {
using postern::TableBudget;
using postern::TableOffer;
using postern::TableSize;
using postern::TableUser;
}  // namespace postern_narrow

// It is this file's source, though the compiler takes it for a header.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsubobject-linkage"
#endif
#define POSTERN_LIMB_BITS 29
#define postern postern_narrow
#include "p256.cpp"
#undef postern

#define P256_SUITE P256Narrow
#define P256_NAMESPACE postern_narrow
#include "p256_test.cpp"
