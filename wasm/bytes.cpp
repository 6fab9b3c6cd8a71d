// Short copies and comparisons, of which a request has hundreds. Emscripten's memcpy and memset leave the wasm for every length
// (memory.copy is a call into the runtime), its memcmp goes byte by byte, and its std::string is compiled without inlining.
// Measured in docs/decisions/0012-sizes.md.
#include <wasm_simd128.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace {

// Longer ones are left to the runtime.
constexpr std::size_t bytes_max = 512;

template <typename T>
T load(const char* from) {
  T value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
template <typename T>
void store(char* to, T value) {
  __builtin_memcpy(to, &value, sizeof value);
}

// The whole of `bytes` between one and two of T, as its head and its tail. Both are loaded before one is stored: places may
// overlap.
template <typename T>
void move_ends(char* to, const char* from, std::size_t bytes) {
  const T head = load<T>(from);
  const T tail = load<T>(from + bytes - sizeof(T));
  store(to, head);
  store(to + bytes - sizeof(T), tail);
}

}  // namespace

extern "C" {

// 7.24.2.2 of C.
void* memmove(void* to_place, const void* from_place, std::size_t bytes) {
  auto* const to = static_cast<char*>(to_place);
  const auto* const from = static_cast<const char*>(from_place);
  if (bytes > 16) {
    // Upwards no source is overwritten before it is read, where the target is below it or behind its end.
    const bool upwards = static_cast<std::size_t>(to - from) >= bytes;
    if (bytes > bytes_max || (bytes > 32 && !upwards)) {
      return __builtin_memmove(to, from, bytes);  // memory.copy: this file is compiled with -mbulk-memory
    }
    const v128_t tail = wasm_v128_load(from + bytes - 16);
    for (std::size_t at = 0; at + 16 < bytes; at += 16) wasm_v128_store(to + at, wasm_v128_load(from + at));
    wasm_v128_store(to + bytes - 16, tail);
  } else if (bytes >= 8) {
    move_ends<std::uint64_t>(to, from, bytes);
  } else if (bytes >= 4) {
    move_ends<std::uint32_t>(to, from, bytes);
  } else if (bytes >= 2) {
    move_ends<std::uint16_t>(to, from, bytes);
  } else if (bytes == 1) {
    *to = *from;
  }
  return to;
}

void* memset(void* to_place, int value, std::size_t bytes) {
  auto* const to = static_cast<char*>(to_place);
  const auto byte = static_cast<std::uint8_t>(value);
  if (bytes >= 16) {
    if (bytes > bytes_max) return __builtin_memset(to, value, bytes);
    const v128_t filled = wasm_u8x16_splat(byte);
    for (std::size_t at = 0; at + 16 < bytes; at += 16) wasm_v128_store(to + at, filled);
    wasm_v128_store(to + bytes - 16, filled);
  } else if (bytes >= 8) {
    const std::uint64_t filled = byte * 0x0101'0101'0101'0101U;
    store(to, filled);
    store(to + bytes - 8, filled);
  } else {
    for (std::size_t at = 0; at < bytes; ++at) to[at] = static_cast<char>(byte);
  }
  return to;
}

void* memcpy(void* __restrict to, const void* __restrict from, std::size_t bytes) { return memmove(to, from, bytes); }

int memcmp(const void* left_place, const void* right_place, std::size_t bytes) {
  const auto* left = static_cast<const char*>(left_place);
  const auto* right = static_cast<const char*>(right_place);
  for (; bytes >= 8; bytes -= 8, left += 8, right += 8) {
    const auto one = load<std::uint64_t>(left);
    const auto other = load<std::uint64_t>(right);
    if (one != other) return __builtin_bswap64(one) < __builtin_bswap64(other) ? -1 : 1;
  }
  for (; bytes != 0; --bytes, ++left, ++right) {
    if (*left != *right) return static_cast<unsigned char>(*left) - static_cast<unsigned char>(*right);
  }
  return 0;
}

}  // extern "C"

template class std::basic_string<char>;
