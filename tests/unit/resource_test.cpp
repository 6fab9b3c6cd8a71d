#include "resource.h"

#include <gtest/gtest.h>

#include "reply.h"
#include "settings.h"

namespace postern {
namespace {

std::string config(const std::string& resource, const std::string& issuer = R"("audience":"https://agents.example/mcp")") {
  return R"({"issuers":[{"issuer":"https://idp.example",)" + issuer + R"(}],"resource":)" + resource +
         R"(,"upstream":{"url":"http://127.0.0.1:2024"}})";
}

std::string fault_of(const std::string& text, const Environment& environment = {}) {
  const auto settings = parse_settings(text, environment);
  return settings ? "" : settings.error().text();
}

TEST(Resource, TheAudienceIsBoundToIt) {
  const std::string mcp = R"({"url":"https://agents.example/mcp"})";
  EXPECT_EQ(fault_of(config(mcp)), "");
  EXPECT_EQ(fault_of(config(mcp, R"("audience":["agents","https://agents.example/mcp"])")), "");
  for (const char* issuer : {R"("audience":"agents")", R"("any_audience":true)", R"("audience":"https://agents.example/mcp/")",
                             R"("audience":"https://agents.example")", R"("audience":"HTTPS://agents.example/mcp")"}) {
    EXPECT_NE(fault_of(config(mcp, issuer)).find("resource.url: is not among the `audience`"), std::string::npos) << issuer;
  }
  const auto unbound =
      parse_settings(config(R"({"url":"https://agents.example/mcp","unbound_audience_allowed":true})", R"("audience":"a")"), {});
  ASSERT_TRUE(unbound.ok());
  EXPECT_EQ(unbound->issuers.front().claims.audiences, std::vector<std::string>{"a"}) << "and no other is accepted by it";
  ASSERT_EQ(unbound->warnings.size(), 1U);
  EXPECT_TRUE(unbound->warnings.front().starts_with("UNBOUND AUDIENCE"));
}

TEST(Resource, EveryIssuerIsLookedAt) {
  const std::string two =
      R"({"issuers":[{"issuer":"https://a.example","audience":"https://agents.example/mcp","identity_prefix":"a:"}],)"
      R"("credentials":[{"kind":"jwt"},{"kind":"introspection","identity_prefix":"b:","url":"https://b.example/introspect",)"
      R"("client_id":"gate","client_secret":"s","issuer":"https://b.example","audience":"AUDIENCE"}],)"
      R"("resource":{"url":"https://agents.example/mcp"},"upstream":{"url":"http://127.0.0.1:2024"}})";
  EXPECT_NE(fault_of(two), "");
  std::string bound = two;
  bound.replace(bound.find("AUDIENCE"), 8, "https://agents.example/mcp");
  const auto settings = parse_settings(bound, {});
  ASSERT_TRUE(settings.ok()) << settings.error().text();
  EXPECT_NE(settings->resource->metadata.find(R"("authorization_servers":["https://a.example","https://b.example"])"),
            std::string::npos);
}

TEST(Resource, AUrlWithoutPathHasTwoSpellings) {
  for (const std::string url : {"https://agents.example", "https://agents.example/"}) {
    for (const std::string audience : {"https://agents.example", "https://agents.example/"}) {
      const auto settings = parse_settings(config(R"({"url":")" + url + R"("})", R"("audience":")" + audience + '"'), {});
      ASSERT_TRUE(settings.ok()) << settings.error().text();
      EXPECT_EQ(settings->issuers.front().claims.audiences.size(), 2U);
      EXPECT_EQ(settings->resource->metadata_url, "https://agents.example/.well-known/oauth-protected-resource");
      EXPECT_NE(settings->resource->metadata.find(R"("resource":")" + url + '"'), std::string::npos) << "as it is written";
    }
  }
}

TEST(Resource, MistakesSayHowToMendThem) {
  const auto says = [](const std::string& resource, std::string_view what) {
    const std::string fault = fault_of(config(resource));
    EXPECT_NE(fault.find(what), std::string::npos) << resource << ": " << fault;
  };
  says("[]", "must be an object");
  says("{}", "resource.url: is missing");
  says(R"({"url":"http://agents.example/mcp"})", "must be https");
  says(R"({"url":"https://agents.example/mcp?x"})", "must be a URL");
  says(R"({"url":"https://agents.example/mcp#x"})", "must be a URL");
  says(R"({"url":"https://agents.example/mcp","scopes_supported":"a b"})", "must be a list of scopes");
  says(R"({"url":"https://agents.example/mcp","authorization_servers":"http://idp.example"})", "must be https");
  says(R"({"url":"https://agents.example/mcp","documentation":"javascript:x"})", "must be a URL");
  says(R"({"url":"https://agents.example/mcp","scopes":"a"})", "is not known");
  // Nobody makes tokens for it.
  const std::string tokens =
      R"({"credentials":[{"kind":"static_tokens","tokens":[{"sha256":"83ae3de2fe84089ebfb5fdb3d61985edc244c248ecb641782de77f70bd503428",)"
      R"("identity":"a"}]}],"resource":{"url":"https://agents.example"},"upstream":{"url":"http://127.0.0.1:2024"}})";
  EXPECT_NE(fault_of(tokens).find("authorization_servers: is missing"), std::string::npos) << fault_of(tokens);
}

// RFC 6750 section 3: what may stand in error_description. One quote too many would be another parameter.
TEST(Resource, EverySentenceFitsIntoAChallenge) {
#define X(code, status, sentence) Error::code,
  for (const Error error : {POSTERN_ERRORS(X)}) {
#undef X
    for (const char c : sentence(error)) EXPECT_TRUE(c >= ' ' && c < 0x7f && c != '"' && c != '\\') << name(error);
    const Respond reply = refusal_reply({error});
    for (const Header& header : reply.headers) {
      if (header.name != "www-authenticate") continue;
      const bool about_credential = reply.status == 401 || reply.status == 400 || error == Error::scope_insufficient;
      EXPECT_TRUE(about_credential) << name(error);
      EXPECT_EQ(header.value == "Bearer", error == Error::credential_missing) << name(error);
    }
    // RFC 9110 section 15.5.2: a 401 has a challenge.
    const bool challenged =
        std::any_of(reply.headers.begin(), reply.headers.end(), [](const Header& one) { return one.name == "www-authenticate"; });
    EXPECT_TRUE(challenged || reply.status != 401) << name(error);
  }
}

}  // namespace
}  // namespace postern
