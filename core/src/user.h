// Claims -> User, LangGraph's shape.
#pragma once

#include <string_view>

#include "claims.h"
#include "json.h"
#include "postern/result.h"
#include "postern/user.h"

namespace postern {

// identity: the issuer's prefix and its identity claim; display_name from `name`; permissions from `permissions` (a
// list of strings) and `scope` (RFC 8693 4.2: space-delimited). A claim of another type gives nothing.
[[nodiscard]] User make_user(Claims claims, std::string_view identity_prefix = {});

// The other maker, for questions that a host program asks without a credential (Gate::filter_for):
// {identity, display_name?, permissions?, claims?} in the shape of `User`, claims as an object. Nothing that a request
// carries gets here.
[[nodiscard]] Result<User, json::ParseFault> parse_user(const json::Value& value);

}  // namespace postern
