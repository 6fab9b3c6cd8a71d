#include "jwk.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "base64url.h"
#include "json.h"

namespace postern {

namespace {

// A set is {"keys": [{..., "x5c": [...]}]}: four levels; members that are not known may nest a little deeper.
constexpr std::size_t depth_max = 16;
// 64 keys of some twenty members, certificate chains included, with room.
constexpr std::size_t values_max = 4096;

// RFC 7518 6.2.2, 6.3.2 and 6.4.1, and RFC 8037 2; "priv": the AKP keys of post-quantum signatures.
constexpr std::array<std::string_view, 9> secret_members{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"};

// A member of the wrong kind is a fault, never "absent".
enum class Reading : std::uint8_t { absent, read, wrong };

Reading read_string(const json::Value& object, std::string_view name, std::string_view& out) {
  const json::Value* member = object.find(name);
  if (member == nullptr) return Reading::absent;
  if (!member->is_string()) return Reading::wrong;
  out = member->as_string();
  return Reading::read;
}

const char* sentence(crypto::KeyFault fault) {
  switch (fault) {
    case crypto::KeyFault::rsa_modulus_size:
      return "n: must have 2048 to 8192 bits and no leading zeros";
    case crypto::KeyFault::rsa_modulus_even:
      return "n: is even";
    case crypto::KeyFault::rsa_exponent:
      return "e: must be odd, over 65536, of at most 64 bits and without leading zeros";
    case crypto::KeyFault::rsa_weak:
      return "n: was made by a generator whose keys can be factored (ROCA, CVE-2017-15361)";
    case crypto::KeyFault::point_size:
      return "x, y: a coordinate does not have the curve's length";
    case crypto::KeyFault::point_not_canonical:
      return "x: is not the one encoding of a point";
    case crypto::KeyFault::point_not_on_curve:
      return "x, y: the point is not on the curve";
    case crypto::KeyFault::point_small_order:
      return "x: the point has a small order";
    case crypto::KeyFault::secret_too_short:
      return "the secret is shorter than the algorithm's hash";
    case crypto::KeyFault::unsupported:
      break;
  }
  return "the key cannot be imported";
}

std::optional<KeyKind> ec_kind(std::string_view crv) {
  if (crv == "P-256") return KeyKind::ec_p256;
  if (crv == "P-384") return KeyKind::ec_p384;
  if (crv == "P-521") return KeyKind::ec_p521;
  if (crv == "secp256k1") return KeyKind::ec_secp256k1;
  return std::nullopt;
}

// Why the key is not for verifying signatures, by RFC 7517 4.2 and 4.3; nullptr when it is.
const char* refuse_use(const json::Value& object) {
  std::string_view use;
  const Reading reading = read_string(object, "use", use);
  if (reading == Reading::wrong) return "use: must be a string";
  if (reading == Reading::read && use != "sig") return "use: is not sig";

  const json::Value* operations = object.find("key_ops");
  if (operations == nullptr) return nullptr;
  if (!operations->is_array()) return "key_ops: must be a list of strings";
  bool verifies = false;
  const std::vector<json::Value>& items = operations->items();
  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_string()) return "key_ops: must be a list of strings";
    // The list may be as long as values_max; a sane one has two entries.
    constexpr std::size_t operations_max = 16;
    if (i >= operations_max) return "key_ops: too many entries";
    for (std::size_t j = 0; j < i; ++j) {
      if (items[i].as_string() == items[j].as_string()) return "key_ops: holds an entry twice";
    }
    verifies = verifies || items[i].as_string() == "verify";
  }
  return verifies ? nullptr : "key_ops: does not hold verify";
}

using Imported = Result<crypto::Key, const char*>;  // what is wrong, else

Imported imported(Result<crypto::Key, crypto::KeyFault> key) {
  if (!key) return sentence(key.error());
  return std::move(key).value();
}

Imported import_key(const json::Value& object) {
  const char* fault = nullptr;  // the first
  const auto text = [&](std::string_view name, const char* what) {
    std::string_view out;
    if (read_string(object, name, out) != Reading::read && fault == nullptr) fault = what;
    return out;
  };
  const auto bytes = [&](std::string_view name, const char* what) {
    auto decoded = base64url::decode(text(name, what));
    if (!decoded && fault == nullptr) fault = what;
    return std::move(decoded).value_or("");
  };
  const std::string_view kty = text("kty", "kty: must be a string");
  if (kty == "RSA") {
    const std::string n = bytes("n", "n: must be base64url without padding");
    const std::string e = bytes("e", "e: must be base64url without padding");
    if (fault != nullptr) return fault;
    return imported(crypto::import_rsa(n, e));
  }
  // RFC 8037 2. X25519 and X448 are for key agreement; Ed448 has no row.
  if (kty == "EC" || kty == "OKP") {
    const std::string_view crv = text("crv", "crv: must be a string");
    const auto kind = kty == "EC" ? ec_kind(crv) : crv == "Ed25519" ? std::optional(KeyKind::ed25519) : std::nullopt;
    if (fault != nullptr) return fault;
    if (!kind) return "crv: is not supported";
    const std::string x = bytes("x", "x: must be base64url without padding");
    const std::string y = kty == "EC" ? bytes("y", "y: must be base64url without padding") : std::string();
    if (fault != nullptr) return fault;
    return imported(*kind == KeyKind::ed25519 ? crypto::import_ed25519(x) : crypto::import_ec(*kind, x, y));
  }
  return fault != nullptr ? fault : "kty: is not supported";
}

Result<Jwk, const char*> parse_jwk(const json::Value& object) {
  if (const char* why = refuse_use(object)) return why;

  std::string_view kid;
  if (read_string(object, "kid", kid) == Reading::wrong) return "kid: must be a string";
  if (kid.size() > kid_bytes_max) return "kid: is too long";

  const Jwa* alg = nullptr;
  std::string_view alg_name;
  const Reading alg_reading = read_string(object, "alg", alg_name);
  if (alg_reading == Reading::wrong) return "alg: must be a string";
  if (alg_reading == Reading::read) {
    alg = find_jwa(alg_name);
    if (alg == nullptr) return "alg: is not supported";
  }

  auto key = import_key(object);
  if (!key) return key.error();
  if (alg != nullptr && alg->key_kind != key->kind()) return "alg: does not fit the key's type";
  return Jwk{std::string(kid), alg, std::move(key).value()};
}

bool allows(const Jwk& key, const Jwa& alg) { return key.key.kind() == alg.key_kind && (key.alg == nullptr || key.alg == &alg); }

}  // namespace

