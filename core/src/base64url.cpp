#include "base64url.h"

#include <array>
#include <cstddef>
#include <cstdint>

namespace postern::base64url {

namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t refused = 0xFF;

constexpr std::array<std::uint8_t, 256> values = [] {
  std::array<std::uint8_t, 256> table{};
  table.fill(refused);
  for (std::size_t i = 0; i < alphabet.size(); ++i) {
    table[static_cast<unsigned char>(alphabet[i])] = static_cast<std::uint8_t>(i);
  }
  return table;
}();

std::uint32_t value_of(char c) { return values[static_cast<unsigned char>(c)]; }

// Every value is under 64, so a refused character shows in the bits above.
constexpr std::uint32_t refused_bits = 0xC0;

}  // namespace

bool decode_into(std::string_view text, std::string& out) {
  out.clear();
  const std::size_t tail = text.size() % 4;
  if (tail == 1) return false;
  const std::size_t whole = text.size() - tail;
  out.resize(whole / 4 * 3 + (tail == 0 ? 0 : tail - 1));

  std::size_t to = 0;
  std::uint32_t seen = 0;
  for (std::size_t from = 0; from < whole; from += 4) {
    const std::uint32_t a = value_of(text[from]);
    const std::uint32_t b = value_of(text[from + 1]);
    const std::uint32_t c = value_of(text[from + 2]);
    const std::uint32_t d = value_of(text[from + 3]);
    seen |= a | b | c | d;
    out[to++] = static_cast<char>((a << 2U) | (b >> 4U));
    out[to++] = static_cast<char>((b << 4U) | (c >> 2U));
    out[to++] = static_cast<char>((c << 6U) | d);
  }
  std::uint32_t unused = 0;  // bits of the last character that belong to no byte
  if (tail >= 2) {
    const std::uint32_t a = value_of(text[whole]);
    const std::uint32_t b = value_of(text[whole + 1]);
    seen |= a | b;
    out[to++] = static_cast<char>((a << 2U) | (b >> 4U));
    unused = b & 0xFU;
    if (tail == 3) {
      const std::uint32_t c = value_of(text[whole + 2]);
      seen |= c;
      out[to++] = static_cast<char>((b << 4U) | (c >> 2U));
      unused = c & 0x3U;
    }
  }
  if ((seen & refused_bits) != 0 || unused != 0) {
    out.clear();
    return false;
  }
  return true;
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  if (!decode_into(text, out)) return std::nullopt;
  return out;
}

std::string encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t bits = 0;
  unsigned held = 0;
  for (const char c : bytes) {
    bits = (bits << 8U) | static_cast<unsigned char>(c);
    held += 8;
    while (held >= 6) {
      held -= 6;
      out += alphabet[(bits >> held) & 0x3FU];
    }
  }
  if (held != 0) out += alphabet[(bits << (6 - held)) & 0x3FU];
  return out;
}

}  // namespace postern::base64url
