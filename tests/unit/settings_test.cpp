#include "settings.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

constexpr const char* good = R"({
  // comments are welcome
  "issuers": [{"issuer": "https://idp.example", "audience": "agents"}],
  "upstream": {"url": "http://127.0.0.1:2024/"}
})";

std::string fault_of(std::string_view text, const Environment& environment = {}) {
  auto settings = parse_settings(text, environment);
  return settings ? "" : settings.error().text();
}

std::string with_issuer(const std::string& issuer) {
  return R"({"issuers":[)" + issuer + R"(],"upstream":{"url":"http://127.0.0.1:2024"}})";
}

TEST(Settings, DefaultsAreFilledIn) {
  auto settings = parse_settings(good, {});
  ASSERT_TRUE(settings.ok()) << settings.error().text();
  EXPECT_EQ(settings->upstream.url, "http://127.0.0.1:2024");
  EXPECT_TRUE(settings->warnings.empty());
  const IssuerSettings& issuer = settings->issuers.front();
  EXPECT_TRUE(issuer.fetches_keys);
  EXPECT_EQ(issuer.keys.jwks_uri, "") << "found by discovery";
  for (const Jwa* alg : issuer.algorithms)
    EXPECT_NE(alg->scheme, Scheme::hmac) << "never symmetric unless a secret is configured";
}

