// Arbitrary text as a token, verified with every key of a fixed set.
//
// - Nothing comes out as VerifiedJws but what a key of the set signed, byte for byte. One exception: in ECDSA n - s stands
//   for s as well, so a token may differ from a genuine one by exactly that (which is why no list may name tokens by bytes).
// - What parse_jws accepts has the shape that RFC 7515 and our limits want, read a second time by hand.
#include "jws.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <algorithm>
#include <memory>

#include "fuzz/must.h"
#include "fuzz/mutate_json.h"
#include "fuzz/reference_json.h"
#include "fuzz/tokens.h"

namespace postern::fuzz {
namespace {

using BigNumber = std::unique_ptr<BIGNUM, decltype(&BN_free)>;
BigNumber own(BIGNUM* number) { return {number, BN_free}; }
BigNumber big_number(std::string_view bytes) {
  return own(BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
}

struct Parts {
  std::string_view header;
  std::string_view payload;
  std::string_view signature;
  std::string_view input;
};

std::optional<Parts> split(std::string_view token) {
  if (std::count(token.begin(), token.end(), '.') != 2) return std::nullopt;
  const std::size_t first = token.find('.');
  const std::size_t second = token.find('.', first + 1);
  return Parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
               token.substr(0, second)};
}

BigNumber order_of(std::string_view alg) {
  const int curve = alg == "ES256"   ? NID_X9_62_prime256v1
                    : alg == "ES384" ? NID_secp384r1
                    : alg == "ES512" ? NID_secp521r1
                                     : NID_secp256k1;
  EC_GROUP* group = EC_GROUP_new_by_curve_name(curve);
  BIGNUM* order = BN_dup(EC_GROUP_get0_order(group));
  EC_GROUP_free(group);
  return own(order);
}

bool is_ecdsa(std::string_view alg) { return alg.starts_with("ES"); }

// The other signature that says the same: (r, n - s). RFC 7518 3.4: r and s have the same length.
std::string other_signature(std::string_view alg, std::string_view signature) {
  const std::size_t half = signature.size() / 2;
  const BigNumber order = order_of(alg);
  const BigNumber s = big_number(signature.substr(half));
  std::string out(signature);
  if (BN_sub(s.get(), order.get(), s.get()) != 1 || BN_is_negative(s.get()) != 0) return out;
  BN_bn2binpad(s.get(), reinterpret_cast<unsigned char*>(out.data() + half), static_cast<int>(half));
  return out;
}

// Every token that may be accepted by the key of this name.
struct Allowed {
  std::string kid;
  std::string text;
  bool twin = false;
};

struct Rig {
  std::vector<Jwk> keys;
  std::vector<Allowed> allowed;
};

const Rig& rig() {
  static const Rig made = [] {
    Rig out;
    auto set = parse_jwk_set(token_file().jwks);
    must(set.ok(), "the fixed key set loads");
    out.keys = std::move(set->keys);
    for (const auto& [kid, secret] : token_file().secrets) {
      const Jwa* alg = find_jwa("HS" + kid.substr(kid.size() - 3));
      auto key = make_symmetric_jwk(kid, *alg, secret);
      must(key.ok(), "the fixed secrets load");
      out.keys.push_back(std::move(key).value());
    }
    for (const Token& token : token_file().tokens) {
      if (!token.genuine) continue;
      out.allowed.push_back({token.kid, token.text, false});
      if (!is_ecdsa(token.alg)) continue;
      const auto parts = split(token.text);
      const std::string signature = decode_base64url(parts->signature).value();
      const std::string twin = other_signature(token.alg, signature);
      must(twin != signature, "n - s is another signature");
      out.allowed.push_back({token.kid, std::string(parts->input) + "." + encode_base64url(twin), true});
    }
    // What is promised below means nothing unless the genuine tokens are accepted, and the twins with them.
    for (const Allowed& one : out.allowed) {
      auto parsed = parse_jws(one.text);
      if (!parsed) {
        const bool expected = parsed.error() == Error::algorithm_not_allowed || parsed.error() == Error::header_unsupported;
        must(expected, "a genuine token has the right shape", one.text);
        continue;
      }
      const auto key = std::find_if(out.keys.begin(), out.keys.end(), [&](const Jwk& k) { return k.kid == one.kid; });
      if (key == out.keys.end()) continue;  // a kind of key that is not supported
      must(VerifiedJws::verify(std::move(parsed).value(), *key).ok(), "a genuine token is accepted", one.text);
    }
    return out;
  }();
  return made;
}

void check_shape(std::string_view text, const ParsedJws& jws) {
  must(text.size() <= jws_bytes_max, "a token over the limit is refused");
  const auto parts = split(text);
  must(parts.has_value(), "a token has three parts");
  const auto header = decode_base64url(parts->header);
  const auto payload = decode_base64url(parts->payload);
  const auto signature = decode_base64url(parts->signature);
  must(header && payload && signature, "the parts are canonical base64url");
  must(jws.payload == *payload && jws.signature == *signature && jws.signing_input == parts->input,
       "the parts are what was sent");
  const ReferenceText object = read_reference(*header);
  must(object.strict && object.dom.is_object() && object.depth <= 4, "the header is a strict and flat JSON object", *header);
  for (const char* name : {"crit", "b64", "zip"}) must(!object.dom.contains(name), "no extension is accepted", name);
  must(jws.alg != nullptr && string_member(object.dom, "alg") == jws.alg->name, "alg is a known name, exactly", *header);
  must(jws.kid.empty() != object.dom.contains("kid") && jws.has_typ == object.dom.contains("typ"),
       "kid and typ are told from none");
  must(jws.kid.empty() || (object.dom["kid"].is_string() && object.dom["kid"] == jws.kid && jws.kid.size() <= kid_bytes_max),
       "kid");
  must(!jws.has_typ || (object.dom["typ"].is_string() && object.dom["typ"] == jws.typ), "typ");
}

bool is_well_formed(std::string_view text) {
  if (text.size() > 8192) return false;
  const auto parts = split(text);
  if (!parts) return false;
  const auto header = decode_base64url(parts->header);
  if (!header || !decode_base64url(parts->payload) || !decode_base64url(parts->signature)) return false;
  const ReferenceText object = read_reference(*header);
  if (!object.strict || !object.dom.is_object() || object.depth > 4 || object.values > 64) return false;
  for (const char* name : {"crit", "b64", "zip"}) {
    if (object.dom.contains(name)) return false;
  }
  for (const char* name : {"kid", "typ"}) {
    if (object.dom.contains(name) && !object.dom[name].is_string()) return false;
  }
  return string_member(object.dom, "kid").size() <= 256 && find_jwa(string_member(object.dom, "alg")) != nullptr;
}

void check(std::string_view text) {
  auto parsed = parse_jws(text);
  must(parsed.ok() == is_well_formed(text), parsed.ok() ? "what is accepted is well formed" : "what is well formed is accepted");
  if (!parsed) return;
  check_shape(text, parsed.value());
  const std::string typ = parsed->typ;
  const std::string payload_bytes = parsed->payload;
  KnownHeaders known;
  known.keep(parsed->encoded_header(), parsed.value());
  const auto again = parse_jws(text, &known);
  must(again.ok(), "a known header is accepted");
  check_shape(text, again.value());
  const auto issuer = unverified_issuer(parsed.value());
  const ReferenceText payload = read_reference(payload_bytes);
  if (issuer) must(payload.strict && string_member(payload.dom, "iss") == *issuer, "the unverified issuer is the payload's");

  for (const Jwk& key : rig().keys) {
    const bool fits = key.key.kind() == parsed->alg->key_kind && (key.alg == nullptr || key.alg == parsed->alg);
    const std::size_t size = parsed->signature.size();
    const auto verified = VerifiedJws::verify(parsed.value(), key);
    if (!fits) {
      must(!verified && verified.error() == Error::algorithm_not_allowed, "the key decides the algorithm", key.kid);
      continue;
    }
    if (!verified) {
      const bool exact = size == key.key.signature_bytes(*parsed->alg);
      must(verified.error() == (exact ? Error::signature_invalid : Error::signature_malformed),
           "a signature has its exact length");
    }
    const auto& allowed = rig().allowed;
    const auto genuine =
        std::find_if(allowed.begin(), allowed.end(), [&](const Allowed& one) { return one.kid == key.kid && one.text == text; });
    must(verified.ok() == (genuine != allowed.end()), "nothing is verified but what this key signed, or its twin (r, n - s)",
         key.kid);
    if (!verified) continue;
    must(!genuine->twin || is_ecdsa(parsed->alg->name), "only ECDSA has twins");
    must(verified->payload() == parsed->payload_text() && verified->typ() == typ && verified->has_typ() == parsed->has_typ,
         "what is verified is what was parsed");
  }
}

// ------------------------------------------------------------------------------------------------------------- mutation

// Numbers that mean the same modulo the order or the modulus, and the edges of what a check must refuse.
std::string twisted(std::string signature, Random& random) {
  const std::string_view curves[] = {"ES256", "ES384", "ES512", "ES256K"};
  const std::string_view alg = curves[random() % 4];
  const std::size_t half = signature.size() / 2;
  const std::size_t at = random() % 2 == 0 ? 0 : half;  // r or s
  switch (random() % 5) {
    case 0:
      return other_signature(alg, signature);
    case 1:
    case 2: {  // plus the order; the order itself
      const BigNumber order = order_of(alg);
      const BigNumber value = big_number(std::string_view(signature).substr(at, half));
      if (random() % 2 == 0) BN_zero(value.get());
      BN_add(value.get(), value.get(), order.get());
      if (static_cast<std::size_t>(BN_num_bytes(value.get())) <= half) {
        BN_bn2binpad(value.get(), reinterpret_cast<unsigned char*>(signature.data() + at), static_cast<int>(half));
      }
      return signature;
    }
    case 3:
      std::fill(signature.begin() + static_cast<std::ptrdiff_t>(at), signature.begin() + static_cast<std::ptrdiff_t>(at + half),
                '\0');
      return signature;
    default:
      std::reverse(signature.begin(), signature.end());
      return signature;
  }
}

std::string mutate_token(std::string_view token, std::size_t size_max, Random& random) {
  const auto parts = split(token);
  if (!parts || random() % 8 == 0) return mutate_bytes(std::string(token), size_max);
  std::string header(parts->header);
  std::string payload(parts->payload);
  std::string signature(parts->signature);
  const auto& tokens = token_file().tokens;
  const std::string& other = tokens[random() % tokens.size()].text;
  const auto other_parts = split(other);
  const auto inside = [&](std::string& part, auto change) {
    if (const auto decoded = decode_base64url(part)) part = encode_base64url(change(*decoded));
  };
  const auto change_bytes = [&](const std::string& bytes) { return mutate_bytes(bytes, bytes.size() + 64); };
  switch (random() % 7) {
    case 0:
      inside(header, change_bytes);
      break;
    case 1:
      inside(payload, change_bytes);
      break;
    case 2:
      inside(signature, change_bytes);
      break;
    case 3:
      inside(signature, [&](std::string bytes) { return bytes.size() < 2 ? bytes : twisted(std::move(bytes), random); });
      break;
    case 4:
      if (other_parts) header = other_parts->header;
      break;
    case 5:
      if (other_parts) signature = other_parts->signature;
      break;
    default:
      return other;
  }
  return header + "." + payload + "." + signature;
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  postern::fuzz::check(postern::fuzz::text_of(bytes, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size, std::size_t size_max, unsigned seed) {
  postern::fuzz::Random random(seed);
  const std::string out = postern::fuzz::mutate_token(postern::fuzz::text_of(bytes, size), size_max, random);
  return postern::fuzz::store(out, bytes, size_max);
}
