#include "credential.h"

#include <algorithm>

namespace postern {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

// RFC 7235 section 2.1.
bool is_token68_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' ||
         c == '~' || c == '+' || c == '/' || c == '=';
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
  if (token.empty() || !std::all_of(token.begin(), token.end(), is_token68_char)) return Error::credential_malformed;
  return token;
}

}  // namespace postern