Result<JwkSet, JwkFault> parse_jwk_set(std::string_view text) {
  if (text.size() > jwk_set_bytes_max) return JwkFault{0, "the set is larger than the limit"};
  auto parsed = json::parse(text, json::Limits{.depth_max = depth_max, .values_max = values_max});
  if (!parsed) return JwkFault{0, "not strict JSON: " + parsed.error().what};
  const json::Value* keys = parsed->find("keys");
  if (keys == nullptr || !keys->is_array()) return JwkFault{0, "keys: must be a list"};
  const std::vector<json::Value>& items = keys->items();
  if (items.size() > jwk_set_keys_max) return JwkFault{0, "keys: holds more keys than the limit"};

  for (std::size_t i = 0; i < items.size(); ++i) {
    if (!items[i].is_object()) return JwkFault{i, "must be an object"};
    for (const std::string_view name : secret_members) {
      if (items[i].find(name) != nullptr) {
        return JwkFault{i, std::string(name) + ": is a member of private or symmetric keys; this one is compromised"};
      }
    }
  }

  JwkSet set;
  for (std::size_t i = 0; i < items.size(); ++i) {
    auto key = parse_jwk(items[i]);
    if (!key) {
      set.skipped.push_back(JwkFault{i, key.error()});
      continue;
    }
    const auto same = [&](const Jwk& other) {
      return !key->kid.empty() && other.kid == key->kid && other.key.kind() == key->key.kind();
    };
    if (std::any_of(set.keys.begin(), set.keys.end(), same)) {
      return JwkFault{i, "kid: another key of this type has the same"};
    }
    set.keys.push_back(std::move(key).value());
  }
  return set;
}

Result<Jwk, JwkFault> make_symmetric_jwk(std::string_view kid, const Jwa& alg, std::string_view secret) {
  if (alg.scheme != Scheme::hmac) return JwkFault{0, "alg: is not for symmetric keys"};
  if (kid.size() > kid_bytes_max) return JwkFault{0, "kid: is too long"};
  // RFC 7518 3.2: a key of the hash's size or larger. An HMAC's tag has that size here.
  auto key = crypto::import_symmetric(alg.hash, secret, alg.signature_bytes);
  if (!key) return JwkFault{0, sentence(key.error())};
  return Jwk{std::string(kid), &alg, std::move(key).value()};
}

Result<const Jwk*> select_key(const std::vector<Jwk>& keys, std::string_view kid, const Jwa& alg) {
  const Jwk* found = nullptr;
  bool candidate = false;  // a key that the header names, whether its algorithm fits or not
  for (const Jwk& key : keys) {
    // A secret that the configuration names without a kid is for whatever kid the issuer writes.
    const bool any_kid = key.kid.empty() && alg.key_kind == KeyKind::symmetric && key.key.kind() == KeyKind::symmetric;
    if (kid.empty() || any_kid ? key.key.kind() != alg.key_kind : key.kid != kid) continue;
    candidate = true;
    if (!allows(key, alg)) continue;
    if (found != nullptr) return Error::key_ambiguous;
    found = &key;
  }
  if (found != nullptr) return found;
  return candidate ? Error::algorithm_not_allowed : Error::key_unknown;
}

}  // namespace postern
