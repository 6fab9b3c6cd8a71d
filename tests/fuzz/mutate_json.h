// Mutations that keep a text JSON: members taken away, copied, renamed, replaced by words that mean something to the core.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <string_view>

#include "fuzz/reference_json.h"

namespace postern::fuzz {

using Random = std::minstd_rand;

// A member's name or a string, or when it parses as JSON, that value.
using Words = std::span<const std::string_view>;

// `text` with one to four such mutations; any bytes changed now and then, and always when it is not JSON.
[[nodiscard]] std::string mutate_json(std::string_view text, Words words, std::size_t size_max, Random& random);

// libFuzzer's own mutation of any bytes.
[[nodiscard]] std::string mutate_bytes(std::string bytes, std::size_t size_max);

// Copies a mutation's outcome to where libFuzzer wants it; 0 when it is too long.
[[nodiscard]] std::size_t store(std::string_view text, std::uint8_t* bytes, std::size_t size_max);

}  // namespace postern::fuzz
