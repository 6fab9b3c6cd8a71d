// The digits of JSON numbers, as they stand in a text, to what they mean: exactly, and never by way of a double.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "json.h"

namespace postern::json {

// A number token as sign, digits without leading and trailing zeros, and a power of ten: equal values have
// equal forms, at any size (two different big integers may share one double).
struct Decimal {
  bool negative = false;
  std::string digits;  // "" is zero
  std::int64_t exponent = 0;

  friend bool operator==(const Decimal&, const Decimal&) = default;
};

[[nodiscard]] Decimal decimal(std::string_view token);

// JavaScript would read it as Infinity, and nlohmann/json, which this parser is compared with, refuses it.
[[nodiscard]] bool is_out_of_range(std::string_view token);

// Element::as_integer and Element::thousandths, of a number's digits.
[[nodiscard]] std::optional<std::int64_t> integer_of(std::string_view token);
[[nodiscard]] std::optional<std::int64_t> thousandths_of(std::string_view token, Rounding rounding);

}  // namespace postern::json
