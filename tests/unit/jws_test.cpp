#include "jws.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base64url.h"
#include "support/sign.h"

namespace postern {
namespace {

using namespace std::string_literals;
using testing::header_for;
using testing::public_jwk;
using testing::sign;
using testing::SigningKey;

const SigningKey& signer(const std::string& alg) {
  static std::map<std::string, SigningKey> keys;
  const auto found = keys.find(alg);
  return found != keys.end() ? found->second : keys.emplace(alg, testing::make_key(alg, "k1")).first->second;
}

std::vector<Jwk> keys_for(const SigningKey& key) {
  std::vector<Jwk> keys;
  if (key.alg.starts_with("HS")) {
    keys.push_back(std::move(make_symmetric_jwk(key.kid, *find_jwa(key.alg), key.secret).value()));
    return keys;
  }
  return std::move(parse_jwk_set("{\"keys\":[" + public_jwk(key) + "]}").value().keys);
}

// "" when the token verifies, else the error's name.
std::string outcome(std::string_view token, const std::vector<Jwk>& keys) {
  // A heap copy of the exact size: reading past the end is seen by the sanitizer.
  const std::vector<char> exact(token.begin(), token.end());
  auto parsed = parse_jws(std::string_view(exact.data(), exact.size()));
  if (!parsed) return std::string(name(parsed.error()));
  auto key = select_key(keys, parsed->kid, *parsed->alg);
  if (!key) return std::string(name(key.error()));
  auto verified = VerifiedJws::verify(std::move(parsed).value(), *key.value());
  return verified ? ""s : std::string(name(verified.error()));
}

// A token that verifies, and nothing near it does: each bit flipped, cut at each length, a byte more.
void expect_only_this_verifies(const std::string& token, const std::vector<Jwk>& keys) {
  ASSERT_EQ(outcome(token, keys), "");
  for (std::size_t bit = 0; bit < 8 * token.size(); ++bit) {
    std::string flipped = token;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    ASSERT_NE(outcome(flipped, keys), "") << "bit " << bit;
  }
  for (std::size_t size = 0; size < token.size(); ++size) {
    ASSERT_NE(outcome(token.substr(0, size), keys), "") << "cut at " << size;
    ASSERT_NE(outcome(token.substr(token.size() - size), keys), "") << "last " << size;
  }
  for (const char* more : {"A", "AA", "=", ".", " ", "\n", "AAAA"}) {
    ASSERT_NE(outcome(token + more, keys), "");
    ASSERT_NE(outcome(more + token, keys), "");
  }
}

class EveryAlgorithm : public ::testing::TestWithParam<const char*> {};

TEST_P(EveryAlgorithm, OnlyTheSignedBytesVerify) {
  const SigningKey& key = signer(GetParam());
  const auto keys = keys_for(key);
  expect_only_this_verifies(sign(header_for(key), R"({"a":1})", key), keys);
}

TEST_P(EveryAlgorithm, PayloadsMayBeAnyBytes) {
  const SigningKey& key = signer(GetParam());
  const auto keys = keys_for(key);
  for (const std::string& payload : {""s, "foo"s, "\0\xff"s, std::string(1000, 'x')}) {
    const std::string token = sign(header_for(key), payload, key);
    EXPECT_EQ(outcome(token, keys), "");
    auto parsed = parse_jws(token);
    auto verified = VerifiedJws::verify(std::move(parsed).value(), keys.front());
    EXPECT_EQ(verified->payload(), payload);
  }
}

TEST_P(EveryAlgorithm, AnotherKeyDoesNotVerify) {
  const SigningKey& key = signer(GetParam());
  const SigningKey stranger = testing::make_key(GetParam(), "k1");
  EXPECT_EQ(outcome(sign(header_for(key), "{}", stranger), keys_for(key)), "signature_invalid");
}

// HAProxy's heap overflow (commit 648b0e7): a signature of 21,830 characters reached the conversion to DER.
TEST_P(EveryAlgorithm, SignaturesOfAnotherLengthAreRefusedBeforeAnyCryptography) {
  const SigningKey& key = signer(GetParam());
  const auto keys = keys_for(key);
  const std::string token = sign(header_for(key), "{}", key);
  const std::size_t dot = token.rfind('.');
  const std::string signature = base64url::decode(token.substr(dot + 1)).value();
  const std::string input = token.substr(0, dot + 1);
  EXPECT_EQ(outcome(input, keys), "signature_malformed");
  for (const std::string& other : {signature.substr(1), signature + "\0"s, "\0"s + signature, signature + signature,
                                   std::string(5000, '\0'), signature.substr(0, 1)}) {
    EXPECT_EQ(outcome(input + base64url::encode(other), keys), "signature_malformed");
  }
}

INSTANTIATE_TEST_SUITE_P(Jws, EveryAlgorithm,
                         ::testing::Values("HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
                                           "ES256", "ES384", "ES512", "ES256K", "EdDSA", "Ed25519"),
                         [](const auto& info) { return std::string(info.param); });

class Jws : public ::testing::Test {
 protected:
  [[nodiscard]] std::string outcome_of_header(std::string_view header) const { return outcome(sign(header, "{}", key), keys); }
  const SigningKey& key = signer("ES256");
  const std::vector<Jwk> keys = keys_for(key);
};

TEST_F(Jws, ShapesThatAreNotThreePartsAreRefused) {
  const std::string token = sign(header_for(key), "{}", key);
  for (const std::string& text : {""s, "."s, ".."s, "..."s, "a"s, "a.b"s, token + ".", "." + token, token + "." + token,
                                  token + ".AAAA.AAAA", "AAAA" + token}) {
    EXPECT_NE(outcome(text, keys), "") << text;
  }
  EXPECT_EQ(outcome("..", keys), "header_malformed");
  EXPECT_EQ(outcome(token + ".AAAA.AAAA", keys), "jws_malformed");  // five parts: a JWE (pac4j-jwt CVE-2026-29000)
}

// golang-jwt CVE-2025-30204, go-jose CVE-2025-27144, x/oauth2 CVE-2025-22868: work in proportion to the dots.
TEST_F(Jws, ManyDotsAndLongTokensCostNothing) {
  EXPECT_EQ(outcome(std::string(jws_bytes_max, '.'), keys), "jws_malformed");
  EXPECT_EQ(outcome(std::string(jws_bytes_max + 1, '.'), keys), "token_too_large");
  EXPECT_EQ(outcome(std::string(1'000'000, '.'), keys), "token_too_large");
  // The limit itself: a payload that fills it, and one character more.
  const std::string head = base64url::encode(header_for(key)) + ".";
  const std::size_t room = jws_bytes_max - head.size() - 1 - 86;
  std::string payload = std::string(room / 4 * 3, 'x');
  std::string token = sign(header_for(key), payload, key);
  EXPECT_LE(token.size(), jws_bytes_max);
  EXPECT_GT(token.size(), jws_bytes_max - 4);
  EXPECT_EQ(outcome(token, keys), "");
  EXPECT_EQ(outcome(sign(header_for(key), payload + "xxx", key), keys), "token_too_large");
}

TEST_F(Jws, HeadersMustBeStrictObjects) {
  for (const char* header : {"",
                             "null",
                             "[]",
                             "\"ES256\"",
                             "1",
                             "{",
                             "{\"alg\":\"ES256\",}",
                             "{\"alg\":\"ES256\"} x",
                             "{'alg':'ES256'}",
                             "\xEF\xBB\xBF{\"alg\":\"ES256\"}",
                             "{\"alg\":\"ES256\"}//",
                             "{\"alg\":\"ES256\",\"x\":\"\xff\"}",
                             "{\"alg\":\"ES256\",\"x\":\"\\ud800\"}",
                             "{}",
                             "{\"kid\":\"k1\"}",
                             "{\"alg\":null}",
                             "{\"alg\":1}",
                             "{\"alg\":[\"ES256\"]}",
                             "{\"Alg\":\"ES256\"}",
                             "{\"ALG\":\"ES256\"}"}) {
    EXPECT_EQ(outcome_of_header(header), "header_malformed") << header;
  }
  EXPECT_EQ(outcome_of_header("\r\n {\"kid\" :\t\"k1\",\r\n \"alg\":\"ES256\"}\n"), "");
  EXPECT_EQ(outcome_of_header(R"({"\u0061lg":"ES256"})"), "");  // decoded, it is the name alg
}

// All six JavaScript libraries take the last of two: {"alg":"none","alg":"RS256"}.
TEST_F(Jws, DuplicateHeaderMembersAreRefused) {
  for (const char* header :
       {R"({"alg":"none","alg":"ES256"})", R"({"alg":"ES256","alg":"ES256"})", R"({"alg":"ES256","kid":"x","kid":"k1"})",
        R"({"alg":"ES256","\u0061lg":"none"})", R"({"alg":"ES256","x":{"a":1,"a":2}})"}) {
    EXPECT_EQ(outcome_of_header(header), "header_malformed") << header;
  }
}

TEST_F(Jws, HeaderDepthAndCountAreLimited) {
  EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","x":[[[]]]})"), "");
  EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","x":[[[[]]]]})"), "header_malformed");
  EXPECT_EQ(outcome_of_header("{\"alg\":\"ES256\",\"x\":" + std::string(2000, '[') + std::string(2000, ']') + "}"),
            "header_malformed");
  std::string many = R"({"alg":"ES256","x":[)";
  for (int i = 0; i < 100; ++i) many += "0,";
  EXPECT_EQ(outcome_of_header(many + "0]}"), "header_malformed");
}

