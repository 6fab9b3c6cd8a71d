// Small questions about text that several stages ask. Letters are those of ASCII alone, as the names of headers and schemes are
// compared (RFC 9110 section 5.1).
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

[[nodiscard]] constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

[[nodiscard]] std::string lower_case(std::string_view text);

[[nodiscard]] bool same_letters(const char* a, const char* b, std::size_t size);
// Asked of every header of every request: most differ in length already, and the rest is compiled once.
[[nodiscard]] inline bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && same_letters(a.data(), b.data(), a.size());
}

[[nodiscard]] constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }

// -1: no hexadecimal digit.
[[nodiscard]] int hex_digit(char c);

// Whether a byte below 0x20, or DEL, is in it.
[[nodiscard]] bool has_control(std::string_view text);

template <std::size_t N>
[[nodiscard]] bool is_one_of(std::string_view text, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

[[nodiscard]] bool holds(const std::vector<std::string>& list, std::string_view text);

}  // namespace postern
