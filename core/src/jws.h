// JWS compact serialization, RFC 7515: a string that claims to be signed, then a payload that is.
//
// This is the trust boundary. Anyone can make a ParsedJws. Only `verify` makes a VerifiedJws, so
// whatever takes a VerifiedJws need not ask whether the signature was checked (invariant no-unverified).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "json.h"
#include "jwa.h"
#include "jwk.h"
#include "postern/result.h"
#include "postern/step.h"

namespace postern {

// Node refuses header sections over 16 KiB; half of that leaves room for everything else in them.
inline constexpr std::size_t jws_bytes_max = 8 * 1024;

// Real claim sets nest three or four levels (Keycloak's resource_access).
inline constexpr std::size_t payload_depth_max = 16;
// Groups and roles come in hundreds. 8 KiB of JSON could hold 3,000 values of 100 bytes of memory each.
inline constexpr std::size_t payload_values_max = 1024;

struct ParsedJws {
  const Jwa* alg = nullptr;
  std::string kid;  // "" when the header has none
  std::string typ;  // as written; "" when the header has none
  bool has_typ = false;
  std::string signing_input;  // header.payload, the bytes that are signed
  std::string payload;        // decoded and NOT verified
  std::string signature;      // decoded
  // What unverified_issuer read of the payload, so that it is parsed once. Nothing of it may be believed before `verify`.
  std::optional<json::Document> unverified_claims;
};

// Shape only. Refuses: over jws_bytes_max, not three parts, base64url that is not canonical, a header that is
// not a strict JSON object (duplicates, UTF-8, depth 4), `crit`, `b64`, `zip`, an unknown or non-string alg,
// a kid that is not a string of 1 to kid_bytes_max bytes, a typ that is not a string. jku, x5u, jwk and x5c are never read (RFC
// 8725 3.10).
[[nodiscard]] Result<ParsedJws> parse_jws(std::string_view text);

// A payload as the object a claim set must be. Errors: payload_malformed when it is not a strict JSON object
// (payload_depth_max, payload_values_max).
[[nodiscard]] Result<json::Document> parse_payload(std::string_view payload);

// The payload's `iss`, before any trust: only to choose whose keys to try. Errors: payload_malformed,
// claim_missing, claim_malformed.
[[nodiscard]] Result<std::string> unverified_issuer(ParsedJws& jws);

class VerifiedJws {
 public:
  // Errors: algorithm_not_allowed (row and key do not fit), signature_malformed, signature_invalid.
  [[nodiscard]] static Result<VerifiedJws> verify(ParsedJws jws, const Jwk& key);

#ifdef POSTERN_WASM
  // The second maker, for a signature that the host's own verifier has looked at: only the literal `valid` counts. The key's
  // fitness and the signature's length are checked as in `verify`, with the same errors.
  [[nodiscard]] static Result<VerifiedJws> from_host(ParsedJws jws, const Jwk& key, SignatureVerdict verdict);
#endif

  [[nodiscard]] const std::string& payload() const { return payload_; }
  // The payload as the object that a claim set must be. Errors: those of parse_payload.
  [[nodiscard]] Result<json::Document> take_claims();
  [[nodiscard]] std::string take_payload() { return std::move(payload_); }
  [[nodiscard]] const std::string& typ() const { return typ_; }
  [[nodiscard]] bool has_typ() const { return has_typ_; }

 private:
  VerifiedJws() = default;
  [[nodiscard]] static std::optional<Error> check_shape(const ParsedJws& jws, const Jwk& key);
  [[nodiscard]] static VerifiedJws trusted(ParsedJws jws);
  std::string payload_;
  std::optional<json::Document> claims_;  // of payload_, where it was parsed before
  std::string typ_;
  bool has_typ_ = false;
};

}  // namespace postern