// CVE-2015-9235 and after: there is no path for it, in any case or spelling, with or without a signature.
TEST_F(Jws, NoneIsNoAlgorithm) {
  for (const char* alg : {"none", "None", "NONE", "nOnE", "", " none", "none ", "HS256 ", " ES256", "es256", "ES256\\u0000"}) {
    const std::string header = R"({"alg":")"s + alg + R"(","kid":"k1"})";
    EXPECT_EQ(outcome_of_header(header), "algorithm_not_allowed") << alg;
    EXPECT_EQ(outcome(base64url::encode(header) + "." + base64url::encode("{}") + ".", keys), "algorithm_not_allowed");
  }
}

// fast-jwt CVE-2023-48223 and CVE-2026-34950, hono CVE-2026-22817/22818, PyJWT CVE-2022-29217, python-jose
// CVE-2024-33663: the public key as HMAC secret, in every form that a library might have at hand.
TEST_F(Jws, PublicKeysAreNeverSecrets) {
  const SigningKey& rsa = signer("RS256");
  const auto rsa_keys = keys_for(rsa);
  for (const char* alg : {"HS256", "HS384", "HS512"}) {
    for (const std::string& secret : {public_jwk(rsa), "k1"s, ""s, std::string(64, '\0')}) {
      const SigningKey forged = testing::make_symmetric_key(alg, "k1", secret);
      EXPECT_EQ(outcome(sign(header_for(forged), "{}", forged), rsa_keys), "algorithm_not_allowed");
    }
  }
}

