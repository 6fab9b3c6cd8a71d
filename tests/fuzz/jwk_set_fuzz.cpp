// JWK Sets as an issuer might publish them, each key judged a second time with nlohmann's DOM and OpenSSL.
//
// - A set with private or symmetric members, over a limit, or with a name twice is refused whole.
// - What is taken are exactly the keys that verify signatures and pass the hygiene rules; points are on their curves.
// - Written and parsed again the set has the same keys; select_key gives one key at most, and only one that fits.
#include "jwk.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>

#include <algorithm>
#include <set>

#include "fuzz/must.h"
#include "fuzz/mutate_json.h"
#include "fuzz/reference_json.h"
#include "fuzz/tokens.h"
#include "json.h"

namespace postern::fuzz {
namespace {

enum class Use : std::uint8_t { no, yes, unsure };

struct Wanted {
  Use use = Use::no;
  std::string kid;
  std::string alg;
  KeyKind kind = KeyKind::rsa;
};

bool is_on_curve(int curve, std::string_view x, std::string_view y) {
  EC_GROUP* group = EC_GROUP_new_by_curve_name(curve);
  EC_POINT* point = EC_POINT_new(group);
  BIGNUM* p = BN_new();
  EC_GROUP_get_curve(group, p, nullptr, nullptr, nullptr);
  BIGNUM* bx = BN_bin2bn(reinterpret_cast<const unsigned char*>(x.data()), static_cast<int>(x.size()), nullptr);
  BIGNUM* by = BN_bin2bn(reinterpret_cast<const unsigned char*>(y.data()), static_cast<int>(y.size()), nullptr);
  const bool good = BN_cmp(bx, p) < 0 && BN_cmp(by, p) < 0 && EC_POINT_set_affine_coordinates(group, point, bx, by, nullptr) == 1;
  BN_free(bx);
  BN_free(by);
  BN_free(p);
  EC_POINT_free(point);
  EC_GROUP_free(group);
  return good;
}

std::optional<std::string> bytes_member(const Dom& key, const char* name) {
  if (!key.contains(name) || !key[name].is_string()) return std::nullopt;
  return decode_base64url(key[name].get<std::string>());
}

Use judge_rsa(const Dom& key) {
  const auto n = bytes_member(key, "n");
  const auto e = bytes_member(key, "e");
  if (!n || !e || n->empty() || e->empty() || n->front() == '\0' || e->front() == '\0' || e->size() > 8) return Use::no;
  std::size_t bits = n->size() * 8;
  for (int top = static_cast<unsigned char>(n->front()); top < 0x80; top *= 2) --bits;
  std::uint64_t exponent = 0;
  for (const char c : *e) exponent = exponent * 256 + static_cast<unsigned char>(c);
  const bool odd = (n->back() & 1) != 0 && exponent % 2 == 1;
  // The ROCA fingerprint is not written a second time: its faulty keys are in the unit tests.
  return bits >= 2048 && bits <= 8192 && odd && exponent > 65536 ? Use::unsure : Use::no;
}

Use judge_ec(const Dom& key, KeyKind& kind) {
  struct Curve {
    const char* crv;
    int nid;
    std::size_t bytes;
    KeyKind kind;
  };
  constexpr Curve curves[] = {{"P-256", NID_X9_62_prime256v1, 32, KeyKind::ec_p256},
                              {"P-384", NID_secp384r1, 48, KeyKind::ec_p384},
                              {"P-521", NID_secp521r1, 66, KeyKind::ec_p521},
                              {"secp256k1", NID_secp256k1, 32, KeyKind::ec_secp256k1}};
  const auto x = bytes_member(key, "x");
  const auto y = bytes_member(key, "y");
  if (!x || !y) return Use::no;
  for (const Curve& curve : curves) {
    if (string_member(key, "crv") != curve.crv) continue;
    kind = curve.kind;
    return x->size() == curve.bytes && y->size() == curve.bytes && is_on_curve(curve.nid, *x, *y) ? Use::yes : Use::no;
  }
  return Use::no;
}

Wanted judge(const Dom& key) {
  Wanted out;
  const auto is_string_or_absent = [&](const char* name) { return !key.contains(name) || key[name].is_string(); };
  for (const char* name : {"use", "kid", "alg"}) {
    if (!is_string_or_absent(name)) return out;
  }
  if (key.contains("use") && key["use"] != "sig") return out;
  if (key.contains("key_ops")) {
    if (!key["key_ops"].is_array() || key["key_ops"].size() > 16) return out;
    std::set<std::string> operations;
    for (const Dom& operation : key["key_ops"]) {
      if (!operation.is_string() || !operations.insert(operation.get<std::string>()).second) return out;
    }
    if (!operations.contains("verify")) return out;
  }
  out.kid = string_member(key, "kid");
  out.alg = string_member(key, "alg");
  if (out.kid.size() > kid_bytes_max) return out;
  const Jwa* alg = find_jwa(out.alg);
  if (key.contains("alg") && alg == nullptr) return out;
  const std::string kty = string_member(key, "kty");
  Use use = Use::no;
  if (kty == "RSA") use = judge_rsa(key);
  if (kty == "EC") use = judge_ec(key, out.kind);
  if (kty == "OKP" && string_member(key, "crv") == "Ed25519") {
    const auto x = bytes_member(key, "x");
    out.kind = KeyKind::ed25519;
    if (x && x->size() == 32) use = Use::unsure;  // small orders are the unit tests' part
  }
  if (alg != nullptr && alg->key_kind != out.kind) return out;
  out.use = use;
  return out;
}

void check_keys(const Dom& keys, const JwkSet& set) {
  must(set.keys.size() + set.skipped.size() == keys.size(), "every key is taken or reported");
  std::size_t next = 0;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    const bool skipped = std::any_of(set.skipped.begin(), set.skipped.end(), [&](const JwkFault& f) { return f.index == i; });
    const Wanted wanted = judge(keys[i]);
    must(!skipped || wanted.use != Use::yes, "a sound key for signatures is taken", keys[i].dump());
    must(skipped || wanted.use != Use::no, "what is no sound key for signatures is skipped", keys[i].dump());
    if (skipped) continue;
    const Jwk& key = set.keys[next++];
    must(key.kid == wanted.kid && (key.alg == nullptr ? "" : key.alg->name) == wanted.alg && key.key.kind() == wanted.kind,
         "a key is taken as it was published", keys[i].dump());
    must(key.key.kind() != KeyKind::symmetric, "no published key is symmetric");
  }
  for (const JwkFault& fault : set.skipped) must(!fault.what.empty(), "a skipped key has its reason");
}

void check_selection(const JwkSet& set) {
  std::set<std::string> kids = {"", "unknown"};
  for (const Jwk& key : set.keys) kids.insert(key.kid);
  for (const char* name : {"HS256", "RS256", "PS512", "ES256", "ES384", "ES512", "ES256K", "EdDSA"}) {
    const Jwa* alg = find_jwa(name);
    if (alg == nullptr) continue;
    for (const std::string& kid : kids) {
      std::size_t fitting = 0;
      for (const Jwk& key : set.keys) {
        const bool allowed = key.key.kind() == alg->key_kind && (key.alg == nullptr || key.alg == alg);
        if (allowed && (kid.empty() || key.kid == kid)) ++fitting;
      }
      const auto selected = select_key(set.keys, kid, *alg);
      must(selected.ok() == (fitting == 1), "a key is found when exactly one fits", kid);
      if (!selected) continue;
      const Jwk& key = **selected;
      must(key.key.kind() == alg->key_kind && (key.alg == nullptr || key.alg == alg), "the key allows the algorithm");
      must(kid.empty() || key.kid == kid, "the key has the name that was asked for");
    }
  }
}

bool has_secret_member(const Dom& keys) {
  for (const Dom& key : keys) {
    for (const char* name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}) {
      if (key.is_object() && key.contains(name)) return true;
    }
  }
  return false;
}

