// What a target says when the core broke a promise: the promise itself, then a crash, so that libFuzzer keeps the input.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string_view>

namespace postern::fuzz {

inline void must(bool holds, std::string_view promise, std::string_view seen = {}) {
  if (holds) return;
  std::fprintf(stderr, "\nPROMISE BROKEN: %.*s\n", static_cast<int>(promise.size()), promise.data());
  if (!seen.empty()) std::fprintf(stderr, "seen: %.*s\n", static_cast<int>(seen.size()), seen.data());
  __builtin_trap();
}

// The input as text, in memory of its exact size: reading one byte too far is found.
inline std::string_view text_of(const std::uint8_t* bytes, std::size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace postern::fuzz
