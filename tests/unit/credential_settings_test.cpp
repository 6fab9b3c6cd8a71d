#include "credential_settings.h"

#include <gtest/gtest.h>

#include "json.h"
#include "known_user.h"
#include "sha256.h"

namespace postern {
namespace {

struct Parsed {
  CredentialSettings credentials;
  std::string fault;
};

Parsed settings_of(const std::string& members, const Environment& environment = {}) {
  Parsed out;
  const auto top = json::parse("{" + members + "}");
  if (!top) return {{}, "the test's own JSON: " + top.error().what};
  std::vector<IssuerSettings> issuers;
  ConfigContext context{environment};
  ConfigReader reader(context, top.value());
  parse_credentials(reader, {}, issuers, out.credentials);
  if (context.fault) out.fault = context.fault->what;
  return out;
}

std::string fault_of(const std::string& members, const Environment& environment = {}) {
  return settings_of(members, environment).fault;
}

std::string hex_of(std::string_view token) {
  std::string out;
  for (const std::uint8_t byte : sha256::digest(token)) {
    out += "0123456789abcdef"[byte >> 4U];
    out += "0123456789abcdef"[byte & 0xFU];
  }
  return out;
}

std::string row(const std::string& token, const std::string& more) {
  return R"({"sha256":")" + hex_of(token) + R"(",)" + more + "}";
}

std::string tokens(const std::string& rows, const std::string& more = "") {
  return R"("credentials":[{"kind":"static_tokens","tokens":[)" + rows + "]" + more + "}]";
}

std::string keys(const std::string& rows, const std::string& more = "") {
  return R"("credentials":[{"kind":"api_keys","keys":[)" + rows + "]" + more + "}]";
}

const char* issuer = R"("issuers":[{"issuer":"https://idp.example","audience":"agents","identity_prefix":"idp:"}])";

TEST(CredentialSettings, ADigestIsHexadecimalOrBase64url) {
  // FIPS 180-4's example: SHA-256("abc").
  const std::string abc_hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  const std::string abc_base64url = "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0";
  ASSERT_TRUE(parse_digest(abc_hex).has_value());
  EXPECT_EQ(parse_digest(abc_hex), sha256::digest("abc"));
  EXPECT_EQ(parse_digest(abc_base64url), sha256::digest("abc"));
  for (const std::string& wrong :
       {std::string(), std::string("abc"), abc_hex.substr(1), abc_hex + "0", abc_base64url.substr(1), abc_base64url + "=",
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD" + std::string(), abc_hex.substr(0, 63) + "g",
        abc_base64url.substr(0, 42) + "1"}) {
    EXPECT_FALSE(parse_digest(wrong).has_value()) << wrong;
  }
}

TEST(CredentialSettings, ATokenTableIsAChainOfItsOwn) {
  auto settings =
      settings_of(tokens(row("user1-token", R"("identity":"user1","permissions":["read"],"fields":{"team":"blue","seats":3})")));
  ASSERT_EQ(settings.fault, "");
  ASSERT_EQ(settings.credentials.chain.size(), 1U);
  const auto& table = std::get<StaticTokens>(settings.credentials.chain.front());
  const KnownUser* user = find_static_token(table, "user1-token");
  ASSERT_NE(user, nullptr);
  EXPECT_EQ(user->user.identity, "user1");
  EXPECT_EQ(user->user.display_name, "user1");
  EXPECT_EQ(user->user.permissions, std::vector<std::string>{"read"});
  EXPECT_EQ(user->user.fields_json, R"({"team":"blue","seats":3})");
  for (const char* wrong : {"", "user1-toke", "user1-tokenn", "User1-token", "user1-tokeo"}) {
    EXPECT_EQ(find_static_token(table, wrong), nullptr) << wrong;
  }
}

TEST(CredentialSettings, TheRowThatFitsIsFoundWhereverItStands) {
  std::string rows;
  for (int i = 0; i < 50; ++i)
    rows += (i == 0 ? "" : ",") + row("token-" + std::to_string(i), R"("identity":"u)" + std::to_string(i) + "\"");
  auto settings = settings_of(tokens(rows));
  ASSERT_EQ(settings.fault, "");
  const auto& table = std::get<StaticTokens>(settings.credentials.chain.front());
  for (int i = 0; i < 50; ++i) {
    const KnownUser* user = find_static_token(table, "token-" + std::to_string(i));
    ASSERT_NE(user, nullptr);
    EXPECT_EQ(user->user.identity, "u" + std::to_string(i));
  }
}

TEST(CredentialSettings, AnApiKeyIsItsPrefixItsIdAndItsSecret) {
  auto settings =
      settings_of(keys(row("pk_ci_s3cr_et", R"("id":"ci")") + "," + row("pk_other_x", R"("id":"mine","identity":"m")")));
  ASSERT_EQ(settings.fault, "");
  const auto& table = std::get<ApiKeys>(settings.credentials.chain.front());
  EXPECT_EQ(table.header, "x-api-key");
  const KnownUser* user = find_api_key(table, "pk_ci_s3cr_et");
  ASSERT_NE(user, nullptr);
  EXPECT_EQ(user->user.identity, "ci") << "the id, unless another is said";
  EXPECT_EQ(user->user.credential.api_key, "ci");
  EXPECT_EQ(find_api_key(table, "pk_ci_s3cr_eu"), nullptr);
  EXPECT_EQ(find_api_key(table, "pk_other_x"), nullptr) << "the row says another id than the key";
  EXPECT_EQ(find_api_key(table, std::string(600, 'a')), nullptr);
}

TEST(CredentialSettings, SecretsOfAUserComeFromTheEnvironment) {
  const std::string with = keys(row("pk_ci_x", R"("id":"ci","fields":{"github_token":"$GITHUB_TOKEN","team":"blue"})"));
  auto settings = settings_of(with, {{"GITHUB_TOKEN", "the value"}});
  ASSERT_EQ(settings.fault, "");
  const User& user = std::get<ApiKeys>(settings.credentials.chain.front()).users.front().user;
  EXPECT_EQ(user.fields_json, R"({"team":"blue"})") << "a secret is no open field";
  ASSERT_EQ(user.secret_fields.size(), 1U);
  EXPECT_EQ(user.secret_fields.front(), (std::pair<std::string, std::string>{"github_token", "the value"}));
  EXPECT_NE(fault_of(with).find("GITHUB_TOKEN\" is not set"), std::string::npos) << fault_of(with);

  const auto literal = [](const std::string& field) {
    return fault_of(keys(row("pk_ci_x", R"("id":"ci","fields":{)" + field + "}")));
  };
  for (const char* secret :
       {R"("github_token":"abc")", R"("db_password":"abc")", R"("openai_key":"abc")", R"("ApiKey":"abc")", R"("x":"ghp_0123")",
        R"("x":"sk-abc")", R"("x":"eyJhbGciOiJub25lIn0.e30.")", R"("x":"a1b2c3d4e5f6a7b8c9d0")"}) {
    const std::string fault = literal(secret);
    EXPECT_NE(fault.find("looks like a secret"), std::string::npos) << secret << ": " << fault;
    EXPECT_EQ(fault.find("a1b2c3"), std::string::npos) << "the value is not repeated";
  }
  for (const char* open : {R"("team":"blue")", R"("seats":3)", R"("beta":true)", R"("token_kind":{"public":"opaque"})",
                           R"("note":"a sentence of some length 123")", R"("key_count":2)"}) {
    EXPECT_EQ(literal(open), "") << open;
  }
}

TEST(CredentialSettings, MistakesSayHowToMendThem) {
  const auto says = [](const std::string& members, std::string_view text) {
    const std::string fault = fault_of(members);
    EXPECT_NE(fault.find(text), std::string::npos) << members << "\n" << fault;
  };
  says(tokens(R"({"sha256":"user1-token","identity":"a"})"), "credentials[0].tokens[0].sha256: must be the SHA-256 of the token");
  says(tokens(row("t", R"("display_name":"x")")), "credentials[0].tokens[0].identity: is missing");
  says(tokens(row("t", R"("identity":"a")") + "," + row("t", R"("identity":"b")")), "is there twice");
  says(tokens(row("t", R"("identity":"a\u0000b")")), "control character");
  says(tokens(row("t", R"("identity":"a","permisions":["x"])")), "did you mean \"permissions\"?");
  says(tokens(row("t", R"("identity":"a","fields":{"identity":"root"})")), "LangGraph's own");
  says(keys(row("t", R"("identity":"a")")), "credentials[0].keys[0].id: must be the key's public part");
  says(keys(row("t", R"("id":"A_b")")), "small letters");
  says(keys(row("t", R"("id":"a")"), R"(,"header":"Authorization")"), "has another meaning in HTTP");
  says(R"("credentials":[])", "must be a non-empty list");
  says(R"("credentials":[{"kind":"password"}])", "must be jwt, static_tokens, api_keys, supabase, introspection or handler");
  says(R"("credentials":[{"kind":"jwt"}])", "needs `issuers`");
  says(std::string(issuer) + R"(,"credentials":[{"kind":"jwt"},{"kind":"jwt"}])", "is there twice");
  says(std::string(issuer) + "," + tokens(row("t", R"("identity":"a")")), "leaves `issuers` out");
  says(R"("credentials":[{"kind":"supabase","url":"https://p.supabase.co"}])", "apikey: is missing");
  says(R"("credentials":[{"kind":"supabase","url":"http://p.supabase.co","apikey":"k"}])", "must be https");
  const std::string introspection =
      R"("credentials":[{"kind":"introspection","url":"https://idp.example/introspect","client_id":"c","client_secret":"s")";
  says(introspection + "}]", "audience: is missing");
  says(introspection + R"(,"audience":"a","any_audience":true}])", "stands against");
  says(introspection + R"(,"audience":"a","cache_seconds":86400}])", "from 1 to 3600");
  EXPECT_EQ(fault_of(introspection + R"(,"audience":"a"}])"), "");
  says(std::string(issuer) + R"(,"cookie":{"name":"session"})", "cookie.origins: is missing");
  says(std::string(issuer) + R"(,"cookie":{"name":"session","origins":["https://app.example/path"]})", "without a path");
}

TEST(CredentialSettings, EverySourceHasAnIdentitySpaceOfItsOwn) {
  const std::string token_rows = R"({"kind":"static_tokens","tokens":[)" + row("t", R"("identity":"a")") + "]";
  const std::string key_rows = R"({"kind":"api_keys","keys":[)" + row("k", R"("id":"a")") + "]";
  const auto chain = [&](const std::string& static_more, const std::string& key_more, const std::string& top = "") {
    return fault_of(std::string(issuer) + R"(,"credentials":[{"kind":"jwt"},)" + token_rows + static_more + "}," + key_rows +
                    key_more + "}]" + top);
  };
  const std::string mend = "or write \"shared_identities\": true";
  EXPECT_NE(chain("", "").find(mend), std::string::npos);
  EXPECT_NE(chain(R"(,"identity_prefix":"static:")", "").find(mend), std::string::npos);
  EXPECT_NE(chain(R"(,"identity_prefix":"idp:")", R"(,"identity_prefix":"key:")").find(mend), std::string::npos);
  EXPECT_NE(chain(R"(,"identity_prefix":"idp:x")", R"(,"identity_prefix":"key:")").find(mend), std::string::npos);
  EXPECT_EQ(chain(R"(,"identity_prefix":"static:")", R"(,"identity_prefix":"key:")"), "");
  EXPECT_EQ(chain("", "", R"(,"shared_identities":true)"), "");
}

TEST(CredentialSettings, WhatUsersWriteAboutThemselvesIsNoField) {
  const auto mapped = [](const std::string& more) {
    return fault_of(R"("issuers":[{"issuer":"https://idp.example","audience":"agents",)" + more + "}]");
  };
  for (const char* refused : {R"("fields":{"role":"user_metadata.role"})", R"("permission_claims":["user_metadata.permissions"])",
                              R"("identity_claim":"user_metadata")", R"("display_name_claim":"user_metadata.name")",
                              R"("fields":{"role":"raw_user_meta_data.role"})"}) {
    EXPECT_NE(mapped(refused).find("written by the users themselves"), std::string::npos) << refused;
    EXPECT_EQ(mapped(std::string(refused) + R"(,"user_writable_claims_allowed":["user_metadata","raw_user_meta_data"])"), "")
        << refused;
  }
  EXPECT_EQ(mapped(R"("fields":{"role":"app_metadata.role","nick":"user_metadata_2"})"), "");
}

}  // namespace
}  // namespace postern
