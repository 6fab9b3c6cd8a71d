// LangGraph's user: who is calling, made from validated claims or from a row of the configuration.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "postern/time.h"

namespace postern {

// What a denylist may name a credential by. Never the credential's own bytes: an ECDSA signature has many encodings of
// the same meaning, and what is written down can leak.
struct CredentialNames {
  std::string issuer;             // `iss`; of an online check its configured address; "" for tokens and keys of the configuration
  std::string subject;            // `sub`, before any prefix
  std::string token_id;           // `jti`; "" when the token has none
  std::string api_key;            // the key's public id; "" for anything else
  std::optional<Time> issued_at;  // `iat`
};

// Shape of langgraph_sdk.auth's user: identity, display_name, permissions, is_authenticated, and fields of its own.
struct User {
  std::string identity;      // non-empty, at most 256 bytes of UTF-8 and the source's prefix
  std::string display_name;  // identity unless a claim gives one
  std::vector<std::string> permissions;
  std::string claims_json;         // the validated payload, a JSON object; for `$user.claims.*` and handlers
  std::string fields_json = "{}";  // custom fields as a JSON object: `$user.fields.*`; the graph sees them
  // Custom fields that are secrets (a user's own upstream tokens): not in fields_json, never printed, sent only where
  // the configuration names them.
  std::vector<std::pair<std::string, std::string>> secret_fields;
  CredentialNames credential;
};

}  // namespace postern
