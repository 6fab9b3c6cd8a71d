#include "base64url.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

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

constexpr std::size_t block_characters = 16;
constexpr std::size_t block_bytes = 12;

using Bytes __attribute__((vector_size(block_characters))) = std::uint8_t;

// Sixteen characters to twelve bytes; `alphabetic` loses the bits of what is not of the alphabet. Every token in every request
// goes through here; a table, a character at a time, takes more than twice as long.
void decode_block(const char* text, char* out, Bytes& alphabetic) {
  using Pairs __attribute__((vector_size(block_characters))) = std::uint16_t;
  using Quads __attribute__((vector_size(block_characters))) = std::uint32_t;
  Bytes c;
  std::memcpy(&c, text, sizeof(c));
  const auto mask = [](auto comparison) { return reinterpret_cast<Bytes>(comparison); };
  const Bytes upper = mask(c - std::uint8_t{'A'} < 26);
  const Bytes lower = mask(c - std::uint8_t{'a'} < 26);
  const Bytes digit = mask(c - std::uint8_t{'0'} < 10);
  const Bytes minus = mask(c == '-');
  const Bytes under = mask(c == '_');
  const Bytes value = ((c - std::uint8_t{'A'}) & upper) | ((c - std::uint8_t{'a' - 26}) & lower) |
                      ((c + std::uint8_t{52 - '0'}) & digit) | (minus & 62) | (under & 63);
  // Six bits each, the first of four the highest: two and two, then four. Of each four bytes the lower three are then what is
  // meant, the last first.
  const auto pairs = reinterpret_cast<Pairs>(value);
  const auto quads = reinterpret_cast<Quads>((pairs << 6 | pairs >> 8) & 0xFFF);
  const auto joined = reinterpret_cast<Bytes>(quads << 12 | quads >> 16);
  const Bytes ordered = __builtin_shufflevector(joined, joined, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, 3, 7, 11, 15);
  std::memcpy(out, &ordered, block_bytes);
  alphabetic &= upper | lower | digit | minus | under;
}

}  // namespace

bool decode_into(std::string_view text, std::string& out) {
  out.clear();
  const std::size_t tail = text.size() % 4;
  if (tail == 1) return false;
  const std::size_t whole = text.size() - tail;
  out.resize(whole / 4 * 3 + (tail == 0 ? 0 : tail - 1));

  std::size_t to = 0;
  std::size_t from = 0;
  std::uint32_t seen = 0;
  Bytes alphabetic = ~Bytes{};
  for (; from + block_characters <= whole; from += block_characters, to += block_bytes) {
    decode_block(text.data() + from, out.data() + to, alphabetic);
  }
  std::array<std::uint64_t, 2> good;
  std::memcpy(good.data(), &alphabetic, sizeof(good));
  if ((good[0] & good[1]) != ~std::uint64_t{0}) seen = refused;
  for (; from < whole; from += 4) {
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
