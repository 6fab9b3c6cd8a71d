// Vectors that others made: Project Wycheproof (C2SP/wycheproof, Apache-2.0), the JOSE cookbook (RFC 7520) and RFC 7515.
//
// The files are read from the folder that POSTERN_VECTORS names (environment, else compile time) and are not part of
// this repository. Without them the tests are skipped; where CI is set that is a failure. Each test prints its counts.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base64url.h"
#include "crypto.h"
#include "json.h"
#include "jwk.h"
#include "jws.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

// tests/support/wycheproof-exceptions.json, which the run through the wasm reads too. `refused`: valid in the file, and
// refused here for the reason given. `contradictory`: "invalid" of the very bytes that another case of the same group says
// are "valid" (the padding they are named for is not in the file). No verifier can have both right, so 393 is the most that
// the file's 401 allow.
const json::Value& listed(std::string_view list, std::int64_t id) {
  static const json::Value document = [] {
    std::ifstream in(fs::path(POSTERN_CASES_DIR).parent_path() / "support" / "wycheproof-exceptions.json");
    std::stringstream text;
    text << in.rdbuf();
    auto parsed = json::parse(text.str());
    return parsed ? parsed.value() : json::Value{};
  }();
  static const json::Value none;
  const json::Value* table = document.find(list);
  EXPECT_NE(table, nullptr) << "wycheproof-exceptions.json is missing or has no " << list;
  const json::Value* found = table == nullptr ? nullptr : table->find(std::to_string(id));
  return found == nullptr ? none : *found;
}

fs::path folder() {
  const char* named = std::getenv("POSTERN_VECTORS");
#ifdef POSTERN_VECTORS
  if (named == nullptr) named = POSTERN_VECTORS;
#endif
  return named == nullptr ? fs::path() : fs::path(named);
}

class Vectors : public ::testing::Test {
 protected:
  void SetUp() override {
    if (fs::is_directory(folder() / "wycheproof")) return;
    if (std::getenv("CI") != nullptr) {
      FAIL() << "no test vectors; POSTERN_VECTORS must name their folder";
    }
    GTEST_SKIP() << "no test vectors; POSTERN_VECTORS names their folder";
  }
};
using Wycheproof = Vectors;
using Cookbook = Vectors;

