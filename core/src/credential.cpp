#include "credential.h"

#include <algorithm>

namespace postern {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

bool is_b64token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
         c == '~' || c == '+' || c == '/';
}

// RFC 6750 section 2.1: at least one character, then padding and nothing after it.
bool is_b64token(std::string_view text) {
  const std::string_view unpadded = text.substr(0, text.find_last_not_of('=') + 1);
  return !unpadded.empty() && std::all_of(unpadded.begin(), unpadded.end(), is_b64token_char);
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
