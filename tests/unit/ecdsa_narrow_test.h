// What stands before a curve's source is compiled once more, natively and under a namespace of its own, over wasm's limbs.
#pragma once

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

#include "ecdsa.h"

// What knows no limbs there is once.
namespace postern_narrow {
using postern::EcdsaAnswer;
using postern::EcdsaKey;
using postern::EcdsaTableOffers;
using postern::p256_tables;
using postern::p384_tables;
using postern::TableBudget;
using postern::TableOffer;
using postern::TableSize;
using postern::TableUser;
}  // namespace postern_narrow

// It is this file's source, though the compiler takes it for a header.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wsubobject-linkage"
#endif
