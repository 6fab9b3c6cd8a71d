#include "claims.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/sign.h"

namespace postern {
namespace {

using namespace std::string_literals;
using testing::SigningKey;

constexpr std::int64_t now_seconds = 1'800'000'000;

class Claim : public ::testing::Test {
 protected:
  Claim() {
    rules.issuer = "https://issuer.example";
    rules.audiences = {"https://api.example", "other"};
  }

  // "" when the claims are good, else the error's name.
  [[nodiscard]] std::string outcome(std::string_view payload, std::string_view header_more = "") {
    static const SigningKey key = testing::make_key("HS256", "k1");
    static const Jwk jwk = std::move(make_symmetric_jwk("k1", *find_jwa("HS256"), key.secret).value());
    const std::string token = testing::sign(testing::header_for(key, header_more), payload, key);
    auto parsed = parse_jws(token);
    if (!parsed) return "parse: " + std::string(name(parsed.error()));
    auto verified = VerifiedJws::verify(std::move(parsed).value(), jwk);
    if (!verified) return "verify: " + std::string(name(verified.error()));
    auto validated = validate_claims(verified.value(), rules, now);
    if (!validated) return std::string(name(validated.error()));
    claims = std::move(validated).value();
    return "";
  }

  // A good claim set with members changed: each pair's second is JSON, or "" to leave the member out.
  [[nodiscard]] static std::string with(const std::vector<std::pair<std::string_view, std::string>>& changes) {
    json::Value object;
    object.set("iss", json::Value::string("https://issuer.example"));
    object.set("aud", json::Value::string("https://api.example"));
    object.set("sub", json::Value::string("user-1"));
    object.set("exp", json::Value::number(now_seconds + 60));
    object.set("iat", json::Value::number(now_seconds - 60));
    for (const auto& [name, text] : changes) {
      if (text.empty()) {
        object.remove(name);
      } else {
        object.set(name, json::parse(text).value());
      }
    }
    return json::write(object);
  }

  [[nodiscard]] static std::string seconds(std::int64_t from_now) { return std::to_string(now_seconds + from_now); }

  ClaimRules rules;
  Claims claims;
  Time now = Time{now_seconds * 1000};
};

TEST_F(Claim, AGoodSetIsHandedOnWhole) {
  EXPECT_EQ(outcome(with({{"extra", R"({"n":12345678901234567890})"}})), "");
  EXPECT_EQ(claims.identity, "user-1");
  EXPECT_EQ(claims.usable_until, (Time{(now_seconds + 60 + rules.leeway_seconds) * 1000}));
  EXPECT_EQ(json::write(claims.object.root().to_value()), claims.object.text());
  EXPECT_EQ(json::write(claims.object.root().find("extra").to_value()), R"({"n":12345678901234567890})");
}

TEST_F(Claim, PayloadsMustBeStrictObjects) {
  for (const char* payload : {"", "[]", "null", "\"x\"", "{", "{}x"}) EXPECT_EQ(outcome(payload), "payload_malformed");
  // {"sub":"victim","sub":"attacker"}: all six JavaScript libraries take one of the two.
  std::string twice = with({});
  twice.insert(1, R"("sub":"victim",)");
  EXPECT_EQ(outcome(twice), "payload_malformed");
  std::string escaped = with({});
  escaped.insert(1, R"("\u0073ub":"victim",)");
  EXPECT_EQ(outcome(escaped), "payload_malformed");
  // Envoy AI Gateway GHSA-4gph-2hhr-5mwg: names that differ in case are different names.
  EXPECT_EQ(outcome(with({{"sub", ""}, {"SUB", R"("attacker")"}})), "claim_missing");
}

TEST_F(Claim, TypesAreTheListedOnes) {
  for (const char* typ : {"JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/AT+jwt", "application/jwt"}) {
    EXPECT_EQ(outcome(with({}), R"(,"typ":")"s + typ + "\""), "") << typ;
  }
  // jose, fast-jwt, jsonwebtoken and aws-jwt-verify accept these two by default.
  for (const char* typ :
       {"dpop+jwt", "logout+jwt", "application/logout+jwt", "secevent+jwt", "id_token", "JWS", "JOSE", "", "at+jwt ", "at+jwtx",
        "application/", "application/x/jwt", "x/jwt", "text/at+jwt", "application/application/jwt"}) {
    EXPECT_EQ(outcome(with({}), R"(,"typ":")"s + typ + "\""), "type_not_allowed") << typ;
  }
  EXPECT_EQ(outcome(with({})), "");
  rules.type_required = true;
  EXPECT_EQ(outcome(with({})), "type_not_allowed");
  rules.types = {"application/at+jwt"};
  EXPECT_EQ(outcome(with({}), R"(,"typ":"at+jwt")"), "");
  EXPECT_EQ(outcome(with({}), R"(,"typ":"JWT")"), "type_not_allowed");
  rules.types = {};
  EXPECT_EQ(outcome(with({}), R"(,"typ":"JWT")"), "type_not_allowed");
}

