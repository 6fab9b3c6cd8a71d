#include "credential.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "text.h"

namespace postern {
namespace {

// RFC 6750 section 2.1: whether all are characters of a b64token before its padding. Sixteen at a time: this is asked of each
// token in each request.
using Bytes __attribute__((vector_size(16))) = std::uint8_t;

Bytes token_characters(Bytes bytes) {
  const Bytes letter = (bytes | std::uint8_t{0x20}) - std::uint8_t{'a'};
  const Bytes digit = bytes - std::uint8_t{'-'};  // "-./0123456789" stand side by side
  return reinterpret_cast<Bytes>((letter < 26) | (digit < 13) | (bytes == '_') | (bytes == '~') | (bytes == '+'));
}

bool are_token_characters(std::string_view text) {
  Bytes plain = ~Bytes{};
  while (text.size() >= sizeof(Bytes)) {
    Bytes bytes;
    std::memcpy(&bytes, text.data(), sizeof(Bytes));
    plain &= token_characters(bytes);
    text.remove_prefix(sizeof(Bytes));
  }
  Bytes rest = Bytes{} + std::uint8_t{'A'};
  std::memcpy(&rest, text.data(), text.size());
  plain &= token_characters(rest);
  std::array<std::uint8_t, sizeof(Bytes)> all{};
  std::memcpy(all.data(), &plain, sizeof(Bytes));
  return std::all_of(all.begin(), all.end(), [](std::uint8_t one) { return one != 0; });
}

// At least one character, then padding and nothing after it.
bool is_b64token(std::string_view text) {
  const std::string_view unpadded = text.substr(0, text.find_last_not_of('=') + 1);
  return !unpadded.empty() && are_token_characters(unpadded);
}

std::string_view trimmed(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

// The one header of a name; none when it is missing, an error when it is there twice.
Result<const HeaderView*> only_header(const RequestHead& head, std::string_view name) {
  const HeaderView* found = nullptr;
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    if (!equal_ignoring_case(head.headers[i].name, name)) continue;
    if (found != nullptr) return Error::credential_duplicated;
    found = &head.headers[i];
  }
  return found;
}

// As LangGraph's servers read it. A second such header does not talk a request out of being Studio's.
bool is_from_studio(const RequestHead& head) {
  return std::any_of(head.headers, head.headers + head.headers_size, [](const HeaderView& header) {
    return equal_ignoring_case(header.name, "x-auth-scheme") && equal_ignoring_case(trimmed(header.value), "langsmith");
  });
}

// Whether the page that makes the browser send its cookie is one of those that may (RFC 6454 section 7; Fetch Metadata).
bool comes_from_allowed_page(const RequestHead& head, const CookieSettings& cookie) {
  const auto origin = only_header(head, "origin");
  if (!origin) return false;
  if (origin.value() != nullptr) {
    return std::find(cookie.origins.begin(), cookie.origins.end(), origin.value()->value) != cookie.origins.end();
  }
  // Browsers leave Origin out of a page's own reads, and of nothing that changes anything.
  if (head.method != "GET" && head.method != "HEAD") return false;
  const auto site = only_header(head, "sec-fetch-site");
  return site && site.value() != nullptr && site.value()->value == "same-origin";
}

}  // namespace

Result<std::string_view> bearer_text(std::string_view authorization) {
  const std::size_t space = authorization.find(' ');
  const std::string_view scheme = authorization.substr(0, space);
  if (!equal_ignoring_case(scheme, "bearer")) return Error::credential_missing;
  if (space == std::string_view::npos) return Error::credential_malformed;
  std::string_view token = authorization.substr(space + 1);
  while (token.starts_with(' ')) token.remove_prefix(1);  // 1*SP
  return token;
}

Result<std::string_view> bearer_text(const RequestHead& head) {
  std::string_view value;
  bool found = false;
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    if (!equal_ignoring_case(head.headers[i].name, "authorization")) continue;
    if (found) return Error::credential_duplicated;
    found = true;
    value = head.headers[i].value;
  }
  if (!found) return Error::credential_missing;
  return bearer_text(value);
}

Result<std::string_view> bearer_token(std::string_view text) {
  if (!is_b64token(text)) return Error::credential_malformed;
  return text;
}

Result<std::string_view> cookie_token(const RequestHead& head, const CookieSettings& cookie) {
  std::string_view value;
  bool found = false;
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    if (!equal_ignoring_case(head.headers[i].name, "cookie")) continue;
    // RFC 6265 section 4.2.1; HTTP/2 may send the pairs as several headers.
    std::string_view rest = head.headers[i].value;
    while (!rest.empty()) {
      const std::size_t semicolon = rest.find(';');
      const std::string_view pair = trimmed(rest.substr(0, semicolon));
      rest = semicolon == std::string_view::npos ? std::string_view{} : rest.substr(semicolon + 1);
      const std::size_t equals = pair.find('=');
      if (equals == std::string_view::npos || pair.substr(0, equals) != cookie.name) continue;
      if (found) return Error::credential_duplicated;
      found = true;
      value = pair.substr(equals + 1);
    }
  }
  if (!found) return Error::credential_missing;
  if (!comes_from_allowed_page(head, cookie)) return Error::origin_not_allowed;
  if (!is_b64token(value)) return Error::credential_malformed;
  return value;
}

CarriedCredentials carried_credentials(const RequestHead& head, const CredentialSettings& settings) {
  CarriedCredentials out;
  const bool studio = settings.studio && is_from_studio(head);
  out.studio = studio;
  if (!studio) {
    out.bearer = bearer_text(head);
    const bool missing = !out.bearer && out.bearer.error() == Error::credential_missing;
    if (missing && settings.cookie) out.bearer = cookie_token(head, *settings.cookie);
  }
  for (const CredentialSource& source : settings.chain) {
    const auto* keys = std::get_if<ApiKeys>(&source);
    if (keys == nullptr || (studio && !keys->studio)) continue;
    const auto header = only_header(head, keys->header);
    if (!header) {
      out.api_keys.emplace_back(keys->header, header.error());
    } else if (header.value() != nullptr) {
      out.api_keys.emplace_back(keys->header, trimmed(header.value()->value));
    }
  }
  return out;
}

}  // namespace postern