TEST_F(Jws, TheKeyDecidesTheAlgorithm) {
  // Rightly signed with the key's material, but under another name than the key's own.
  const SigningKey& rsa = signer("RS256");
  SigningKey as_pss = rsa;
  as_pss.alg = "PS256";
  EXPECT_EQ(outcome(sign(header_for(as_pss), "{}", as_pss), keys_for(rsa)), "algorithm_not_allowed");
  EXPECT_EQ(outcome(sign(header_for(as_pss), "{}", rsa), keys_for(rsa)), "algorithm_not_allowed");
  EXPECT_EQ(outcome(sign(header_for(rsa), "{}", as_pss), keys_for(rsa)), "signature_invalid");

  const std::string token = sign(header_for(as_pss), "{}", as_pss);
  auto parsed = parse_jws(token);
  EXPECT_EQ(VerifiedJws::verify(parsed.value(), keys_for(rsa).front()).error(), Error::algorithm_not_allowed);
  EXPECT_EQ(VerifiedJws::verify(parsed.value(), keys.front()).error(), Error::algorithm_not_allowed);
  EXPECT_EQ(VerifiedJws::verify(ParsedJws{}, keys.front()).error(), Error::algorithm_not_allowed);
}

// fast-jwt CVE-2026-35042, authlib CVE-2025-59420: extensions that must be understood, and none is.
TEST_F(Jws, ExtensionsAreRefused) {
  for (const char* more : {R"(,"crit":["exp"])", R"(,"crit":[])", R"(,"crit":null)", R"(,"crit":["b64"],"b64":false)",
                           R"(,"b64":false)", R"(,"b64":true)", R"(,"zip":"DEF")", R"(,"\u0063rit":["x"])"}) {
    EXPECT_EQ(outcome_of_header(header_for(key, more)), "header_unsupported") << more;
  }
}

