// JWS compact serialization, RFC 7515: a string that claims to be signed, then a payload that is.
//
// This is the trust boundary. Anyone can make a ParsedJws. Only `verify` makes a VerifiedJws, so
// whatever takes a VerifiedJws need not ask whether the signature was checked (invariant no-unverified).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

// What is read of a header.
struct JoseHeader {
  const Jwa* alg = nullptr;
  std::string kid;  // "" when the header has none
  std::string typ;  // as written; "" when the header has none
  bool has_typ = false;
};

// Headers that were read before, by their bytes in the token: an issuer writes the same few into all of its tokens. Only those of
// tokens that verified are kept, so that nobody else can push them out.
class KnownHeaders {
 public:
  [[nodiscard]] const JoseHeader* find(std::string_view encoded) const;  // good until the next keep()
  void keep(std::string_view encoded, const JoseHeader& header);

 private:
  std::vector<std::pair<std::string, JoseHeader>> headers_;
  std::size_t oldest_ = 0;
};

struct ParsedJws : JoseHeader {
  std::string_view signing_input;  // header.payload, the bytes that are signed; of the text that was parsed
  std::string payload;             // decoded and NOT verified; empty once unverified_issuer() has read it
  std::string signature;           // decoded

  // What unverified_issuer read of the payload, so that it is parsed once. Nothing of it may be believed before `verify`.
  std::optional<json::Document> unverified_claims;

  bool header_known = false;  // it was not read for this token

  [[nodiscard]] std::string_view encoded_header() const { return signing_input.substr(0, signing_input.find('.')); }
  [[nodiscard]] std::string_view payload_text() const { return unverified_claims ? unverified_claims->text() : payload; }
};

// Shape only. Refuses: over jws_bytes_max, not three parts, base64url that is not canonical, a header that is
// not a strict JSON object (duplicates, UTF-8, depth 4), `crit`, `b64`, `zip`, an unknown or non-string alg,
// a kid that is not a string of 1 to kid_bytes_max bytes, a typ that is not a string. jku, x5u, jwk and x5c are never read (RFC
// 8725 3.10). `text` outlives what is given; `known` spares the reading of a header, nothing else.
[[nodiscard]] Result<ParsedJws> parse_jws(std::string_view text, const KnownHeaders* known = nullptr);
Result<ParsedJws> parse_jws(std::string&& text, const KnownHeaders* known = nullptr) = delete;

// A payload as the object a claim set must be. Errors: payload_malformed when it is not a strict JSON object
// (payload_depth_max, payload_values_max).
[[nodiscard]] Result<json::Document> parse_payload(std::string payload);

// The payload's `iss`, before any trust: only to choose whose keys to try. Errors: payload_malformed,
// claim_missing, claim_malformed. Good while `jws` is.
[[nodiscard]] Result<std::string_view> unverified_issuer(ParsedJws& jws);

class VerifiedJws {
 public:
  // Errors: algorithm_not_allowed (row and key do not fit), signature_malformed, signature_invalid.
  [[nodiscard]] static Result<VerifiedJws> verify(ParsedJws jws, const Jwk& key);

#ifdef POSTERN_WASM
  // The second maker, for a signature that the host's own verifier has looked at: only the literal `valid` counts. The key's
  // fitness and the signature's length are checked as in `verify`, with the same errors.
  [[nodiscard]] static Result<VerifiedJws> from_host(ParsedJws jws, const Jwk& key, SignatureVerdict verdict);
#endif

  // Why this key cannot have made this signature, whatever its bytes are: the first two errors of `verify`.
  [[nodiscard]] static std::optional<Error> misfit(const ParsedJws& jws, const Jwk& key);

  [[nodiscard]] std::string_view payload() const { return jws_.payload_text(); }
  // The payload as the object that a claim set must be; payload() is empty afterwards. Errors: those of parse_payload.
  [[nodiscard]] Result<json::Document> take_claims();
  [[nodiscard]] const JoseHeader& header() const { return jws_; }
  [[nodiscard]] bool header_known() const { return jws_.header_known; }
  [[nodiscard]] const std::string& typ() const { return jws_.typ; }
  [[nodiscard]] bool has_typ() const { return jws_.has_typ; }

 private:
  explicit VerifiedJws(ParsedJws&& jws) : jws_(std::move(jws)) {}
  ParsedJws jws_;
};

}  // namespace postern
