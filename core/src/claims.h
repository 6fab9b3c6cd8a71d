// Claims, RFC 7519 section 4.1: a verified payload + the issuer's rules + now, to validated claims.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.h"
#include "jws.h"
#include "postern/result.h"
#include "postern/time.h"

namespace postern {

// Google signs nothing else for a login; with every other issuer an ID token is for the client, not for an API.
enum class IdTokens : std::uint8_t { refuse, accept };

struct ClaimRules {
  std::string issuer;                  // exact
  std::vector<std::string> audiences;  // one must be in `aud`, exact; empty only with any_audience
  bool any_audience = false;
  std::int64_t leeway_seconds = 5;  // for exp, nbf and iat; at most 300
  // Accepted typ, case-insensitive, "application/" optional.
  std::vector<std::string> types = {"JWT", "at+jwt"};
  // false: a token without typ is accepted too (Supabase and better-auth send none, or JWT).
  bool type_required = false;
  std::vector<std::pair<std::string, std::string>> required;  // claim name and exact string value
  std::vector<std::string> required_any;                      // one of these must be there, whatever it says; empty: no such rule
  std::vector<std::pair<std::string, std::string>> only;      // a claim that, where it is there, must have this value
  bool audience_absent = false;        // `aud` may not be there: this issuer says in another claim whom a token is for
  std::string identity_claim = "sub";  // "email" needs email_verified true: others can write an unverified address
  IdTokens id_tokens = IdTokens::refuse;
};

// The claims that the core itself knows.
enum class KnownClaim : std::uint8_t {
  at_hash,
  aud,
  c_hash,
  cnf,
  email,
  events,
  exp,
  htm,
  htu,
  iat,
  iss,
  jti,
  name,
  nbf,
  nonce,
  s_hash,
  scope,
  scp,
  sub,
};
inline constexpr std::size_t claims_known = static_cast<std::size_t>(KnownClaim::sub) + 1;

// An object as a claim set. What is known is found in one pass over the members: of some twenty that are asked for in each token
// most are not there, and each look would be at all members.
class ClaimSet {
 public:
  ClaimSet() = default;  // of nothing
  explicit ClaimSet(const json::Element& object);
  [[nodiscard]] const json::Element& operator[](KnownClaim claim) const { return known_[static_cast<std::size_t>(claim)]; }
  [[nodiscard]] json::Element find(std::string_view name) const;  // any claim

 private:
  json::Element object_;
  std::array<json::Element, claims_known> known_;
};

// Validated contents: the object as sent, every registered claim of the right type.
struct Claims {
  json::Document object;      // its text is what was signed: a strict JSON object
  ClaimSet set;               // of the object
  std::string_view identity;  // identity_claim's value, in the object: 1 to 256 bytes, no control characters
  // What the claims say of time, with the leeway in it: good from nbf and iat on, and before exp.
  Time usable_from;
  Time usable_until;
};

// NumericDate, RFC 7519 section 2: seconds from 0 to 2^53, perhaps with a fraction. Nothing for anything else.
[[nodiscard]] std::optional<Time> numeric_date(const json::Element& value, json::Rounding rounding);

// 1 to 256 bytes without control characters: an identity may be passed on in a header or a log line.
[[nodiscard]] bool is_identity(std::string_view text);

// Order: typ, then iss, aud, exp (required), nbf, iat (not in the future), the token's kind, sub and jti (strings where
// present), required claims, identity.
// Kinds refused: `events` (logout token), `htm` or `htu` (DPoP proof), `cnf` (bound to a key that proves nothing here),
// and as ID tokens `at_hash`, `c_hash`, `s_hash`, and `nonce` without `scope` or `scp` or under typ at+jwt.
// A wrong type is an error, never "absent". exp is exclusive (RFC 7519 4.1.4: on or after means expired), leeway added.
// NumericDate: a finite number, 0 to 2^53.
[[nodiscard]] Result<Claims> validate_claims(VerifiedJws jws, const ClaimRules& rules, Time now);

}  // namespace postern
