// Claims -> User, LangGraph's shape.
#pragma once

#include <string_view>

#include "claims.h"
#include "postern/user.h"

namespace postern {

// identity: the issuer's prefix and its identity claim; display_name from `name`; permissions from `permissions` (a
// list of strings) and `scope` (RFC 8693 4.2: space-delimited). A claim of another type gives nothing.
[[nodiscard]] User make_user(const Claims& claims, std::string_view identity_prefix = {});

}  // namespace postern
