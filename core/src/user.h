// Claims -> User, LangGraph's shape.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "claims.h"
#include "json.h"
#include "postern/result.h"
#include "postern/user.h"

namespace postern {

// Which claims say what of the user, beside the identity. A path names a claim, or with dots a member within one:
// "app_metadata.role". A claim whose own name has dots (Auth0's "https://…/roles") is found by its whole name first.
struct UserMapping {
  std::string display_name_claim = "name";
  // Lists of strings, or one string of words (RFC 8693 4.2: `scope` is space-delimited).
  std::vector<std::string> permission_claims = {"permissions", "scope"};
  std::vector<std::pair<std::string, std::string>> fields;  // a field of the user, and the path of its claim
};

// Of a claim's path the claim, when users can write it themselves: Supabase's user_metadata (its documentation: never
// authorize on it), and its namesakes at Auth0, Clerk and in Supabase's tables. "" for any other.
[[nodiscard]] std::string_view user_writable_claim(std::string_view path);

// The claim at a path; none when there is none.
[[nodiscard]] json::Element find_claim(const ClaimSet& claims, std::string_view path);

// `claims`: of the object that was validated. identity: the prefix and `identity`. A claim of another type than its use
// needs gives nothing. The first leaves claims_json to its caller, who has the text.
[[nodiscard]] User make_user(const ClaimSet& claims, std::string_view identity, std::string_view identity_prefix,
                             const UserMapping& mapping);
[[nodiscard]] User make_user(Claims claims, std::string_view identity_prefix = {}, const UserMapping& mapping = {});

// The other maker, for questions that a host program asks without a credential (Gate::filter_for):
// {identity, display_name?, permissions?, claims?, fields?} in the shape of `User`, claims as an object. Nothing that a request
// carries gets here.
[[nodiscard]] Result<User, json::ParseFault> parse_user(const json::Value& value);

}  // namespace postern
