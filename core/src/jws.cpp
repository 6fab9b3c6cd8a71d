#include "jws.h"

#include <utility>

#include "base64url.h"
#include "json.h"

namespace postern {

namespace {

// A header is a flat object; `jwk` (never read) nests one level and `x5c` in it another.
constexpr std::size_t header_depth_max = 4;
// The registered names are eleven; x5c chains and private members leave it far under this.
constexpr std::size_t header_values_max = 64;

}  // namespace

Result<ParsedJws> parse_jws(std::string_view text) {
  if (text.size() > jws_bytes_max) return Error::token_too_large;
  // The dots are counted with find, not split: a token of only dots costs nothing (CVE-2025-30204).
  const std::size_t first = text.find('.');
  if (first == std::string_view::npos) return Error::jws_malformed;
  const std::size_t second = text.find('.', first + 1);
  if (second == std::string_view::npos) return Error::jws_malformed;
  if (text.find('.', second + 1) != std::string_view::npos) return Error::jws_malformed;  // five parts: a JWE

  ParsedJws jws;
  std::string header;
  if (!base64url::decode_into(text.substr(0, first), header) ||
      !base64url::decode_into(text.substr(first + 1, second - first - 1), jws.payload) ||
      !base64url::decode_into(text.substr(second + 1), jws.signature)) {
    return Error::jws_malformed;
  }

  const auto parsed = json::parse_document(header, json::Limits{.depth_max = header_depth_max, .values_max = header_values_max});
  if (!parsed || !parsed->root().is_object()) return Error::header_malformed;
  const json::Element object = parsed->root();

  // RFC 7515 4.1.11: an extension that is not understood must be refused, and none is. b64 (RFC 7797) and zip
  // (RFC 7516) would change what the payload means; they are refused even where crit does not name them.
  for (const std::string_view name : {"crit", "b64", "zip"}) {
    if (object.find(name)) return Error::header_unsupported;
  }

  const json::Element alg = object.find("alg");
  if (!alg.is_string()) return Error::header_malformed;
  if (const json::Element kid = object.find("kid")) {
    // An empty name is no name: taken for "none" it would match where an exact comparison finds nothing.
    if (!kid.is_string() || kid.as_string().empty() || kid.as_string().size() > kid_bytes_max) return Error::header_malformed;
    jws.kid = kid.as_string();
  }
  if (const json::Element typ = object.find("typ")) {
    if (!typ.is_string()) return Error::header_malformed;
    jws.has_typ = true;
    jws.typ = typ.as_string();
  }
  jws.alg = find_jwa(alg.as_string());
  if (jws.alg == nullptr) return Error::algorithm_not_allowed;
  jws.signing_input = text.substr(0, second);
  return jws;
}

Result<json::Document> parse_payload(std::string_view payload) {
  auto parsed = json::parse_document(payload, json::Limits{.depth_max = payload_depth_max, .values_max = payload_values_max});
  if (!parsed || !parsed->root().is_object()) return Error::payload_malformed;
  return std::move(parsed).value();
}

Result<std::string> unverified_issuer(ParsedJws& jws) {
  auto payload = parse_payload(jws.payload);
  if (!payload) return payload.error();
  jws.unverified_claims = std::move(payload).value();
  const json::Element issuer = jws.unverified_claims->root().find("iss");
  if (!issuer) return Error::claim_missing;
  if (!issuer.is_string()) return Error::claim_malformed;
  return std::string(issuer.as_string());
}

Result<json::Document> VerifiedJws::take_claims() {
  if (claims_) return *std::exchange(claims_, std::nullopt);
  return parse_payload(payload_);
}

std::optional<Error> VerifiedJws::check_shape(const ParsedJws& jws, const Jwk& key) {
  if (jws.alg == nullptr || jws.alg->key_kind != key.key.kind() || (key.alg != nullptr && key.alg != jws.alg)) {
    return Error::algorithm_not_allowed;
  }
  if (jws.signature.size() != key.key.signature_bytes(*jws.alg)) return Error::signature_malformed;
  return std::nullopt;
}

VerifiedJws VerifiedJws::trusted(ParsedJws jws) {
  VerifiedJws verified;
  verified.payload_ = std::move(jws.payload);
  verified.claims_ = std::move(jws.unverified_claims);
  verified.typ_ = std::move(jws.typ);
  verified.has_typ_ = jws.has_typ;
  return verified;
}

Result<VerifiedJws> VerifiedJws::verify(ParsedJws jws, const Jwk& key) {
  if (auto error = check_shape(jws, key)) return *error;
  if (!crypto::verify(key.key, *jws.alg, jws.signing_input, jws.signature)) return Error::signature_invalid;
  return trusted(std::move(jws));
}

#ifdef POSTERN_WASM
Result<VerifiedJws> VerifiedJws::from_host(ParsedJws jws, const Jwk& key, SignatureVerdict verdict) {
  if (auto error = check_shape(jws, key)) return *error;
  if (verdict != SignatureVerdict::valid) return Error::signature_invalid;
  return trusted(std::move(jws));
}
#endif

}  // namespace postern
