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

// Required; absent, not a string or not canonical base64url are all nothing.
std::optional<std::string> read_bytes(const json::Value& object, std::string_view name) {
  std::string_view text;
  if (read_string(object, name, text) != Reading::read) return std::nullopt;
  return base64url::decode(text);
}

std::string sentence(crypto::KeyFault fault) {
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

// Why the key is not for verifying signatures, by RFC 7517 4.2 and 4.3; nothing when it is.
std::optional<std::string> refuse_use(const json::Value& object) {
  std::string_view use;
  const Reading reading = read_string(object, "use", use);
  if (reading == Reading::wrong) return "use: must be a string";
  if (reading == Reading::read && use != "sig") return "use: is not sig";

  const json::Value* operations = object.find("key_ops");
  if (operations == nullptr) return std::nullopt;
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
  if (!verifies) return "key_ops: does not hold verify";
  return std::nullopt;
}

Result<crypto::Key, std::string> import_key(const json::Value& object) {
  std::string_view kty;
  if (read_string(object, "kty", kty) != Reading::read) return std::string("kty: must be a string");
  if (kty == "RSA") {
    const auto n = read_bytes(object, "n");
    if (!n) return std::string("n: must be base64url without padding");
    const auto e = read_bytes(object, "e");
    if (!e) return std::string("e: must be base64url without padding");
    auto key = crypto::import_rsa(*n, *e);
    if (!key) return sentence(key.error());
    return std::move(key).value();
  }
  if (kty == "EC") {
    std::string_view crv;
    if (read_string(object, "crv", crv) != Reading::read) return std::string("crv: must be a string");
    const auto kind = ec_kind(crv);
    if (!kind) return std::string("crv: is not supported");
    const auto x = read_bytes(object, "x");
    if (!x) return std::string("x: must be base64url without padding");
    const auto y = read_bytes(object, "y");
    if (!y) return std::string("y: must be base64url without padding");
    auto key = crypto::import_ec(*kind, *x, *y);
    if (!key) return sentence(key.error());
    return std::move(key).value();
  }
  // RFC 8037 2. X25519 and X448 are for key agreement; Ed448 has no row.
  if (kty == "OKP") {
    std::string_view crv;
    if (read_string(object, "crv", crv) != Reading::read) return std::string("crv: must be a string");
    if (crv != "Ed25519") return std::string("crv: is not supported");
    const auto x = read_bytes(object, "x");
    if (!x) return std::string("x: must be base64url without padding");
    auto key = crypto::import_ed25519(*x);
    if (!key) return sentence(key.error());
    return std::move(key).value();
  }
  return std::string("kty: is not supported");
}

Result<Jwk, std::string> parse_jwk(const json::Value& object) {
  if (auto why = refuse_use(object)) return *std::move(why);

  std::string_view kid;
  if (read_string(object, "kid", kid) == Reading::wrong) return std::string("kid: must be a string");
  if (kid.size() > kid_bytes_max) return std::string("kid: is too long");

  const Jwa* alg = nullptr;
  std::string_view alg_name;
  const Reading alg_reading = read_string(object, "alg", alg_name);
  if (alg_reading == Reading::wrong) return std::string("alg: must be a string");
  if (alg_reading == Reading::read) {
    alg = find_jwa(alg_name);
    if (alg == nullptr) return std::string("alg: is not supported");
  }

  auto key = import_key(object);
  if (!key) return key.error();
  if (alg != nullptr && alg->key_kind != key->kind()) return std::string("alg: does not fit the key's type");
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
  auto key = crypto::import_symmetric(secret, alg.signature_bytes);
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
