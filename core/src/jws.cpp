#include "jws.h"

#include <cstdint>
#include <cstring>
#include <utility>

#include "base64url.h"
#include "json.h"

namespace postern {

namespace {

// A header is a flat object; `jwk` (never read) nests one level and `x5c` in it another.
constexpr std::size_t header_depth_max = 4;
// The registered names are eleven; x5c chains and private members leave it far under this.
constexpr std::size_t header_values_max = 64;

// Twice the keys of the largest sets that were seen, of 20.
constexpr std::size_t known_headers_max = 32;
// Those of known issuers are under 150: alg, typ and a kid.
constexpr std::size_t known_header_bytes_max = 256;

// As memcmp, which in wasm goes byte by byte; headers of one issuer differ late.
bool same_bytes(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  std::uint64_t differing = 0;
  std::size_t at = 0;
  for (; at + sizeof(std::uint64_t) <= a.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t x = 0;
    std::uint64_t y = 0;
    std::memcpy(&x, a.data() + at, sizeof(x));
    std::memcpy(&y, b.data() + at, sizeof(y));
    differing |= x ^ y;
  }
  return differing == 0 && a.substr(at) == b.substr(at);
}

// RFC 7515 section 4.
Result<JoseHeader> read_header(std::string_view encoded) {
  std::string text;
  if (!base64url::decode_into(encoded, text)) return Error::jws_malformed;
  const auto parsed =
      json::parse_document(std::move(text), json::Limits{.depth_max = header_depth_max, .values_max = header_values_max});
  if (!parsed || !parsed->root().is_object()) return Error::header_malformed;
  const json::Element object = parsed->root();

  // RFC 7515 4.1.11: an extension that is not understood must be refused, and none is. b64 (RFC 7797) and zip
  // (RFC 7516) would change what the payload means; they are refused even where crit does not name them.
  for (const std::string_view name : {"crit", "b64", "zip"}) {
    if (object.find(name)) return Error::header_unsupported;
  }

  JoseHeader header;
  const json::Element alg = object.find("alg");
  if (!alg.is_string()) return Error::header_malformed;
  if (const json::Element kid = object.find("kid")) {
    // An empty name is no name: taken for "none" it would match where an exact comparison finds nothing.
    if (!kid.is_string() || kid.as_string().empty() || kid.as_string().size() > kid_bytes_max) return Error::header_malformed;
    header.kid = kid.as_string();
  }
  if (const json::Element typ = object.find("typ")) {
    if (!typ.is_string()) return Error::header_malformed;
    header.has_typ = true;
    header.typ = typ.as_string();
  }
  header.alg = find_jwa(alg.as_string());
  if (header.alg == nullptr) return Error::algorithm_not_allowed;
  return header;
}

}  // namespace

const JoseHeader* KnownHeaders::find(std::string_view encoded) const {
  for (const auto& [bytes, header] : headers_) {
    if (same_bytes(bytes, encoded)) return &header;
  }
  return nullptr;
}

void KnownHeaders::keep(std::string_view encoded, const JoseHeader& header) {
  if (encoded.size() > known_header_bytes_max || find(encoded) != nullptr) return;
  if (headers_.size() < known_headers_max) {
    headers_.emplace_back(encoded, header);
    return;
  }
  headers_[oldest_] = {std::string(encoded), header};
  oldest_ = (oldest_ + 1) % known_headers_max;
}

Result<ParsedJws> parse_jws(std::string_view text, const KnownHeaders* known) {
  if (text.size() > jws_bytes_max) return Error::token_too_large;
  // The dots are looked for from both ends, not split by: a token of only dots costs nothing (CVE-2025-30204). Five parts, a JWE,
  // leave dots in the middle, which is then no base64url.
  const std::size_t first = text.find('.');
  const std::size_t second = text.rfind('.');
  if (first == second) return Error::jws_malformed;

  Result<ParsedJws> result{ParsedJws()};
  ParsedJws& jws = result.value();
  jws.signing_input = text.substr(0, second);
  if (!base64url::decode_into(text.substr(first + 1, second - first - 1), jws.payload) ||
      !base64url::decode_into(text.substr(second + 1), jws.signature)) {
    return Error::jws_malformed;
  }
  JoseHeader& header = jws;
  if (const JoseHeader* const same = known == nullptr ? nullptr : known->find(jws.encoded_header())) {
    header = *same;
    jws.header_known = true;
    return result;
  }
  auto read = read_header(jws.encoded_header());
  if (!read) return read.error();
  header = std::move(read).value();
  return result;
}

Result<json::Document> parse_payload(std::string payload) {
  auto parsed =
      json::parse_document(std::move(payload), json::Limits{.depth_max = payload_depth_max, .values_max = payload_values_max});
  if (!parsed || !parsed->root().is_object()) return Error::payload_malformed;
  return std::move(parsed).value();
}

Result<std::string_view> unverified_issuer(ParsedJws& jws) {
  if (!jws.unverified_claims) {
    auto payload = parse_payload(std::move(jws.payload));
    if (!payload) return payload.error();
    jws.unverified_claims = std::move(payload).value();
  }
  const json::Element issuer = jws.unverified_claims->root().find("iss");
  if (!issuer) return Error::claim_missing;
  if (!issuer.is_string()) return Error::claim_malformed;
  return issuer.as_string();
}

Result<json::Document> VerifiedJws::take_claims() {
  if (jws_.unverified_claims) return *std::exchange(jws_.unverified_claims, std::nullopt);
  return parse_payload(std::move(jws_.payload));
}

std::optional<Error> VerifiedJws::misfit(const ParsedJws& jws, const Jwk& key) {
  if (jws.alg == nullptr || jws.alg->key_kind != key.key.kind() || (key.alg != nullptr && key.alg != jws.alg)) {
    return Error::algorithm_not_allowed;
  }
  if (jws.signature.size() != key.key.signature_bytes(*jws.alg)) return Error::signature_malformed;
  return std::nullopt;
}

Result<VerifiedJws> VerifiedJws::verify(ParsedJws jws, const Jwk& key) {
  if (auto error = misfit(jws, key)) return *error;
  if (!crypto::verify(key.key, *jws.alg, jws.signing_input, jws.signature)) return Error::signature_invalid;
  return VerifiedJws(std::move(jws));
}

#ifdef POSTERN_WASM
Result<VerifiedJws> VerifiedJws::from_host(ParsedJws jws, const Jwk& key, SignatureVerdict verdict) {
  if (auto error = misfit(jws, key)) return *error;
  if (verdict != SignatureVerdict::valid) return Error::signature_invalid;
  return VerifiedJws(std::move(jws));
}
#endif

}  // namespace postern
