#include "jwk.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.h"
#include "support/sign.h"

namespace postern {
namespace {

using namespace std::string_literals;
using testing::make_key;
using testing::public_jwk;
using testing::SigningKey;

// Making RSA keys takes long; these serve every test of the run.
const SigningKey& rsa() {
  static const SigningKey key = make_key("RS256", "rsa");
  return key;
}
const SigningKey& ec() {
  static const SigningKey key = make_key("ES256", "ec");
  return key;
}

json::Value jwk_of(const SigningKey& key) { return json::parse(public_jwk(key)).value(); }

std::string set_of(const std::vector<json::Value>& keys) {
  json::Value set;
  json::Value& list = set.set("keys", json::Value::array());
  for (const json::Value& key : keys) list.push_back(key);
  return json::write(set);
}

// The key with members changed: each pair's second is JSON, or "" to leave the member out.
json::Value with(const SigningKey& key, const std::vector<std::pair<std::string_view, std::string_view>>& changes) {
  json::Value jwk = jwk_of(key);
  for (const auto& [name, text] : changes) {
    if (text.empty()) {
      jwk.remove(name);
    } else {
      jwk.set(name, json::parse(text).value());
    }
  }
  return jwk;
}

// The reason why the only key of a set was left out; "" when it was taken.
std::string skipped(const json::Value& jwk) {
  auto set = parse_jwk_set(set_of({jwk}));
  EXPECT_TRUE(set.ok()) << (set ? "" : set.error().what);
  if (!set) return "(the whole set)";
  EXPECT_EQ(set->keys.size() + set->skipped.size(), 1U);
  return set->skipped.empty() ? ""s : set->skipped.front().what;
}

// Why the whole set was refused; "" when it was not.
std::string refused(std::string_view text) {
  auto set = parse_jwk_set(text);
  return set ? ""s : set.error().what;
}

TEST(JwkSet, AnIssuersKeysAreRead) {
  std::vector<json::Value> keys;
  const std::vector<std::string_view> algorithms = {"RS256", "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519"};
  for (const std::string_view alg : algorithms) keys.push_back(jwk_of(make_key(alg, alg)));
  auto set = parse_jwk_set(set_of(keys));
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->keys.size(), algorithms.size());
  EXPECT_TRUE(set->skipped.empty());
  for (std::size_t i = 0; i < algorithms.size(); ++i) {
    EXPECT_EQ(set->keys[i].kid, algorithms[i]);
    EXPECT_EQ(set->keys[i].alg, find_jwa(algorithms[i]));
    EXPECT_EQ(set->keys[i].key.kind(), find_jwa(algorithms[i])->key_kind);
  }
}

// Supabase publishes this for projects that still sign with HS256.
TEST(JwkSet, AnEmptySetIsASet) {
  auto set = parse_jwk_set(R"({"keys":[]})");
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(set->keys.empty());
}

TEST(JwkSet, OptionalMembersMayBeMissing) {
  EXPECT_EQ(skipped(with(ec(), {{"use", ""}, {"alg", ""}, {"kid", ""}})), "");
  EXPECT_EQ(skipped(with(rsa(), {{"use", ""}, {"key_ops", R"(["verify"])"}})), "");
  EXPECT_EQ(skipped(with(rsa(), {{"key_ops", R"(["sign","verify"])"}})), "");
  EXPECT_EQ(skipped(with(rsa(), {{"x5c", R"(["MIIB"])"}, {"x5t", R"("x")"}, {"ext", "true"}})), "");
}

TEST(JwkSet, KeysThatAreNotForVerifyingAreSkipped) {
  EXPECT_EQ(skipped(with(ec(), {{"use", R"("enc")"}})), "use: is not sig");
  EXPECT_EQ(skipped(with(ec(), {{"use", R"("")"}})), "use: is not sig");
  EXPECT_EQ(skipped(with(ec(), {{"use", "1"}})), "use: must be a string");
  EXPECT_EQ(skipped(with(ec(), {{"use", "null"}})), "use: must be a string");
  EXPECT_EQ(skipped(with(ec(), {{"key_ops", R"(["encrypt"])"}})), "key_ops: does not hold verify");
  EXPECT_EQ(skipped(with(ec(), {{"key_ops", "[]"}})), "key_ops: does not hold verify");
  EXPECT_EQ(skipped(with(ec(), {{"key_ops", R"("verify")"}})), "key_ops: must be a list of strings");
  EXPECT_EQ(skipped(with(ec(), {{"key_ops", R"(["verify",1])"}})), "key_ops: must be a list of strings");
  EXPECT_EQ(skipped(with(ec(), {{"key_ops", R"(["verify","verify"])"}})), "key_ops: holds an entry twice");
  EXPECT_EQ(skipped(with(ec(), {{"kty", R"("OKP")"}})), "crv: is not supported");
  EXPECT_EQ(skipped(with(ec(), {{"kty", R"("AKP")"}})), "kty: is not supported");
  EXPECT_EQ(skipped(with(ec(), {{"kty", R"("ec")"}})), "kty: is not supported");
  EXPECT_EQ(skipped(with(ec(), {{"kty", ""}})), "kty: must be a string");
  EXPECT_EQ(skipped(with(ec(), {{"kty", "[]"}})), "kty: must be a string");
  EXPECT_EQ(skipped(with(ec(), {{"crv", R"("P-224")"}})), "crv: is not supported");
  EXPECT_EQ(skipped(with(ec(), {{"crv", R"("p-256")"}})), "crv: is not supported");
  EXPECT_EQ(skipped(with(ec(), {{"crv", ""}})), "crv: must be a string");
  EXPECT_EQ(skipped(with(rsa(), {{"alg", R"("RSA-OAEP")"}})), "alg: is not supported");
  EXPECT_EQ(skipped(with(rsa(), {{"alg", R"("none")"}})), "alg: is not supported");
  EXPECT_EQ(skipped(with(rsa(), {{"alg", "1"}})), "alg: must be a string");
  EXPECT_EQ(skipped(with(rsa(), {{"alg", R"("ES256")"}})), "alg: does not fit the key's type");
  EXPECT_EQ(skipped(with(rsa(), {{"alg", R"("HS256")"}})), "alg: does not fit the key's type");
  EXPECT_EQ(skipped(with(ec(), {{"alg", R"("ES384")"}})), "alg: does not fit the key's type");
  EXPECT_EQ(skipped(with(ec(), {{"kid", "1"}})), "kid: must be a string");
  EXPECT_EQ(skipped(with(ec(), {{"kid", "\"" + std::string(256, 'k') + "\""}})), "");
  EXPECT_EQ(skipped(with(ec(), {{"kid", "\"" + std::string(257, 'k') + "\""}})), "kid: is too long");
}

TEST(JwkSet, UnusableKeyMaterialIsSkipped) {
  const std::string n = jwk_of(rsa()).find("n")->as_string();
  const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
  EXPECT_EQ(skipped(with(rsa(), {{"n", ""}})), "n: must be base64url without padding");
  EXPECT_EQ(skipped(with(rsa(), {{"n", "1"}})), "n: must be base64url without padding");
  EXPECT_EQ(skipped(with(rsa(), {{"n", quoted(n + "==")}})), "n: must be base64url without padding");
  EXPECT_EQ(skipped(with(rsa(), {{"n", quoted("")}})), "n: must have 2048 to 8192 bits and no leading zeros");
  EXPECT_EQ(skipped(with(rsa(), {{"e", ""}})), "e: must be base64url without padding");
  EXPECT_EQ(skipped(with(rsa(), {{"e", quoted("Aw")}})),
            "e: must be odd, over 65536, of at most 64 bits and without leading zeros");  // 3
  EXPECT_EQ(skipped(with(rsa(), {{"e", quoted("AQ")}})),
            "e: must be odd, over 65536, of at most 64 bits and without leading zeros");  // 1
  EXPECT_EQ(skipped(with(rsa(), {{"e", quoted("AAEAAQ")}})),
            "e: must be odd, over 65536, of at most 64 bits and without leading zeros");
  EXPECT_EQ(skipped(jwk_of(testing::make_rsa_key("RS256", "small", 1024, 65537))),
            "n: must have 2048 to 8192 bits and no leading zeros");
  EXPECT_EQ(skipped(with(ec(), {{"x", ""}})), "x: must be base64url without padding");
  EXPECT_EQ(skipped(with(ec(), {{"y", "null"}})), "y: must be base64url without padding");
  EXPECT_EQ(skipped(with(ec(), {{"x", quoted("AA")}})), "x, y: a coordinate does not have the curve's length");
  const std::string x = jwk_of(ec()).find("x")->as_string();
  EXPECT_EQ(skipped(with(ec(), {{"y", quoted(x)}})), "x, y: the point is not on the curve");
  EXPECT_EQ(skipped(with(ec(), {{"crv", quoted("secp256k1")}, {"alg", ""}})), "x, y: the point is not on the curve");
}

// RFC 8037 2: kty OKP, crv Ed25519 and x; `d` is among the members that spoil a whole set.
TEST(JwkSet, Ed25519KeysAreChecked) {
  const SigningKey signer = make_key("EdDSA");
  const auto quoted = [](const std::string& text) { return "\"" + text + "\""; };
  EXPECT_EQ(skipped(with(signer, {{"alg", ""}})), "");
  EXPECT_EQ(skipped(with(signer, {{"alg", R"("Ed25519")"}})), "");
  EXPECT_EQ(skipped(with(signer, {{"alg", R"("ES256")"}})), "alg: does not fit the key's type");
  EXPECT_EQ(skipped(with(signer, {{"alg", R"("Ed448")"}})), "alg: is not supported");
  for (const char* crv : {"Ed448", "X25519", "X448", "P-256", "ed25519", ""}) {
    EXPECT_EQ(skipped(with(signer, {{"crv", quoted(crv)}})), "crv: is not supported") << crv;
  }
  EXPECT_EQ(skipped(with(signer, {{"crv", ""}})), "crv: must be a string");
  EXPECT_EQ(skipped(with(signer, {{"kty", R"("EC")"}})), "crv: is not supported");
  EXPECT_EQ(skipped(with(signer, {{"x", ""}})), "x: must be base64url without padding");
  EXPECT_EQ(skipped(with(signer, {{"x", "1"}})), "x: must be base64url without padding");
  EXPECT_EQ(skipped(with(signer, {{"x", quoted("AA")}})), "x, y: a coordinate does not have the curve's length");
  EXPECT_EQ(skipped(with(signer, {{"x", quoted("AQ" + std::string(41, 'A'))}})), "x: the point has a small order");
  EXPECT_EQ(skipped(with(signer, {{"x", quoted("Ag" + std::string(41, 'A'))}})), "x, y: the point is not on the curve");
  EXPECT_EQ(skipped(with(signer, {{"x", quoted("AQ" + std::string(39, 'A') + "IA")}})), "x: is not the one encoding of a point");
  EXPECT_EQ(refused(set_of({with(signer, {{"d", quoted(std::string(43, 'A'))}})})),
            "d: is a member of private or symmetric keys; this one is compromised");
}

// RFC 9864 gives EdDSA with Ed25519 a name of its own. A key that names one of the two serves that one (RFC 7517 4.4), a key
// that names none serves both.
TEST(JwkSet, EitherNameOfEd25519SelectsAKeyWithoutOne) {
  const SigningKey signer = make_key("EdDSA", "ed");
  const auto of = [](const json::Value& jwk) { return std::move(parse_jwk_set(set_of({jwk})).value().keys); };
  const std::vector<Jwk> named = of(jwk_of(signer));
  EXPECT_TRUE(select_key(named, "ed", *find_jwa("EdDSA")).ok());
  EXPECT_EQ(select_key(named, "ed", *find_jwa("Ed25519")).error(), Error::algorithm_not_allowed);
  const std::vector<Jwk> unnamed = of(with(signer, {{"alg", ""}}));
  for (const char* alg : {"EdDSA", "Ed25519"}) {
    EXPECT_TRUE(select_key(unnamed, "ed", *find_jwa(alg)).ok());
    EXPECT_TRUE(select_key(unnamed, "", *find_jwa(alg)).ok());
  }
}

TEST(JwkSet, OneBadKeyLeavesTheOthers) {
  auto set = parse_jwk_set(set_of({with(ec(), {{"use", R"("enc")"}}), jwk_of(rsa()), with(ec(), {{"crv", R"("x")"}})}));
  ASSERT_TRUE(set.ok());
  ASSERT_EQ(set->keys.size(), 1U);
  EXPECT_EQ(set->keys.front().kid, "rsa");
  ASSERT_EQ(set->skipped.size(), 2U);
  EXPECT_EQ(set->skipped[0].index, 0U);
  EXPECT_EQ(set->skipped[1].index, 2U);
}

TEST(JwkSet, WhatIsNoSetIsRefused) {
  EXPECT_EQ(refused(R"({"keys":{}})"), "keys: must be a list");
  EXPECT_EQ(refused(R"({"Keys":[]})"), "keys: must be a list");
  EXPECT_EQ(refused(R"([])"), "keys: must be a list");
  EXPECT_EQ(refused(R"("keys")"), "keys: must be a list");
  EXPECT_EQ(refused(public_jwk(ec())), "keys: must be a list");
  EXPECT_EQ(refused(R"({"keys":[1]})"), "must be an object");
  EXPECT_EQ(refused(R"({"keys":[[]]})"), "must be an object");
  for (const char* text :
       {"", "<html>", "{\"keys\":[]}x", "{\"keys\":[],\"keys\":[]}", "{\"keys\":[{\"kty\":\"EC\",\"kty\":\"RSA\"}]}"}) {
    EXPECT_TRUE(refused(text).starts_with("not strict JSON")) << text;
  }
}

TEST(JwkSet, LimitsHold) {
  std::string many = R"({"keys":[)";
  for (std::size_t i = 0; i < jwk_set_keys_max; ++i) many += R"({"kty":"x"},)";
  auto most = parse_jwk_set(many.substr(0, many.size() - 1) + "]}");
  ASSERT_TRUE(most.ok());
  EXPECT_EQ(most->skipped.size(), jwk_set_keys_max);
  EXPECT_EQ(refused(many + R"({"kty":"x"}]})"), "keys: holds more keys than the limit");
  EXPECT_EQ(refused(R"({"keys":[]})" + std::string(jwk_set_bytes_max, ' ')), "the set is larger than the limit");
  EXPECT_TRUE(refused(R"({"keys":[],"x":)" + std::string(100, '[') + std::string(100, ']') + "}").starts_with("not strict JSON"));
}

// Somebody published a secret: nothing of that set can be trusted. Private RSA and EC members, and the HMAC secret that
// would let anyone sign (algorithm confusion by key set).
TEST(JwkSet, PublishedSecretsRefuseTheWholeSet) {
  for (const std::string name : {"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}) {
    for (const char* value : {"\"AQAB\"", "null", "[]"}) {
      const std::string what = refused(set_of({jwk_of(rsa()), with(ec(), {{name, value}})}));
      EXPECT_EQ(what, name + ": is a member of private or symmetric keys; this one is compromised");
    }
  }
  EXPECT_NE(refused(set_of({jwk_of(make_key("HS256", "h"))})), "");
  // A symmetric key without its secret is only unusable.
  EXPECT_EQ(skipped(with(make_key("HS256", "h"), {{"k", ""}})), "kty: is not supported");
}

TEST(JwkSet, TwoKeysOfOneKidAndKindRefuseTheWholeSet) {
  const SigningKey other = make_key("ES256", "ec");
  EXPECT_EQ(refused(set_of({jwk_of(ec()), jwk_of(other)})), "kid: another key of this type has the same");
  EXPECT_EQ(refused(set_of({jwk_of(ec()), jwk_of(ec())})), "kid: another key of this type has the same");
  // Different kinds, no kid, or one that is not for verifying: nothing to confuse.
  EXPECT_EQ(refused(set_of({jwk_of(ec()), with(rsa(), {{"kid", R"("ec")"}})})), "");
  EXPECT_EQ(refused(set_of({jwk_of(ec()), with(other, {{"use", R"("enc")"}})})), "");
  EXPECT_EQ(refused(set_of({with(ec(), {{"kid", ""}}), with(other, {{"kid", ""}})})), "");
}

TEST(JwkSet, FaultsNeverHoldValues) {
  for (const auto& [name, value] : std::vector<std::pair<std::string_view, std::string_view>>{{"kid", R"(["SECRET"])"},
                                                                                              {"use", R"("SECRET")"},
                                                                                              {"alg", R"("SECRET")"},
                                                                                              {"kty", R"("SECRET")"},
                                                                                              {"crv", R"("SECRET")"},
                                                                                              {"x", R"("SECRET=")"},
                                                                                              {"key_ops", R"(["SECRET"])"},
                                                                                              {"d", R"("SECRET")"}}) {
    auto set = parse_jwk_set(set_of({with(ec(), {{name, value}})}));
    const std::string what = set ? set->skipped.front().what : set.error().what;
    EXPECT_EQ(what.find("SECRET"), std::string::npos) << what;
  }
}

TEST(Jwk, SymmetricKeysAreMadeForOneAlgorithm) {
  const Jwa& hs256 = *find_jwa("HS256");
  auto key = make_symmetric_jwk("k1", hs256, std::string(32, 's'));
  ASSERT_TRUE(key.ok());
  EXPECT_EQ(key->kid, "k1");
  EXPECT_EQ(key->alg, &hs256);
  EXPECT_FALSE(make_symmetric_jwk("", hs256, "").ok());
  EXPECT_FALSE(make_symmetric_jwk("", hs256, std::string(31, 's')).ok());
  EXPECT_FALSE(make_symmetric_jwk("", *find_jwa("HS384"), std::string(47, 's')).ok());
  EXPECT_FALSE(make_symmetric_jwk("", *find_jwa("HS512"), std::string(63, 's')).ok());
  EXPECT_TRUE(make_symmetric_jwk("", *find_jwa("HS512"), std::string(64, 's')).ok());
  EXPECT_FALSE(make_symmetric_jwk("", *find_jwa("RS256"), std::string(64, 's')).ok());
  EXPECT_FALSE(make_symmetric_jwk("", *find_jwa("ES256"), std::string(64, 's')).ok());
  EXPECT_FALSE(make_symmetric_jwk(std::string(257, 'k'), hs256, std::string(32, 's')).ok());
}

class SelectKey : public ::testing::Test {
 protected:
  SelectKey() {
    const SigningKey second = make_key("RS256", "any-rsa-alg");
    auto set = parse_jwk_set(
        set_of({jwk_of(rsa()), jwk_of(ec()), with(second, {{"alg", ""}}), with(make_key("ES256K", "ec"), {{"alg", ""}})}));
    keys = std::move(set.value().keys);
  }
  [[nodiscard]] std::string select(std::string_view kid, std::string_view alg) const {
    auto key = select_key(keys, kid, *find_jwa(alg));
    return key ? key.value()->kid : std::string(name(key.error()));
  }
  std::vector<Jwk> keys;
};

TEST_F(SelectKey, ByKidAndKind) {
  EXPECT_EQ(select("rsa", "RS256"), "rsa");
  EXPECT_EQ(select("ec", "ES256"), "ec");
  EXPECT_EQ(select("any-rsa-alg", "RS512"), "any-rsa-alg");
  EXPECT_EQ(select("any-rsa-alg", "PS384"), "any-rsa-alg");
  // Two keys share a kid; the kind tells them apart.
  auto key = select_key(keys, "ec", *find_jwa("ES256K"));
  EXPECT_EQ(key.value()->key.kind(), KeyKind::ec_secp256k1);
}

// The key decides the algorithm: algorithm confusion, libjwt CVE-2026-44699, hono CVE-2026-22817.
TEST_F(SelectKey, AKidWithAnotherAlgorithmIsRefused) {
  EXPECT_EQ(select("rsa", "HS256"), "algorithm_not_allowed");
  EXPECT_EQ(select("any-rsa-alg", "HS256"), "algorithm_not_allowed");
  EXPECT_EQ(select("rsa", "ES256"), "algorithm_not_allowed");
  EXPECT_EQ(select("ec", "ES384"), "algorithm_not_allowed");
  EXPECT_EQ(select("rsa", "RS384"), "algorithm_not_allowed");
  EXPECT_EQ(select("rsa", "PS256"), "algorithm_not_allowed");
}

TEST_F(SelectKey, KidsAreOpaqueBytes) {
  for (const std::string& kid : {"RSA"s, "rsa "s, "rsa\0"s, "rs"s, "../rsa"s, "rsa' OR '1'='1"s, "*"s, "%72sa"s}) {
    EXPECT_EQ(select(kid, "RS256"), "key_unknown") << kid;
  }
}

TEST_F(SelectKey, WithoutKidOnlyWhereThereIsNoChoice) {
  EXPECT_EQ(select("", "ES256"), "ec");
  EXPECT_EQ(select("", "RS256"), "key_ambiguous");  // both RSA keys may be meant
  EXPECT_EQ(select("", "RS512"), "any-rsa-alg");
  EXPECT_EQ(select("", "ES384"), "key_unknown");
  EXPECT_EQ(select("", "HS256"), "key_unknown");
  keys.pop_back();
  keys.pop_back();
  EXPECT_EQ(select("", "RS256"), "rsa");
  EXPECT_EQ(select("", "RS512"), "algorithm_not_allowed");
  keys.clear();
  EXPECT_EQ(select("", "RS256"), "key_unknown");
  EXPECT_EQ(select("rsa", "RS256"), "key_unknown");
}

TEST_F(SelectKey, TwoKeysOfOneKidAreAmbiguous) {
  for (int i = 0; i < 2; ++i) {
    keys.push_back(std::move(make_symmetric_jwk("same", *find_jwa("HS256"), std::string(32, 's')).value()));
  }
  EXPECT_EQ(select("same", "HS256"), "key_ambiguous");
}

TEST_F(SelectKey, ASecretWithoutAKidIsForAnyKid) {
  const Jwa& hs256 = *find_jwa("HS256");
  std::vector<Jwk> secrets;
  secrets.push_back(make_symmetric_jwk("", hs256, std::string(32, 's')).value());
  EXPECT_TRUE(select_key(secrets, "whatever", hs256).ok());
  EXPECT_TRUE(select_key(secrets, "", hs256).ok());
  EXPECT_FALSE(select_key(secrets, "whatever", *find_jwa("ES256")).ok()) << "never another kind of key";
  secrets.push_back(make_symmetric_jwk("", hs256, std::string(32, 't')).value());
  EXPECT_FALSE(select_key(secrets, "whatever", hs256).ok()) << "two are ambiguous";
}

}  // namespace
}  // namespace postern
