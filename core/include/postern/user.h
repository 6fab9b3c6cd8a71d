// LangGraph's user: who is calling, made from validated claims.
#pragma once

#include <string>
#include <vector>

namespace postern {

// Shape of langgraph_sdk.auth's user: identity, display_name, permissions, is_authenticated.
struct User {
  std::string identity;      // non-empty, at most 256 bytes of UTF-8
  std::string display_name;  // identity unless a claim gives one
  std::vector<std::string> permissions;
  std::string claims_json;  // the validated payload, a JSON object; for `$user.claims.*` and handlers
};

}  // namespace postern