// node-jose CVE-2018-0114: the key that the token brings along.
TEST_F(Jws, KeysInTheHeaderAreNeverRead) {
  const SigningKey attacker = testing::make_key("ES256", "k1");
  for (const std::string& more :
       {",\"jwk\":" + public_jwk(attacker), R"(,"jku":"https://attacker.example/jwks")"s,
        R"(,"x5u":"https://attacker.example/cert")"s, R"(,"x5c":["MIIB"])"s, R"(,"x5t":"AAAA","x5t#S256":"AAAA")"s}) {
    EXPECT_EQ(outcome(sign(header_for(key, more), "{}", attacker), keys), "signature_invalid") << more;
    EXPECT_EQ(outcome(sign(header_for(key, more), "{}", key), keys), "") << more;  // not an error: simply not read
  }
}

TEST_F(Jws, KidsAreOpaqueAndBounded) {
  for (const char* kid : {"../../etc/passwd", "k1' OR '1'='1", "http://attacker.example/k1", "K1", "k1 ", "k1\\u0000", "*"}) {
    EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","kid":")"s + kid + R"("})"), "key_unknown") << kid;
  }
  for (const char* kid : {"1", "null", "[\"k1\"]", "{}", "true"}) {
    EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","kid":)"s + kid + "}"), "header_malformed") << kid;
  }
  EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","kid":""})"), "header_malformed");
  EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","kid":")" + std::string(256, 'k') + R"("})"), "key_unknown");
  EXPECT_EQ(outcome_of_header(R"({"alg":"ES256","kid":")" + std::string(257, 'k') + R"("})"), "header_malformed");
}

TEST_F(Jws, LaxBase64IsRefused) {
  const std::string token = sign(header_for(key), R"({"a":1})", key);
  const std::size_t first = token.find('.');
  const std::size_t second = token.rfind('.');
  for (const std::size_t at : {std::size_t{0}, first, first + 1, second, second + 1, token.size()}) {
    for (const char* junk : {" ", "=", "==", "\n", "\r\n", "\t", "?", "+", "/", "%3D", "\xc2\xa0"}) {
      std::string lax = token;
      lax.insert(at, junk);
      EXPECT_EQ(outcome(lax, keys), "jws_malformed") << at << junk;
    }
  }
}

// OWASP/CheatSheetSeries#2242. RFC 7518 allows both signatures, so both verify: which is why no token bytes and no
// signature may serve as an identity or in a denylist.
TEST_F(Jws, TheOtherHalfOfAnEcdsaSignatureVerifiesToo) {
  const std::string token = sign(header_for(key), "{}", key);
  const std::size_t dot = token.rfind('.');
  std::string signature = base64url::decode(token.substr(dot + 1)).value();
  constexpr unsigned char n[32] = {0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17,
                                   0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51};
  int borrow = 0;
  for (std::size_t i = 32; i-- > 0;) {
    int difference = n[i] - static_cast<unsigned char>(signature[32 + i]) - borrow;
    borrow = difference < 0 ? 1 : 0;
    signature[32 + i] = static_cast<char>(difference + 256 * borrow);
  }
  EXPECT_EQ(outcome(token.substr(0, dot + 1) + base64url::encode(signature), keys), "");
}

TEST_F(Jws, TheTypeIsHandedOnAsWritten) {
  const auto type_of = [&](std::string_view more) {
    const std::string token = sign(header_for(key, more), "{}", key);
    auto verified = VerifiedJws::verify(parse_jws(token).value(), keys.front());
    return std::pair(verified->has_typ(), verified->typ());
  };
  EXPECT_EQ(type_of(""), std::pair(false, ""s));
  EXPECT_EQ(type_of(R"(,"typ":"")"), std::pair(true, ""s));
  EXPECT_EQ(type_of(R"(,"typ":"At+JWT")"), std::pair(true, "At+JWT"s));
  for (const char* typ : {"1", "null", "[\"JWT\"]"}) {
    EXPECT_EQ(outcome_of_header(header_for(key, R"(,"typ":)"s + typ)), "header_malformed");
  }
}

