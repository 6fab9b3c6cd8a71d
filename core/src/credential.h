// Where credentials are found in a request: the Authorization header (RFC 6750 section 2.1), the headers of API keys, and
// a cookie where one is configured. Never the query or the body.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "credential_settings.h"
#include "postern/request.h"
#include "postern/result.h"

namespace postern {

// What stands behind the scheme of an Authorization header, without a look at its characters: all that it is good for is to be
// compared with tokens that were judged before. Refuses: another scheme (credential_missing), no space behind it
// (credential_malformed).
[[nodiscard]] Result<std::string_view> bearer_text(std::string_view authorization);

// The same of the request. Refuses as well: no Authorization header (credential_missing), more than one (credential_duplicated:
// two parsers could pick different ones). Tokens in the query or body are never read.
[[nodiscard]] Result<std::string_view> bearer_text(const RequestHead& head);

// Such a text as a token: anything but one b64token (RFC 6750 section 2.1) is credential_malformed.
[[nodiscard]] Result<std::string_view> bearer_token(std::string_view text);

// The bearer token in the configured cookie. A browser sends it whoever made the page, so the page must be a listed one:
// Origin is one of `origins`, or, on a GET or HEAD without Origin, Sec-Fetch-Site says same-origin. Refuses: no such cookie
// (credential_missing), the cookie twice (credential_duplicated), no b64token (credential_malformed), another page
// (origin_not_allowed).
[[nodiscard]] Result<std::string_view> cookie_token(const RequestHead& head, const CookieSettings& cookie);

// Everything a request carries that a configured source could look at; nothing of it is believed, and it lives as long as the
// request's head. Where a source is for LangGraph Studio, a request that calls itself Studio's (`x-auth-scheme: langsmith`)
// carries nothing but that source's keys.
struct CarriedCredentials {
  Result<std::string_view> bearer = Error::credential_missing;  // a bearer_text: Authorization's, else the cookie's
  std::vector<std::pair<std::string_view, Result<std::string_view>>> api_keys;  // by header; only headers that were sent
  bool studio = false;                                                          // Studio's: no handler is asked either
};
[[nodiscard]] CarriedCredentials carried_credentials(const RequestHead& head, const CredentialSettings& settings);

}  // namespace postern