// fast-jwt CVE-2025-30144 (a list), PyJWT CVE-2024-53861 (a prefix).
TEST_F(Claim, TheIssuerIsOneStringAndExact) {
  EXPECT_EQ(outcome(with({{"iss", ""}})), "claim_missing");
  for (const char* issuer : {"null", "1", "{}", R"(["https://issuer.example"])", R"(["https://issuer.example","x"])"}) {
    EXPECT_EQ(outcome(with({{"iss", issuer}})), "claim_malformed") << issuer;
  }
  for (const char* issuer :
       {"", "https://issuer.example/", "https://issuer.exampl", "HTTPS://issuer.example", "https://issuer.example\\u0000",
        " https://issuer.example", "https://issuer.example.attacker.example"}) {
    EXPECT_EQ(outcome(with({{"iss", "\""s + issuer + "\""}})), "issuer_mismatch") << issuer;
  }
  rules.issuer = "";
  EXPECT_EQ(outcome(with({{"iss", R"("")"}})), "issuer_mismatch");
}

// jwt-go CVE-2020-26160; fast-jwt accepts a missing aud, the Cloudflare Pages plugin a substring.
TEST_F(Claim, TheAudienceIsExact) {
  for (const char* audience : {R"("other")", R"(["other"])", R"(["x","https://api.example"])", R"(["other","other"])"}) {
    EXPECT_EQ(outcome(with({{"aud", audience}})), "") << audience;
  }
  EXPECT_EQ(outcome(with({{"aud", ""}})), "claim_missing");
  for (const char* audience :
       {"null", "1", "true", "{}", R"({"0":"other"})", R"(["other",1])", R"([["other"]])", R"([1,"other"])"}) {
    EXPECT_EQ(outcome(with({{"aud", audience}})), "claim_malformed") << audience;
  }
  for (const char* audience : {R"("")", "[]", R"([""])", R"("https://api.example/")", R"("https://api.exampl")",
                               R"("https://api.example.attacker.example")", R"("https://api.example other")", R"("OTHER")",
                               R"(["https://api","example"])"}) {
    EXPECT_EQ(outcome(with({{"aud", audience}})), "audience_mismatch") << audience;
  }
  rules.audiences.clear();
  EXPECT_EQ(outcome(with({})), "audience_mismatch");  // an empty list opens nothing
  rules.any_audience = true;
  EXPECT_EQ(outcome(with({})), "");
  EXPECT_EQ(outcome(with({{"aud", ""}})), "");
  EXPECT_EQ(outcome(with({{"aud", "1"}})), "claim_malformed");  // wrong is never "absent"
}

// Rust jsonwebtoken CVE-2026-25537: a wrong type was taken for "not there". All six JavaScript libraries accept 1e300
// and a missing exp, one of them a string and null.
TEST_F(Claim, TimesAreNumbersInRange) {
  EXPECT_EQ(outcome(with({{"exp", ""}})), "claim_missing");
  for (const std::string_view name : {"exp", "nbf", "iat"}) {
    for (const char* value : {"null", "true", "[]", "{}", "\"\"", "\"1900000000\"", "-1", "-0.5", "1e300", "9007199254740993",
                              "1e16", "18446744073709551615", "99999999999999999999999999", "-99999999999999999999999999"}) {
      EXPECT_EQ(outcome(with({{name, value}})), "claim_malformed") << name << " " << value;
    }
  }
  EXPECT_EQ(outcome(with({{"exp", "9007199254740992"}})), "");
  EXPECT_EQ(outcome(with({{"exp", "1.9e9"}})), "");
  EXPECT_EQ(outcome(with({{"exp", "1900000000.000"}})), "");
  EXPECT_EQ(outcome(with({{"nbf", "0"}, {"iat", "-0"}})), "");
  EXPECT_EQ(outcome(with({{"exp", "0"}})), "token_expired");
  EXPECT_EQ(outcome(with({{"exp", "1e-400"}})), "token_expired");
}

TEST_F(Claim, ExpiryIsExclusiveToTheMillisecond) {
  rules.leeway_seconds = 0;
  now = Time{now_seconds * 1000 - 1};
  EXPECT_EQ(outcome(with({{"exp", seconds(0)}})), "");
  now = Time{now_seconds * 1000};
  EXPECT_EQ(outcome(with({{"exp", seconds(0)}})), "token_expired");
  EXPECT_EQ(outcome(with({{"exp", seconds(0) + ".5"}})), "");
  EXPECT_EQ(outcome(with({{"exp", seconds(0) + ".0009"}})), "token_expired");

  rules.leeway_seconds = 5;
  now = Time{(now_seconds + 5) * 1000 - 1};
  EXPECT_EQ(outcome(with({{"exp", seconds(0)}})), "");
  EXPECT_EQ(claims.usable_until, (Time{(now_seconds + 5) * 1000}));
  now = Time{(now_seconds + 5) * 1000};
  EXPECT_EQ(outcome(with({{"exp", seconds(0)}})), "token_expired");
}

TEST_F(Claim, StartsAreInclusiveToTheMillisecond) {
  for (const auto& [name, error] :
       std::vector<std::pair<std::string_view, std::string>>{{"nbf", "token_not_yet_valid"}, {"iat", "token_issued_in_future"}}) {
    rules.leeway_seconds = 0;
    now = Time{now_seconds * 1000};
    EXPECT_EQ(outcome(with({{name, seconds(0)}})), "");
    EXPECT_EQ(outcome(with({{name, seconds(0) + ".0001"}})), error);
    EXPECT_EQ(outcome(with({{name, seconds(1)}})), error);
    now = Time{now_seconds * 1000 - 1};
    EXPECT_EQ(outcome(with({{name, seconds(0)}})), error);
    rules.leeway_seconds = 5;
    now = Time{(now_seconds - 5) * 1000};
    EXPECT_EQ(outcome(with({{name, seconds(0)}})), "");
    now = Time{(now_seconds - 5) * 1000 - 1};
    EXPECT_EQ(outcome(with({{name, seconds(0)}})), error);
  }
  EXPECT_EQ(outcome(with({{"iat", ""}})), "");
}

TEST_F(Claim, LeewayIsCapped) {
  rules.leeway_seconds = 1'000'000;
  EXPECT_EQ(outcome(with({{"exp", seconds(-299)}})), "");
  EXPECT_EQ(outcome(with({{"exp", seconds(-300)}})), "token_expired");
  rules.leeway_seconds = -1'000'000;
  EXPECT_EQ(outcome(with({})), "");
  EXPECT_EQ(outcome(with({{"exp", seconds(0)}})), "token_expired");
}

TEST_F(Claim, OtherKindsOfTokensAreRefused) {
  for (const char* value : {"null", "\"x\"", "{}", "[]", "1"}) {
    for (const std::string_view name : {"events", "htm", "htu", "cnf", "at_hash", "c_hash", "s_hash"}) {
      EXPECT_EQ(outcome(with({{name, value}})), "token_kind_not_allowed") << name;
    }
  }
  // giantswarm/mcp-oauth#383: a bound token taken as a bearer token.
  EXPECT_EQ(outcome(with({{"cnf", R"({"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"})"}})), "token_kind_not_allowed");
  EXPECT_EQ(outcome(with({{"cnf", R"({"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"})"}})), "token_kind_not_allowed");

  EXPECT_EQ(outcome(with({{"nonce", R"("n")"}})), "token_kind_not_allowed");
  EXPECT_EQ(outcome(with({{"nonce", R"("n")"}, {"scope", R"("openid")"}})), "");
  EXPECT_EQ(outcome(with({{"nonce", R"("n")"}, {"scp", R"("a")"}})), "");
  EXPECT_EQ(outcome(with({{"nonce", R"("n")"}, {"scope", R"("openid")"}}), R"(,"typ":"at+jwt")"), "token_kind_not_allowed");

  rules.id_tokens = IdTokens::accept;
  EXPECT_EQ(outcome(with({{"nonce", R"("n")"}, {"at_hash", R"("h")"}})), "");
  EXPECT_EQ(outcome(with({{"events", "{}"}})), "token_kind_not_allowed");
  EXPECT_EQ(outcome(with({{"cnf", "{}"}})), "token_kind_not_allowed");
  EXPECT_EQ(outcome(with({{"htm", R"("GET")"}})), "token_kind_not_allowed");
}

TEST_F(Claim, RequiredClaimsAreExactStrings) {
  rules.required = {{"role", "authenticated"}, {"azp", "app"}};
  EXPECT_EQ(outcome(with({{"role", R"("authenticated")"}, {"azp", R"("app")"}})), "");
  EXPECT_EQ(outcome(with({{"role", R"("authenticated")"}})), "claim_missing");
  // Supabase's public key is a valid token of the project, with this role.
  EXPECT_EQ(outcome(with({{"role", R"("anon")"}, {"azp", R"("app")"}})), "claim_mismatch");
  EXPECT_EQ(outcome(with({{"role", R"("Authenticated")"}, {"azp", R"("app")"}})), "claim_mismatch");
  EXPECT_EQ(outcome(with({{"role", R"("")"}, {"azp", R"("app")"}})), "claim_mismatch");
  for (const char* value : {"null", "true", R"(["authenticated"])", "{}"}) {
    EXPECT_EQ(outcome(with({{"role", value}, {"azp", R"("app")"}})), "claim_malformed") << value;
  }
}

TEST_F(Claim, RegisteredStringsHaveTheirType) {
  for (const std::string_view name : {"sub", "jti"}) {
    for (const char* value : {"null", "1", "[]", "{}"}) {
      EXPECT_EQ(outcome(with({{name, value}})), "claim_malformed") << name << value;
    }
  }
  rules.identity_claim = "email";
  EXPECT_EQ(outcome(with({{"sub", "1"}, {"email", R"("a@b.example")"}})), "claim_malformed");
}

TEST_F(Claim, IdentitiesAreNonEmptyBoundedStrings) {
  EXPECT_EQ(outcome(with({{"sub", ""}})), "claim_missing");
  EXPECT_EQ(outcome(with({{"sub", R"("")"}})), "identity_malformed");
  EXPECT_EQ(outcome(with({{"sub", "\"" + std::string(256, 'u') + "\""}})), "");
  EXPECT_EQ(outcome(with({{"sub", "\"" + std::string(257, 'u') + "\""}})), "identity_malformed");
  for (const char* identity : {"a\\r\\nx-admin: 1", "a\\u0000", "\\t", "a\\u007f"}) {
    EXPECT_EQ(outcome(with({{"sub", "\""s + identity + "\""}})), "identity_malformed") << identity;
  }
  EXPECT_EQ(outcome(with({{"sub", R"("Zoë 😀")"}})), "");
  EXPECT_EQ(claims.identity, "Zoë 😀");

  rules.identity_claim = "username";
  EXPECT_EQ(outcome(with({})), "claim_missing");
  for (const char* value : {"null", "1", "true", "[]", "{}", R"(["a@b.example"])"}) {
    EXPECT_EQ(outcome(with({{"username", value}})), "identity_malformed") << value;
  }
  EXPECT_EQ(outcome(with({{"username", R"("a@b.example")"}})), "");
  EXPECT_EQ(claims.identity, "a@b.example");
}

// An address that nobody verified is whatever its user typed in (nOAuth, and Google's unverified addresses).
TEST_F(Claim, AnEmailIsAnIdentityOnceItIsVerified) {
  rules.identity_claim = "email";
  const char* email = R"("a@b.example")";
  EXPECT_EQ(outcome(with({{"email", email}})), "claim_missing");
  for (const char* value : {"false", "null", "1", R"("true")"}) {
    EXPECT_EQ(outcome(with({{"email", email}, {"email_verified", value}})), "claim_mismatch") << value;
  }
  EXPECT_EQ(outcome(with({{"email", email}, {"email_verified", "true"}})), "");
  EXPECT_EQ(claims.identity, "a@b.example");
}

TEST_F(Claim, ProvidersTellTheirTokensApart) {
  rules.required_any = {"scp", "roles"};
  EXPECT_EQ(outcome(with({})), "claim_missing");
  EXPECT_EQ(outcome(with({{"scp", "null"}})), "claim_missing");
  EXPECT_EQ(outcome(with({{"roles", R"(["a"])"}})), "");
  rules.required_any.clear();
  rules.only = {{"sts", "active"}};
  EXPECT_EQ(outcome(with({})), "");
  EXPECT_EQ(outcome(with({{"sts", R"("active")"}})), "");
  EXPECT_EQ(outcome(with({{"sts", R"("pending")"}})), "claim_mismatch");
  EXPECT_EQ(outcome(with({{"sts", "1"}})), "claim_mismatch");
  rules.only.clear();
  rules.audience_absent = true;
  EXPECT_EQ(outcome(with({})), "audience_mismatch") << "made for a service that is named";
  EXPECT_EQ(outcome(with({{"aud", ""}})), "");
}

}  // namespace
}  // namespace postern