TEST_F(Jws, AHeaderIsReadOnceAndMeansTheSame) {
  KnownHeaders known;
  const auto token_of = [&](const std::string& kid, std::string_view more) {
    SigningKey named = key;
    named.kid = kid;
    return sign(header_for(named, more), "{}", key);
  };
  const auto head_of = [](const std::string& token) { return std::string_view(token).substr(0, token.find('.')); };
  const std::string token = token_of("k1", R"(,"typ":"JWT")");
  EXPECT_FALSE(parse_jws(token, &known)->header_known);
  known.keep(head_of(token), parse_jws(token).value());
  auto again = parse_jws(token, &known);
  ASSERT_TRUE(again->header_known);
  EXPECT_EQ(again->kid, "k1");
  EXPECT_EQ(again->typ, "JWT");
  EXPECT_TRUE(again->has_typ);
  EXPECT_EQ(again->alg, find_jwa("ES256"));
  EXPECT_EQ(again->encoded_header(), head_of(token));
  EXPECT_TRUE(VerifiedJws::verify(std::move(again).value(), keys.front()).ok());
  // Each character counts, and so does the length; what is known of a header excuses nothing behind it.
  for (std::size_t at = 0; at < head_of(token).size(); ++at) {
    std::string other = token;
    other[at] = other[at] == 'A' ? 'B' : 'A';
    EXPECT_EQ(known.find(head_of(other)), nullptr) << at;
    EXPECT_EQ(known.find(head_of(token).substr(0, at)), nullptr) << at;
  }
  const std::string two_parts = token.substr(0, token.rfind('.'));
  EXPECT_EQ(parse_jws(two_parts, &known).error(), Error::jws_malformed);
  const std::string no_base64 = token + "=";
  EXPECT_EQ(parse_jws(no_base64, &known).error(), Error::jws_malformed);

  // Of very many the oldest goes; an overlong one is read each time.
  for (int i = 0; i < 40; ++i) {
    const std::string next = token_of("kid-" + std::to_string(i), "");
    known.keep(head_of(next), parse_jws(next).value());
    known.keep(head_of(next), parse_jws(next).value());
    ASSERT_NE(known.find(head_of(next)), nullptr);
    EXPECT_EQ(known.find(head_of(next))->kid, "kid-" + std::to_string(i));
    if (i == 30) {
      EXPECT_NE(known.find(head_of(token)), nullptr);
    }
  }
  EXPECT_EQ(known.find(head_of(token)), nullptr);
  const std::string longest = token_of(std::string(256, 'k'), "");
  known.keep(head_of(longest), parse_jws(longest).value());
  EXPECT_EQ(known.find(head_of(longest)), nullptr);
}

TEST_F(Jws, TheIssuerIsReadOnlyFromAStrictObject) {
  const auto issuer = [&](std::string_view payload) -> std::string {
    const std::string token = sign(header_for(key), payload, key);
    auto parsed = parse_jws(token);
    auto read = unverified_issuer(parsed.value());
    EXPECT_EQ(parsed->payload_text(), read || read.error() != Error::payload_malformed ? payload : "");
    return std::string(read ? read.value() : name(read.error()));
  };
  EXPECT_EQ(issuer(R"({"iss":"https://a.example","x":[[[]]]})"), "https://a.example");
  EXPECT_EQ(issuer(R"({"iss":""})"), "");
  EXPECT_EQ(issuer("{}"), "claim_missing");
  EXPECT_EQ(issuer(R"({"Iss":"https://a.example"})"), "claim_missing");
  // fast-jwt CVE-2025-30144, get-jwks CVE-2025-59936: a list that holds the right issuer, and another.
  EXPECT_EQ(issuer(R"({"iss":["https://a.example"]})"), "claim_malformed");
  EXPECT_EQ(issuer(R"({"iss":null})"), "claim_malformed");
  EXPECT_EQ(issuer(R"({"iss":{"toString":"https://a.example"}})"), "claim_malformed");
  for (const std::string& payload :
       {""s, "[]"s, "\"x\""s, "null"s, R"({"iss":"a","iss":"b"})"s, "{\"iss\":\"\xff\"}"s, "\xEF\xBB\xBF{\"iss\":\"a\"}"s,
        "{\"iss\":\"a\",\"x\":" + std::string(16, '[') + std::string(16, ']') + "}",
        "{\"iss\":\"a\",\"x\":" + std::string(2500, '[') + std::string(2500, ']') + "}"}) {
    EXPECT_EQ(issuer(payload), "payload_malformed") << payload;
  }
  std::string many = R"({"iss":"a","x":[)";
  for (std::size_t i = 0; i < payload_values_max; ++i) many += "0,";
  EXPECT_EQ(issuer(many + "0]}"), "payload_malformed");
}

}  // namespace
}  // namespace postern
