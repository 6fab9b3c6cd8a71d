// The configuration's `issuers` -> IssuerSettings: whose tokens are believed, and how their keys are had.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "claims.h"
#include "config_reader.h"
#include "jwk.h"
#include "key_cache.h"
#include "user.h"

namespace postern {

// With an identity of at most 256 bytes what is stored as owner stays short.
inline constexpr std::size_t identity_prefix_bytes_max = 64;

struct IssuerSettings {
  ClaimRules claims;
  KeyCacheRules keys;
  std::vector<const Jwa*> algorithms;  // what a token of this issuer may use; never empty
  std::vector<Jwk> static_keys;        // `keys` and `symmetric_keys` of the configuration
  std::string identity_prefix;         // put before the identity; tells the issuers' users apart
  UserMapping mapping;                 // which claims say what of the user
  bool fetches_keys = true;            // false: static keys only
};

// Reads `display_name_claim`, `permission_claims`, `fields` and `user_writable_claims_allowed`. What users write about
// themselves (Supabase's `user_metadata`) is refused unless the last names it: whoever may name themselves could name themselves
// admin.
void parse_user_mapping(ConfigReader& source, std::string_view identity_claim, UserMapping& out);

// Reads `issuers`.
void parse_issuers(ConfigReader& top, std::vector<IssuerSettings>& out);

}  // namespace postern
