#include "claims.h"

#include <algorithm>
#include <array>
#include <optional>

#include "text.h"

namespace postern {

namespace {

// Five minutes is as far as clocks may differ; a longer leeway would be a longer life for every token.
constexpr std::int64_t leeway_seconds_max = 300;
// 2^53: the largest number up to which a double holds every integer; some 285 million years.
constexpr std::int64_t seconds_max = std::int64_t{1} << 53;
// LangGraph keeps the identity in metadata of every object; ids of the known issuers are under 100 bytes.
constexpr std::size_t identity_bytes_max = 256;

// RFC 7515 4.1.9: "application/" is left out of a typ that has no other slash.
std::string_view without_application(std::string_view type) {
  constexpr std::string_view prefix = "application/";
  if (type.size() > prefix.size() && equal_ignoring_case(type.substr(0, prefix.size()), prefix) &&
      type.find('/', prefix.size()) == std::string_view::npos) {
    type.remove_prefix(prefix.size());
  }
  return type;
}

bool same_type(std::string_view a, std::string_view b) {
  return equal_ignoring_case(without_application(a), without_application(b));
}

// A name of at most seven bytes as one number, with a one before the first, so that no two names are the same number; 0 for
// longer ones.
constexpr std::uint64_t packed(std::string_view name) {
  if (name.size() > 7) return 0;
  std::uint64_t number = 1;
  for (const char c : name) number = number << 8U | static_cast<unsigned char>(c);
  return number;
}

// In the order of `KnownClaim`.
constexpr std::array<std::string_view, claims_known> claim_names = {
    "at_hash", "aud", "c_hash", "cnf", "email", "events", "exp",   "htm", "htu", "iat",
    "iss",     "jti", "name",   "nbf", "nonce", "s_hash", "scope", "scp", "sub"};

constexpr std::array<std::uint64_t, claims_known> packed_names = [] {
  std::array<std::uint64_t, claims_known> numbers{};
  for (std::size_t i = 0; i < claims_known; ++i) numbers[i] = packed(claim_names[i]);
  return numbers;
}();
static_assert(std::find(packed_names.begin(), packed_names.end(), 0) == packed_names.end());

// The place of a name among the known ones; claims_known: it is none of them.
std::size_t place_of(std::string_view name) {
  if (name.size() > 7) return claims_known;
  return static_cast<std::size_t>(std::find(packed_names.begin(), packed_names.end(), packed(name)) - packed_names.begin());
}

std::optional<Error> check_type(const VerifiedJws& jws, const ClaimRules& rules) {
  if (!jws.has_typ()) return rules.type_required ? std::optional(Error::type_not_allowed) : std::nullopt;
  const bool accepted =
      std::any_of(rules.types.begin(), rules.types.end(), [&](const std::string& type) { return same_type(type, jws.typ()); });
  if (!accepted) return Error::type_not_allowed;
  return std::nullopt;
}

std::optional<Error> check_issuer(const ClaimSet& claims, const ClaimRules& rules) {
  const json::Element& issuer = claims[KnownClaim::iss];
  if (!issuer) return Error::claim_missing;
  if (!issuer.is_string()) return Error::claim_malformed;
  if (rules.issuer.empty() || issuer.as_string() != rules.issuer) return Error::issuer_mismatch;
  return std::nullopt;
}

// RFC 7519 4.1.3: a string or a list of strings. Compared whole: no prefix, no substring (CVE-2020-26160).
std::optional<Error> check_audience(const ClaimSet& claims, const ClaimRules& rules) {
  const json::Element& audience = claims[KnownClaim::aud];
  if (rules.audience_absent) return !audience ? std::nullopt : std::optional(Error::audience_mismatch);
  if (!audience) return rules.any_audience ? std::nullopt : std::optional(Error::claim_missing);
  const auto listed = [&](const json::Element& one) {
    return std::find(rules.audiences.begin(), rules.audiences.end(), one.as_string()) != rules.audiences.end();
  };
  bool match = false;
  if (audience.is_string()) {
    match = listed(audience);
  } else if (audience.is_array()) {
    for (json::Element item = audience.first(); item; item = item.next_of(audience)) {
      if (!item.is_string()) return Error::claim_malformed;
      match = match || listed(item);
    }
  } else {
    return Error::claim_malformed;
  }
  if (!match && !rules.any_audience) return Error::audience_mismatch;
  return std::nullopt;
}

std::optional<Error> check_times(Claims& claims, const ClaimRules& rules, Time now) {
  const std::int64_t leeway_seconds = std::clamp<std::int64_t>(rules.leeway_seconds, 0, leeway_seconds_max);

  const json::Element& exp = claims.set[KnownClaim::exp];
  if (!exp) return Error::claim_missing;
  const auto expires = numeric_date(exp, json::Rounding::down);
  if (!expires) return Error::claim_malformed;
  claims.usable_until = expires->plus_seconds(leeway_seconds);
  if (now >= claims.usable_until) return Error::token_expired;

  // The same rule for both: a moment that must not lie ahead.
  const auto check_past = [&](KnownClaim name, Error ahead) -> std::optional<Error> {
    const json::Element& claim = claims.set[name];
    if (!claim) return std::nullopt;
    const auto from = numeric_date(claim, json::Rounding::up);
    if (!from) return Error::claim_malformed;
    const Time usable_from = from->plus_seconds(-leeway_seconds);
    if (now < usable_from) return ahead;
    claims.usable_from = std::max(claims.usable_from, usable_from);
    return std::nullopt;
  };
  if (auto error = check_past(KnownClaim::nbf, Error::token_not_yet_valid)) return error;
  return check_past(KnownClaim::iat, Error::token_issued_in_future);
}

// What an issuer signs beside access tokens, told by the claims that only those have.
std::optional<Error> check_kind(const VerifiedJws& jws, const ClaimSet& claims, const ClaimRules& rules) {
  const auto has = [&](KnownClaim claim) { return static_cast<bool>(claims[claim]); };
  // A security event or logout token (RFC 8417 2.2, OpenID Connect Back-Channel Logout 2.4).
  if (has(KnownClaim::events)) return Error::token_kind_not_allowed;
  // A DPoP proof (RFC 9449 4.2).
  if (has(KnownClaim::htm) || has(KnownClaim::htu)) return Error::token_kind_not_allowed;
  // Bound to a key whose proof is not looked at here (RFC 7800; RFC 9449 7.2: not to be taken as a bearer token).
  if (has(KnownClaim::cnf)) return Error::token_kind_not_allowed;
  if (rules.id_tokens == IdTokens::accept) return std::nullopt;
  // An ID token's hashes of its companions (OpenID Connect Core 3.1.3.6, 3.3.2.11).
  if (has(KnownClaim::at_hash) || has(KnownClaim::c_hash) || has(KnownClaim::s_hash)) return Error::token_kind_not_allowed;
  // An ID token's echo of the login request. Some issuers copy it to access tokens too (Keycloak before 24); these
  // have a scope, and do not call themselves at+jwt.
  if (has(KnownClaim::nonce) && ((!has(KnownClaim::scope) && !has(KnownClaim::scp)) || same_type(jws.typ(), "at+jwt"))) {
    return Error::token_kind_not_allowed;
  }
  return std::nullopt;
}

std::optional<Error> check_strings(const ClaimSet& claims, const ClaimRules& rules) {
  for (const KnownClaim name : {KnownClaim::sub, KnownClaim::jti}) {
    const json::Element& claim = claims[name];
    if (claim && !claim.is_string()) return Error::claim_malformed;
  }
  for (const auto& [name, wanted] : rules.required) {
    const json::Element claim = claims.find(name);
    if (!claim) return Error::claim_missing;
    if (!claim.is_string()) return Error::claim_malformed;
    if (claim.as_string() != wanted) return Error::claim_mismatch;
  }
  for (const auto& [name, wanted] : rules.only) {
    const json::Element claim = claims.find(name);
    if (claim && (!claim.is_string() || claim.as_string() != wanted)) return Error::claim_mismatch;
  }
  const auto there = [&](const std::string& name) {
    const json::Element claim = claims.find(name);
    return claim && !claim.is_null();
  };
  if (!rules.required_any.empty() && std::none_of(rules.required_any.begin(), rules.required_any.end(), there)) {
    return Error::claim_missing;
  }
  return std::nullopt;
}

std::optional<Error> read_identity(const ClaimSet& claims, const ClaimRules& rules, std::string_view& identity) {
  const json::Element claim = claims.find(rules.identity_claim);
  if (!claim) return Error::claim_missing;
  if (rules.identity_claim == "email") {
    const json::Element verified = claims.find("email_verified");
    if (!verified) return Error::claim_missing;
    if (!verified.is_boolean() || !verified.as_boolean()) return Error::claim_mismatch;
  }
  const std::string_view text = claim.as_string();
  if (!is_identity(text)) return Error::identity_malformed;
  identity = text;
  return std::nullopt;
}

}  // namespace

ClaimSet::ClaimSet(const json::Element& object) : object_(object) {
  if (!object.is_object()) return;
  for (json::Element member = object.first(); member; member = member.next_of(object)) {
    if (const std::size_t place = place_of(member.name()); place < claims_known) known_[place] = member;
  }
}

json::Element ClaimSet::find(std::string_view name) const {
  const std::size_t place = place_of(name);
  return place < claims_known ? known_[place] : object_.find(name);
}

std::optional<Time> numeric_date(const json::Element& value, json::Rounding rounding) {
  if (const auto seconds = value.as_integer()) {
    if (*seconds < 0 || *seconds > seconds_max) return std::nullopt;
    return Time{*seconds * 1000};
  }
  const auto ms = value.thousandths(rounding);
  const auto ms_floor = value.thousandths(json::Rounding::down);  // what is under zero is so by any fraction
  if (!ms || !ms_floor || *ms_floor < 0 || *ms > seconds_max * 1000) return std::nullopt;
  return Time{*ms};
}

bool is_identity(std::string_view text) { return !text.empty() && text.size() <= identity_bytes_max && !has_control(text); }

Result<Claims> validate_claims(VerifiedJws jws, const ClaimRules& rules, Time now) {
  if (auto error = check_type(jws, rules)) return *error;
  auto object = jws.take_claims();
  if (!object) return object.error();
  Claims claims;
  claims.object = std::move(object).value();
  claims.set = ClaimSet(claims.object.root());
  if (auto error = check_issuer(claims.set, rules)) return *error;
  if (auto error = check_audience(claims.set, rules)) return *error;
  if (auto error = check_times(claims, rules, now)) return *error;
  if (auto error = check_kind(jws, claims.set, rules)) return *error;
  if (auto error = check_strings(claims.set, rules)) return *error;
  if (auto error = read_identity(claims.set, rules, claims.identity)) return *error;
  return claims;
}

}  // namespace postern
