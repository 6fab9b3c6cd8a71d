#include "json_number.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include "text.h"

namespace postern::json {

namespace {

// The first number that rounds to infinity as a double: half way between the largest double and 2^1024 (IEEE 754-2019, 4.3.1).
constexpr std::string_view infinite_from =
    "179769313486231580793728971405303415079934132710037826936173778980444968292764750946649017977587207096330286416692887910"
    "946555547851940402630657488671505820681908902000708383676273854845817711531764475730270069855571366959622842914819860834"
    "936475292719074168444365510704342711559699508093042880177904174497792";

}  // namespace

Decimal decimal(std::string_view token) {
  Decimal result;
  std::size_t at = 0;
  if (at < token.size() && token[at] == '-') {
    result.negative = true;
    ++at;
  }
  bool fraction = false;
  for (; at < token.size() && (is_digit(token[at]) || token[at] == '.'); ++at) {
    if (token[at] == '.') {
      fraction = true;
      continue;
    }
    if (fraction) --result.exponent;
    if (token[at] != '0' || !result.digits.empty()) result.digits.push_back(token[at]);
  }
  if (at < token.size()) {  // e or E, perhaps a plus sign that from_chars would not take
    ++at;
    if (at < token.size() && token[at] == '+') ++at;
    std::int64_t power = 0;
    const auto [end, error] = std::from_chars(token.data() + at, token.data() + token.size(), power);
    // Half the range keeps the sum below from overflowing.
    constexpr std::int64_t far = std::numeric_limits<std::int64_t>::max() / 2;
    const bool tiny = at < token.size() && token[at] == '-';
    result.exponent += error == std::errc() ? std::clamp(power, -far, far) : tiny ? -far : far;
  }
  while (!result.digits.empty() && result.digits.back() == '0') {
    result.digits.pop_back();
    ++result.exponent;
  }
  if (result.digits.empty()) return Decimal();  // 0, -0 and 0e5 are one value
  return result;
}

bool is_out_of_range(std::string_view token) {
  // Digits alone cannot reach 1e308 in fewer characters, and only an exponent is shorter.
  if (token.size() < 300 && token.find_first_of("eE") == std::string_view::npos) return false;
  const Decimal number = decimal(token);
  if (number.digits.empty()) return false;
  const auto size = static_cast<std::int64_t>(number.digits.size());
  constexpr auto limit_size = static_cast<std::int64_t>(infinite_from.size());
  if (size + number.exponent != limit_size) return size + number.exponent > limit_size;
  // Of equal magnitude: compared digit by digit, where a missing digit is a zero and sorts first.
  return number.digits >= infinite_from.substr(0, infinite_from.find_last_not_of('0') + 1);
}

std::optional<std::int64_t> integer_of(std::string_view token) {
  std::int64_t value = 0;
  const char* const end = token.data() + token.size();
  const auto [rest, error] = std::from_chars(token.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::optional<std::int64_t> thousandths_of(std::string_view token, Rounding rounding) {
  Decimal number = decimal(token);
  if (number.digits.empty()) return 0;
  const std::int64_t shift = number.exponent + 3;
  const std::int64_t whole_digits = static_cast<std::int64_t>(number.digits.size()) + shift;
  if (whole_digits > std::numeric_limits<std::int64_t>::digits10 + 1) return std::nullopt;
  bool fraction = false;
  if (shift >= 0) {
    number.digits.append(static_cast<std::size_t>(shift), '0');
  } else {
    number.digits.resize(whole_digits > 0 ? static_cast<std::size_t>(whole_digits) : 0);
    fraction = true;  // the last digit was no zero
  }
  std::int64_t value = 0;
  const char* const end = number.digits.data() + number.digits.size();
  if (!number.digits.empty() && std::from_chars(number.digits.data(), end, value).ec != std::errc()) return std::nullopt;
  // Nothing is lost by the largest number of all, which has no fraction that fits.
  if (value == std::numeric_limits<std::int64_t>::max()) return std::nullopt;
  if (fraction && (rounding == Rounding::up) != number.negative) ++value;
  return number.negative ? -value : value;
}

}  // namespace postern::json
