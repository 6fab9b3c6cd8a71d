#include "escape.h"

namespace postern {
namespace {

bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

std::string escaped(std::string_view text, char mark, bool (*plain)(char)) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (plain(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += {mark, digits[byte >> 4U], digits[byte & 0xFU]};
    }
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  return escaped(text, '%', [](char c) { return is_alnum(c) || c == '-' || c == '.' || c == '_' || c == '~'; });
}

}  // namespace postern