json::Value read(const fs::path& path) {
  std::ifstream in(folder() / path, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = json::parse(text.str(), json::Limits{.depth_max = 64, .values_max = 1'000'000});
  EXPECT_TRUE(parsed.ok()) << path;
  return parsed ? std::move(parsed).value() : json::Value();
}

const json::Value& at(const json::Value& object, std::string_view name) {
  static const json::Value null;
  const json::Value* member = object.find(name);
  return member == nullptr ? null : *member;
}

const std::string& text_at(const json::Value& object, std::string_view name) { return at(object, name).as_string(); }

std::string from_hex(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

// Wycheproof writes integers as Java does: with a zero byte in front where the top bit is set.
std::string without_sign_byte(std::string bytes) {
  if (bytes.size() > 1 && bytes.front() == '\0') bytes.erase(0, 1);
  return bytes;
}

// Counts the cases of one file that come out right, and complains about every other.
class Tally {
 public:
  explicit Tally(std::string file) : file_(std::move(file)) {}
  ~Tally() {
    if (excepted_ != 0) note(std::to_string(excepted_) + " refused that are listed with their reasons");
    if (contradicted_ != 0) note(std::to_string(contradicted_) + " that contradict another case of the same bytes");
    std::printf("wycheproof %-36s %zu of %zu%s\n", file_.c_str(), right_, total_, note_.c_str());
  }
  Tally(const Tally&) = delete;
  Tally& operator=(const Tally&) = delete;

  void check(const json::Value& test, bool expected, bool accepted) {
    ++total_;
    const std::int64_t id = at(test, "tcId").as_integer().value_or(0);
    if (const json::Value& exception = listed("refused", id); file_ == "json_web_signature" && exception.is_string()) {
      EXPECT_TRUE(expected) << file_ << " " << id << " is an exception without need";
      EXPECT_FALSE(accepted) << file_ << " " << id << " is accepted, but listed: " << exception.as_string();
      ++excepted_;
      return;
    }
    EXPECT_EQ(accepted, expected) << file_ << " " << id << ": " << text_at(test, "comment");
    right_ += accepted == expected ? 1 : 0;
  }
  void contradict() {
    ++total_;
    ++contradicted_;
  }
  void note(const std::string& text) { note_ += ", " + text; }
  [[nodiscard]] std::size_t right() const { return right_; }
  [[nodiscard]] std::size_t total() const { return total_; }

 private:
  std::string file_;
  std::string note_;
  std::size_t right_ = 0;
  std::size_t total_ = 0;
  std::size_t excepted_ = 0;
  std::size_t contradicted_ = 0;
};

bool valid(const json::Value& test) { return text_at(test, "result") == "valid"; }

// The keys of a group as the product would get them: public ones from a fetched set, secrets from a configuration.
// Nothing when any of them is refused.
std::optional<std::vector<Jwk>> keys_of(const json::Value& group) {
  const json::Value* given = group.find("public");
  if (given == nullptr) given = group.find("private");
  json::Value set = json::Value::object();
  if (at(*given, "keys").is_array()) {
    set = *given;
  } else {
    set.set("keys", json::Value::array()).push_back(*given);
  }
  bool symmetric = true;
  for (const json::Value& key : set.find("keys")->items()) symmetric = symmetric && text_at(key, "kty") == "oct";
  if (!symmetric) {
    auto parsed = parse_jwk_set(json::write(set));
    if (!parsed) return std::nullopt;
    return std::move(parsed.value().keys);
  }
  std::vector<Jwk> keys;
  for (const json::Value& key : set.find("keys")->items()) {
    const Jwa* alg = find_jwa(text_at(key, "alg"));
    const auto secret = base64url::decode(text_at(key, "k"));
    if (alg == nullptr || !secret) return std::nullopt;
    auto made = make_symmetric_jwk(text_at(key, "kid"), *alg, *secret);
    if (!made) return std::nullopt;
    keys.push_back(std::move(made).value());
  }
  return keys;
}

bool verifies(std::string_view token, const std::vector<Jwk>& keys) {
  auto parsed = parse_jws(token);
  if (!parsed) return false;
  auto key = select_key(keys, parsed->kid, *parsed->alg);
  if (!key) return false;
  return VerifiedJws::verify(std::move(parsed).value(), *key.value()).ok();
}

void check_jose(const std::string& file, std::size_t right_wanted, std::size_t total_wanted) {
  Tally tally(file);
  const json::Value document = read("wycheproof/" + file + "_test.json");
  for (const json::Value& group : at(document, "testGroups").items()) {
    const auto keys = keys_of(group);
    std::map<std::int64_t, std::string> valid_tokens;
    for (const json::Value& test : at(group, "tests").items()) {
      const std::int64_t id = at(test, "tcId").as_integer().value_or(0);
      const std::string& token = text_at(test, "jws");
      if (valid(test)) valid_tokens[id] = token;
      if (const json::Value& found = listed("contradictory", id); file == "json_web_signature" && found.is_number()) {
        EXPECT_FALSE(valid(test));
        EXPECT_EQ(valid_tokens[found.as_integer().value()], token) << id << " contradicts no more: take it off the list";
        tally.contradict();
        continue;
      }
      tally.check(test, valid(test), keys && verifies(token, *keys));
    }
  }
  EXPECT_EQ(tally.right(), right_wanted);
  EXPECT_EQ(tally.total(), total_wanted);
}

TEST_F(Wycheproof, JsonWebSignature) { check_jose("json_web_signature", 393, 401); }
TEST_F(Wycheproof, JsonWebKey) { check_jose("json_web_key", 26, 26); }

void check_ecdsa(const std::string& file, std::string_view alg, std::size_t total_wanted) {
  Tally tally(file);
  const json::Value document = read("wycheproof/" + file + "_test.json");
  const Jwa& jwa = *find_jwa(alg);
  for (const json::Value& group : at(document, "testGroups").items()) {
    const std::string point = from_hex(text_at(at(group, "publicKey"), "uncompressed"));
    ASSERT_FALSE(point.empty());
    const std::size_t half = point.size() / 2;
    auto key = crypto::import_ec(jwa.key_kind, point.substr(1, half), point.substr(1 + half));
    ASSERT_TRUE(key.ok());
    for (const json::Value& test : at(group, "tests").items()) {
      const std::string message = from_hex(text_at(test, "msg"));
      tally.check(test, valid(test), crypto::verify(key.value(), jwa, message, from_hex(text_at(test, "sig"))));
    }
  }
  EXPECT_EQ(tally.right(), total_wanted);
}

TEST_F(Wycheproof, EcdsaP256) { check_ecdsa("ecdsa_secp256r1_sha256_p1363", "ES256", 262); }
TEST_F(Wycheproof, EcdsaP384) { check_ecdsa("ecdsa_secp384r1_sha384_p1363", "ES384", 280); }
TEST_F(Wycheproof, EcdsaP521) { check_ecdsa("ecdsa_secp521r1_sha512_p1363", "ES512", 318); }
TEST_F(Wycheproof, EcdsaSecp256k1) { check_ecdsa("ecdsa_secp256k1_sha256_p1363", "ES256K", 252); }

TEST_F(Wycheproof, Ed25519) {
  Tally tally("ed25519");
  const json::Value document = read("wycheproof/ed25519_test.json");
  for (const json::Value& group : at(document, "testGroups").items()) {
    auto key = crypto::import_ed25519(from_hex(text_at(at(group, "publicKey"), "pk")));
    ASSERT_TRUE(key.ok());
    for (const json::Value& test : at(group, "tests").items()) {
      const std::string message = from_hex(text_at(test, "msg"));
      const std::string signature = from_hex(text_at(test, "sig"));
      tally.check(test, valid(test), crypto::verify(key.value(), *find_jwa("EdDSA"), message, signature));
    }
  }
  EXPECT_EQ(tally.right(), 151U);
}

Result<crypto::Key, crypto::KeyFault> rsa_key_of(const json::Value& group) {
  const json::Value& key = at(group, "publicKey");
  return crypto::import_rsa(without_sign_byte(from_hex(text_at(key, "modulus"))),
                            without_sign_byte(from_hex(text_at(key, "publicExponent"))));
}

// "acceptable" is a DigestInfo without its NULL parameter: refused, as is every other encoding than the one.
// Groups with e = 3 have keys that are refused at import, whatever they signed.
void check_pkcs1(const std::string& file, std::string_view alg, std::size_t total_wanted) {
  Tally tally(file);
  const json::Value document = read("wycheproof/" + file + "_test.json");
  std::size_t refused_keys = 0;
  for (const json::Value& group : at(document, "testGroups").items()) {
    auto key = rsa_key_of(group);
    const bool weak = text_at(at(group, "publicKey"), "publicExponent") == "03";
    ASSERT_EQ(key.ok(), !weak);
    for (const json::Value& test : at(group, "tests").items()) {
      const bool accepted =
          key && crypto::verify(key.value(), *find_jwa(alg), from_hex(text_at(test, "msg")), from_hex(text_at(test, "sig")));
      tally.check(test, valid(test) && !weak, accepted);
      refused_keys += weak ? 1 : 0;
    }
  }
  if (refused_keys != 0) tally.note(std::to_string(refused_keys) + " of them under keys with e = 3, refused at import");
  EXPECT_EQ(tally.right(), total_wanted);
}

TEST_F(Wycheproof, RsaPkcs1Size2048Sha256) { check_pkcs1("rsa_signature_2048_sha256", "RS256", 259); }
TEST_F(Wycheproof, RsaPkcs1Size2048Sha384) { check_pkcs1("rsa_signature_2048_sha384", "RS384", 258); }
TEST_F(Wycheproof, RsaPkcs1Size2048Sha512) { check_pkcs1("rsa_signature_2048_sha512", "RS512", 259); }
TEST_F(Wycheproof, RsaPkcs1Size3072Sha256) { check_pkcs1("rsa_signature_3072_sha256", "RS256", 259); }

// PS* is one choice of parameters: MGF1 with the same hash, the salt as long as the hash (RFC 7518 3.5). Signatures
// made with any other are well made and refused.
void check_pss(const std::string& file, std::size_t total_wanted) {
  Tally tally(file);
  const json::Value document = read("wycheproof/" + file + "_test.json");
  const std::map<std::string_view, std::pair<std::string_view, std::int64_t>> rows = {
      {"SHA-256", {"PS256", 32}}, {"SHA-384", {"PS384", 48}}, {"SHA-512", {"PS512", 64}}};
  std::size_t other_parameters = 0;
  for (const json::Value& group : at(document, "testGroups").items()) {
    auto key = rsa_key_of(group);
    ASSERT_TRUE(key.ok());
    const auto row = rows.find(text_at(group, "sha"));
    const bool fits = row != rows.end() && text_at(group, "mgf") == "MGF1" && text_at(group, "mgfSha") == text_at(group, "sha") &&
                      at(group, "sLen").as_integer() == row->second.second;
    for (const json::Value& test : at(group, "tests").items()) {
      const std::string message = from_hex(text_at(test, "msg"));
      const std::string signature = from_hex(text_at(test, "sig"));
      bool accepted = false;
      for (const auto& [hash, other] : rows) {
        accepted = accepted || crypto::verify(key.value(), *find_jwa(other.first), message, signature);
      }
      tally.check(test, valid(test) && fits, accepted);
      other_parameters += fits ? 0 : 1;
    }
  }
  if (other_parameters != 0) tally.note(std::to_string(other_parameters) + " of them with parameters that are not JWA's");
  EXPECT_EQ(tally.right(), total_wanted);
}

TEST_F(Wycheproof, RsaPssSize2048Sha256) { check_pss("rsa_pss_2048_sha256_mgf1_32", 108); }
TEST_F(Wycheproof, RsaPssSize3072Sha256) { check_pss("rsa_pss_3072_sha256_mgf1_32", 108); }
TEST_F(Wycheproof, RsaPssOtherParameters) { check_pss("rsa_pss_misc", 150); }

// JWS has no truncated tags, so those are refused however right they are.
void check_hmac(const std::string& file, std::string_view alg, std::size_t total_wanted) {
  Tally tally(file);
  const json::Value document = read("wycheproof/" + file + "_test.json");
  const Jwa& jwa = *find_jwa(alg);
  std::size_t truncated = 0;
  for (const json::Value& group : at(document, "testGroups").items()) {
    const bool whole = at(group, "tagSize").as_integer() == static_cast<std::int64_t>(jwa.signature_bytes * 8);
    for (const json::Value& test : at(group, "tests").items()) {
      auto key = crypto::import_symmetric(jwa.hash, from_hex(text_at(test, "key")), 1);
      ASSERT_TRUE(key.ok());
      tally.check(test, valid(test) && whole,
                  crypto::verify(key.value(), jwa, from_hex(text_at(test, "msg")), from_hex(text_at(test, "tag"))));
      truncated += whole ? 0 : 1;
    }
  }
  tally.note(std::to_string(truncated) + " of them with truncated tags");
  EXPECT_EQ(tally.right(), total_wanted);
}

TEST_F(Wycheproof, HmacSha256) { check_hmac("hmac_sha256", "HS256", 174); }
TEST_F(Wycheproof, HmacSha384) { check_hmac("hmac_sha384", "HS384", 174); }
TEST_F(Wycheproof, HmacSha512) { check_hmac("hmac_sha512", "HS512", 174); }

// The cookbook prints private keys; what an issuer would publish of them.
json::Value public_half(const json::Value& jwk) {
  json::Value out = jwk;
  for (const std::string_view name : {"d", "p", "q", "dp", "dq", "qi"}) out.remove(name);
  return out;
}

std::vector<Jwk> cookbook_keys(const json::Value& jwk, std::string_view alg) {
  std::vector<Jwk> keys;
  if (text_at(jwk, "kty") == "oct") {
    auto made = make_symmetric_jwk(text_at(jwk, "kid"), *find_jwa(alg), base64url::decode(text_at(jwk, "k")).value());
    EXPECT_TRUE(made.ok());
    keys.push_back(std::move(made).value());
    return keys;
  }
  json::Value set;
  set.set("keys", json::Value::array()).push_back(public_half(jwk));
  auto parsed = parse_jwk_set(json::write(set));
  EXPECT_TRUE(parsed.ok());
  return std::move(parsed.value().keys);
}

// RFC 7520 section 4 and RFC 8037 A.4: the examples that have a compact serialization; with each its payload must come back.
TEST_F(Cookbook, CompactSignatures) {
  for (const char* file : {"jws/4_1.rsa_v15_signature", "jws/4_2.rsa-pss_signature", "jws/4_3.ecdsa_signature",
                           "jws/4_4.hmac-sha2_integrity_protection", "curve25519/jws"}) {
    SCOPED_TRACE(file);
    const json::Value example = read(std::string("cookbook/") + file + ".json");
    const json::Value& input = at(example, "input");
    const std::string& token = text_at(at(example, "output"), "compact");
    const auto keys = cookbook_keys(at(input, "key"), text_at(input, "alg"));
    auto parsed = parse_jws(token);
    ASSERT_TRUE(parsed.ok());
    EXPECT_EQ(parsed->payload, text_at(input, "payload"));
    EXPECT_TRUE(verifies(token, keys));
    EXPECT_FALSE(verifies(token.substr(0, token.size() - 1), keys));
  }
}

// What is not a plain compact JWS is refused, though rightly signed: a detached payload (4.5), an unencoded one
// (RFC 7797).
TEST_F(Cookbook, OtherFormsAreRefused) {
  for (const char* file : {"jws/4_5.signature_with_detached_content", "rfc7797/hmac-sha2_b64_false"}) {
    SCOPED_TRACE(file);
    const json::Value example = read(std::string("cookbook/") + file + ".json");
    const std::string& token = text_at(at(example, "output"), "compact");
    ASSERT_FALSE(token.empty());
    auto parsed = parse_jws(token);
    const json::Value& key = at(at(example, "input"), "key");
    EXPECT_FALSE(parsed && verifies(token, cookbook_keys(key, "HS256")));
  }
}

// RFC 7520 section 3. The private and symmetric ones must refuse the whole set (somebody published a secret).
TEST_F(Cookbook, Keys) {
  for (const auto& [file, published] : std::vector<std::pair<std::string, bool>>{{"3_1.ec_public_key", true},
                                                                                 {"3_2.ec_private_key", false},
                                                                                 {"3_3.rsa_public_key", true},
                                                                                 {"3_4.rsa_private_key", false},
                                                                                 {"3_5.symmetric_key_mac_computation", false},
                                                                                 {"3_6.symmetric_key_encryption", false}}) {
    SCOPED_TRACE(file);
    json::Value set;
    set.set("keys", json::Value::array()).push_back(read("cookbook/jwk/" + file + ".json"));
    auto parsed = parse_jwk_set(json::write(set));
    EXPECT_EQ(parsed.ok(), published);
    EXPECT_EQ(parsed ? parsed->keys.size() : 0U, published ? 1U : 0U);
  }
}

// RFC 7515 A.1: the header has a line break in it, so whoever writes it anew before verifying fails.
TEST_F(Cookbook, Rfc7515HmacExample) {
  std::ifstream in(folder() / "rfc7515" / "README.md");
  std::string token;
  std::string key;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("eyJ")) token = line;
    if (const std::size_t at_key = line.find("{\"kty\""); at_key != std::string::npos) key = line.substr(at_key);
  }
  auto jwk = json::parse(key);
  ASSERT_TRUE(jwk.ok());
  const auto keys = cookbook_keys(jwk.value(), "HS256");
  EXPECT_TRUE(verifies(token, keys));
  auto parsed = parse_jws(token);
  EXPECT_EQ(unverified_issuer(parsed.value()).value(), "joe");
  token[token.size() / 2] = token[token.size() / 2] == 'A' ? 'B' : 'A';
  EXPECT_FALSE(verifies(token, keys));
}

}  // namespace
}  // namespace postern