void check(std::string_view text) {
  const auto set = parse_jwk_set(text);
  const ReferenceText read = read_reference(text);
  const bool is_list = read.strict && read.dom.is_object() && read.dom.contains("keys") && read.dom["keys"].is_array();
  const Dom keys = is_list ? read.dom["keys"] : Dom::array();
  const bool all_objects = std::all_of(keys.begin(), keys.end(), [](const Dom& key) { return key.is_object(); });
  const bool good = is_list && all_objects && text.size() <= jwk_set_bytes_max && read.depth <= 16 && read.values <= 4096 &&
                    keys.size() <= jwk_set_keys_max && !has_secret_member(keys);
  if (!set) {
    must(!set.error().what.empty(), "a refusal has its reason");
    if (!good) return;
    std::set<std::pair<std::string, KeyKind>> names;
    bool twice = false;
    for (const Dom& key : keys) {
      const Wanted wanted = judge(key);
      if (wanted.use != Use::no && !wanted.kid.empty()) twice = !names.emplace(wanted.kid, wanted.kind).second || twice;
    }
    return must(twice, "a set is refused for a fault of the whole set only", set.error().what);
  }
  must(good, "what is taken is a set of public keys within the limits");
  check_keys(keys, *set);
  std::set<std::pair<std::string, KeyKind>> names;
  for (const Jwk& key : set->keys) {
    must(key.kid.empty() || names.emplace(key.kid, key.key.kind()).second, "no two keys of one kind share a name", key.kid);
  }
  check_selection(*set);

  const std::string written = json::write(json::parse(text).value());
  const auto again = parse_jwk_set(written);
  must(again.ok() && again->keys.size() == set->keys.size() && again->skipped.size() == set->skipped.size(),
       "written again it is the same set", written);
  for (std::size_t i = 0; i < set->keys.size(); ++i) {
    const Jwk& a = set->keys[i];
    const Jwk& b = again->keys[i];
    must(a.kid == b.kid && a.alg == b.alg && a.key.kind() == b.key.kind(), "written again it has the same keys", a.kid);
  }
}

constexpr std::string_view words[] = {"keys",
                                      "kty",
                                      "RSA",
                                      "EC",
                                      "OKP",
                                      "oct",
                                      "crv",
                                      "P-256",
                                      "P-384",
                                      "P-521",
                                      "secp256k1",
                                      "Ed25519",
                                      "X25519",
                                      "use",
                                      "sig",
                                      "enc",
                                      "key_ops",
                                      "verify",
                                      "sign",
                                      "[\"verify\"]",
                                      "alg",
                                      "RS256",
                                      "RS512",
                                      "PS256",
                                      "ES256",
                                      "ES384",
                                      "ES512",
                                      "ES256K",
                                      "EdDSA",
                                      "HS256",
                                      "RSA-OAEP",
                                      "kid",
                                      "ec-256",
                                      "rsa-1",
                                      "n",
                                      "e",
                                      "AQAB",
                                      "Aw",
                                      "AAEAAQ",
                                      "x",
                                      "y",
                                      "d",
                                      "p",
                                      "q",
                                      "dp",
                                      "dq",
                                      "qi",
                                      "oth",
                                      "k",
                                      "priv",
                                      "x5c",
                                      "x5t",
                                      "[\"verify\",\"verify\"]"};

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  postern::fuzz::check(postern::fuzz::text_of(bytes, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size, std::size_t size_max, unsigned seed) {
  using namespace postern::fuzz;
  Random random(seed);
  return store(mutate_json(text_of(bytes, size), words, size_max, random), bytes, size_max);
}
