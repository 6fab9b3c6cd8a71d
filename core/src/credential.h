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

// The bearer token of the request, unjudged. Refuses: no Authorization header or another scheme
// (credential_missing), more than one (credential_duplicated: two parsers could pick different ones),
// anything but one b64token after the scheme (credential_malformed). Tokens in the query or body are never read.
[[nodiscard]] Result<std::string_view> bearer_token(const RequestHead& head);

// The same of one header's value, without a look at the characters: for comparing with tokens that were judged before.
[[nodiscard]] Result<std::string_view> bearer_text(std::string_view authorization);

// The bearer token in the configured cookie. A browser sends it whoever made the page, so the page must be a listed one:
// Origin is one of `origins`, or, on a GET or HEAD without Origin, Sec-Fetch-Site says same-origin. Refuses: no such cookie
// (credential_missing), the cookie twice (credential_duplicated), no b64token (credential_malformed), another page
// (origin_not_allowed).
[[nodiscard]] Result<std::string_view> cookie_token(const RequestHead& head, const CookieSettings& cookie);

// Everything a request carries that a configured source could look at; nothing of it is believed. Where a source is for LangGraph
// Studio, a request that calls itself Studio's (`x-auth-scheme: langsmith`) carries nothing but that source's keys.
struct CarriedCredentials {
  Result<std::string> bearer = Error::credential_missing;             // Authorization, else the cookie
  std::vector<std::pair<std::string, Result<std::string>>> api_keys;  // by header; only headers that were sent
  bool studio = false;                                                // Studio's: no handler is asked either
};
[[nodiscard]] CarriedCredentials carried_credentials(const RequestHead& head, const CredentialSettings& settings);

}  // namespace postern
