#include "credential.h"

#include <algorithm>
#include <array>

namespace postern {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 6750 section 2.1: the characters of a b64token before its padding.
constexpr std::array<bool, 256> token_characters = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~+/")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

// At least one character, then padding and nothing after it.
bool is_b64token(std::string_view text) {
  const std::string_view unpadded = text.substr(0, text.find_last_not_of('=') + 1);
  bool plain = true;
  for (const char c : unpadded) plain &= token_characters[static_cast<unsigned char>(c)];
  return plain && !unpadded.empty();
}

}  // namespace

Result<std::string_view> bearer_token(const RequestHead& head) {
  std::string_view value;
  bool found = false;
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    if (!equal_ignoring_case(head.headers[i].name, "authorization")) continue;
    if (found) return Error::credential_duplicated;
    found = true;
    value = head.headers[i].value;
  }
  if (!found) return Error::credential_missing;
  const std::size_t space = value.find(' ');
  const std::string_view scheme = value.substr(0, space);
  if (!equal_ignoring_case(scheme, "bearer")) return Error::credential_missing;
  if (space == std::string_view::npos) return Error::credential_malformed;
  std::string_view token = value.substr(space + 1);
  while (token.starts_with(' ')) token.remove_prefix(1);  // 1*SP
  if (!is_b64token(token)) return Error::credential_malformed;
  return token;
}

}  // namespace postern