TEST(Settings, TheSupabasePresetTellsALoginFromTheAnonKey) {
  auto settings = parse_settings(with_issuer(R"({"preset":"supabase","url":"https://p.supabase.co/"})"), {});
  ASSERT_TRUE(settings.ok()) << settings.error().text();
  const IssuerSettings& issuer = settings->issuers.front();
  EXPECT_EQ(issuer.claims.issuer, "https://p.supabase.co/auth/v1");
  EXPECT_EQ(issuer.keys.jwks_uri, "https://p.supabase.co/auth/v1/.well-known/jwks.json");
  EXPECT_EQ(issuer.claims.audiences, std::vector<std::string>{"authenticated"});
  EXPECT_EQ(issuer.claims.required.front(), (std::pair<std::string, std::string>{"role", "authenticated"}));
}

TEST(Settings, PresetsFillInWhatTheProviderFixes) {
  struct Row {
    const char* issuer;
    const char* expected_issuer;
    const char* expected_jwks;
    const char* required;  // one of the required claims, "" for none
  };
  const Row rows[] = {
      {R"({"preset":"auth0","url":"https://t.auth0.com","audience":"api"})", "https://t.auth0.com/",
       "https://t.auth0.com/.well-known/jwks.json", ""},
      {R"({"preset":"google","url":"https://accounts.google.com","audience":"client"})", "https://accounts.google.com",
       "https://www.googleapis.com/oauth2/v3/certs", ""},
      {R"({"preset":"cognito","url":"https://cognito-idp.eu-west-1.amazonaws.com/p","audience":"client"})",
       "https://cognito-idp.eu-west-1.amazonaws.com/p", "https://cognito-idp.eu-west-1.amazonaws.com/p/.well-known/jwks.json",
       "client_id"},
      {R"({"preset":"entra","url":"https://login.microsoftonline.com/t/v2.0","audience":"app"})",
       "https://login.microsoftonline.com/t/v2.0", "https://login.microsoftonline.com/t/discovery/v2.0/keys", "ver"},
      {R"({"preset":"okta","url":"https://o.okta.com/oauth2/default","audience":"api://default"})",
       "https://o.okta.com/oauth2/default", "https://o.okta.com/oauth2/default/v1/keys", ""},
      {R"({"preset":"keycloak","url":"https://k/realms/r","audience":"agents"})", "https://k/realms/r",
       "https://k/realms/r/protocol/openid-connect/certs", "typ"},
      {R"({"preset":"clerk","url":"https://a.clerk.accounts.dev","audience":"https://app"})", "https://a.clerk.accounts.dev",
       "https://a.clerk.accounts.dev/.well-known/jwks.json", "azp"},
  };
  for (const Row& row : rows) {
    auto settings = parse_settings(with_issuer(row.issuer), {});
    ASSERT_TRUE(settings.ok()) << settings.error().text();
    const IssuerSettings& issuer = settings->issuers.front();
    EXPECT_EQ(issuer.claims.issuer, row.expected_issuer);
    EXPECT_EQ(issuer.keys.jwks_uri, row.expected_jwks);
    EXPECT_FALSE(issuer.algorithms.empty());
    if (*row.required != '\0') {
      EXPECT_EQ(issuer.claims.required.empty() ? "" : issuer.claims.required.back().first, row.required) << row.issuer;
    }
    EXPECT_TRUE(settings->warnings.empty());
  }
  EXPECT_NE(fault_of(with_issuer(R"({"preset":"keycloak","url":"https://k/realms/r","audience":"account"})")).find("every token"),
            std::string::npos);
  EXPECT_NE(fault_of(with_issuer(R"({"preset":"auth0","url":"https://t.auth0.com"})")).find("audience: is missing"),
            std::string::npos);
  EXPECT_NE(fault_of(with_issuer(R"({"preset":"entra","url":"https://login.microsoftonline.com/common/v2.0","audience":"a"})"))
                .find("one tenant"),
            std::string::npos);
  EXPECT_NE(fault_of(with_issuer(R"({"preset":"cognito","url":"https://c/p","audience":["a","b"]})")).find("client_id"),
            std::string::npos);
}

TEST(Settings, SeveralIssuersShareNoIdentityByAccident) {
  const auto two = [](const char* first, const char* second, const char* more = "") {
    return R"({"issuers":[{"issuer":"https://i","audience":"a")" + std::string(first) +
           R"(},{"issuer":"https://j","audience":"a")" + second + R"(}],"upstream":{"url":"http://127.0.0.1"})" + more + "}";
  };
  const char* mend = "each needs a prefix";
  EXPECT_NE(fault_of(two("", "")).find(mend), std::string::npos);
  EXPECT_NE(fault_of(two(R"(,"identity_prefix":"i:")", "")).find(mend), std::string::npos);
  EXPECT_NE(fault_of(two(R"(,"identity_prefix":"i")", R"(,"identity_prefix":"i")")).find(mend), std::string::npos);
  EXPECT_NE(fault_of(two(R"(,"identity_prefix":"i")", R"(,"identity_prefix":"ij")")).find(mend), std::string::npos);
  EXPECT_EQ(fault_of(two(R"(,"identity_prefix":"i:")", R"(,"identity_prefix":"j:")")), "");
  EXPECT_EQ(fault_of(two("", "", R"(,"shared_identities":true)")), "");
}

TEST(Settings, SecretsComeFromTheEnvironment) {
  const std::string text =
      with_issuer(R"({"issuer":"i","audience":"a","symmetric_keys":[{"alg":"HS256","secret":"$JWT_SECRET"}]})");
  EXPECT_EQ(fault_of(text, {{"JWT_SECRET", "0123456789abcdef0123456789abcdef"}}), "");
  EXPECT_NE(fault_of(text).find("JWT_SECRET\" is not set"), std::string::npos);
  EXPECT_NE(fault_of(text, {{"JWT_SECRET", ""}}).find("is empty"), std::string::npos);
  const std::string short_fault = fault_of(text, {{"JWT_SECRET", "hush-hush"}});
  EXPECT_NE(short_fault, "");
  EXPECT_EQ(short_fault.find("hush-hush"), std::string::npos) << "an error must not print the secret";
}

TEST(Settings, FaultsSayWhereAndHowToMend) {
  struct Row {
    std::string text;
    const char* expected;  // a part of the message
  };
  const Row rows[] = {
      {"{", "1:"},
      {"[]", "must be a JSON object"},
      {"{\n \"issuer\": 1 }", "2:2: issuer: \"issuer\" is not known here; did you mean \"issuers\"?"},
      {R"({"upstream":{"url":"http://127.0.0.1"}})", "issuers: must be a non-empty list"},
      {with_issuer("7"), "issuers[0]: must be an object"},
      {with_issuer(R"({"audience":"a"})"), "issuers[0].issuer: is missing"},
      {with_issuer(R"({"issuer":"https://i"})"), "issuers[0].audience: is missing"},
      {with_issuer(R"({"issuer":"https://i","audience":""})"), "issuers[0].audience"},
      {with_issuer(R"({"issuer":"https://i","audience":[]})"), "issuers[0].audience"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","any_audience":true})"), "any_audience: stands against"},
      {with_issuer(R"({"issuer":"http://idp.example","audience":"a"})"), "must be https"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","jwks_uri":"http://idp.example/k"})"), "must be https"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","jwks_uri":"https://u:p@i/k"})"), "must be a URL"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","algorithms":["HS256"]})"), "is symmetric"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","algorithms":["none"]})"), "is not a supported"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","leeway_seconds":301})"), "0 to 300"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","leeway_secnods":1})"), "did you mean \"leeway_seconds\"?"},
      {with_issuer(R"({"issuer":"https://i","audience":"a","keys":{"keys":[]}})"), "holds no key"},
      {with_issuer(R"({"issuer":"https://i","audience":"a"},{"issuer":"https://i","audience":"a"})"), "configured twice"},
      {with_issuer(R"({"issuer":"https://i","audience":"a"},{"issuer":"https://j","audience":"a"})"), "each needs a prefix"},
      {with_issuer(R"({"preset":"supabase"})"),
       "issuers[0].url: is missing; the preset needs one such as https://PROJECT.supabase.co"},
      {with_issuer(R"({"preset":"supabse","url":"https://p"})"), "unknown preset"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}]})", "upstream: must be"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"ftp://x"}})", "upstream.url: must be a URL"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1","headers":{"a b":"x"}}})",
       "is no header name"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1","headers":{"a":"x\ny"}}})",
       "control character"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1","headers":{"x-a":"1","X-A":"2"}}})",
       "upstream.headers.X-A: is named twice"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1"},"policy":{"a\nb":"deny"}})",
       "\"a?b\" is no rule key"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1"},"policy":{}})",
       "denies everything"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1"},"policy":{"runs":"allow"}})",
       "is no rule key"},
      {R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1"},"policy":{"*":{"stamp":{"a":1}}}})",
       "needs a filter"},
  };
  for (const Row& row : rows) {
    const std::string fault = fault_of(row.text);
    EXPECT_NE(fault.find(row.expected), std::string::npos) << "for " << row.text << "\n  got: " << fault;
  }
}

TEST(Settings, AFilterThatARouteCannotKeepIsAFault) {
  const auto with = [](std::string_view route) {
    return R"({"issuers":[{"issuer":"https://idp.example","audience":"agents"}],"upstream":{"url":"http://127.0.0.1:2024",)"
           R"("api":"generic","routes":[{)" +
           std::string(route) + R"(}]},"policy":{"notes":{"filter":{"owner":"$user.identity"}}}})";
  };
  const std::string read = R"("method":"GET","path":"/notes/{id}","rule":"notes:read")";
  EXPECT_NE(fault_of(with(read)).find("give the route `judge` or"), std::string::npos) << fault_of(with(read));
  EXPECT_EQ(fault_of(with(read + R"(,"judge":"object")")), "");
  EXPECT_EQ(fault_of(with(read + R"(,"path_equals":{"id":"$user.identity"})")), "");
  for (const std::string_view route : {R"("method":"POST","path":"/notes","rule":"notes:create")",
                                       R"("method":"PUT","path":"/notes/{id}","rule":"notes:update","judge":"object")"}) {
    EXPECT_EQ(fault_of(with(route)), "") << route;
    const std::string unread = std::string(route) + R"(,"body":"any")";
    EXPECT_NE(fault_of(with(unread)).find("`\"body\": \"json\"` or"), std::string::npos) << fault_of(with(unread));
  }
}

TEST(Settings, OpenRulesBesideFilteredOnesAreSaidAloud) {
  const std::string head =
      R"({"issuers":[{"issuer":"https://i","audience":"a"}],"upstream":{"url":"http://127.0.0.1"},"policy":)";
  auto open = parse_settings(head + R"({"*":{"filter":{"owner":"$user.identity"}},"threads:create":"allow"}})", {});
  ASSERT_TRUE(open.ok()) << open.error().text();
  ASSERT_EQ(open->warnings.size(), 1U);
  EXPECT_NE(open->warnings[0].find("threads:create"), std::string::npos);
  for (const char* policy : {R"({"*":{"filter":{"owner":"$user.identity"}},"threads:delete":"deny"}})", R"({"*":"allow"}})"}) {
    auto settings = parse_settings(head + policy, {});
    ASSERT_TRUE(settings.ok());
    EXPECT_TRUE(settings->warnings.empty()) << policy;
  }
}

TEST(Settings, AnyAudienceIsSaidAloud) {
  auto settings = parse_settings(with_issuer(R"({"issuer":"https://i","any_audience":true})"), {});
  ASSERT_TRUE(settings.ok()) << settings.error().text();
  ASSERT_EQ(settings->warnings.size(), 1U);
  EXPECT_NE(settings->warnings[0].find("ANY AUDIENCE"), std::string::npos);
}

}  // namespace
}  // namespace postern
