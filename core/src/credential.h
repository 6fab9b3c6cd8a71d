// Where a credential is found: the Authorization header, RFC 6750 section 2.1.
#pragma once

#include <string_view>

#include "postern/request.h"
#include "postern/result.h"

namespace postern {

// The bearer token of the request, unjudged. Refuses: no Authorization header or another scheme
// (credential_missing), more than one (credential_duplicated: two parsers could pick different ones),
// anything but one b64token after the scheme (credential_malformed). Tokens in the query or body are never read.
[[nodiscard]] Result<std::string_view> bearer_token(const RequestHead& head);

}  // namespace postern
