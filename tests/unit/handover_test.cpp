#include "handover.h"

#include <gtest/gtest.h>

#include "base64url.h"
#include "jwk.h"
#include "jws.h"

namespace postern {
namespace {

constexpr Time now{1'800'000'000'123};

std::string b64(std::string_view hex) {
  std::string out;
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'A' + 10; };
  for (std::size_t i = 0; i < hex.size(); i += 2) out += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  return base64url::encode(out);
}

// RFC 6979 appendix A.2.5
const std::string x = b64("60FED4BA255A9D31C961EB74C6356D68C049B8923B61FA6CE669622E60F29FB6");
const std::string y = b64("7903FE1008B8BC99A41AE9E95628BC64F2F1B20C2D7E9F5177A3C294D4462299");
const std::string private_key = R"({"kty":"EC","crv":"P-256","kid":"gate","x":")" + x + R"(","y":")" + y + R"(","d":")" +
                                b64("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721") + R"("})";

struct Parsed {
  HandoverSettings settings;
  std::string fault;
};

Parsed settings_of(const std::string& identity, const std::string& more = "") {
  Parsed out;
  const auto upstream = json::parse(R"({"identity":)" + identity + more + "}");
  if (!upstream) return {{}, "the test's own JSON"};
  const Environment environment = {{"KEY", private_key}, {"SECRET", std::string(32, 's')}, {"SHORT", "short"}};
  ConfigContext context{environment};
  ConfigReader reader(context, upstream.value(), "upstream");
  parse_handover(reader, "http://127.0.0.1:2024", out.settings);
  if (context.fault) out.fault = context.fault->what;
  return out;
}

User alice() {
  User user;
  user.identity = "idp:alice";
  user.display_name = "Al\xc3\xa9 %";
  user.permissions = {"read", "write all"};
  user.fields_json = R"({"team":"blue"})";
  user.secret_fields = {{"github_token", "gh-secret"}, {"other_token", "other-secret"}};
  return user;
}

OutgoingRequest request() { return {"POST", "http://127.0.0.1:2024/threads/T/runs?x=1", {}, ""}; }

std::string header_of(const OutgoingRequest& request, std::string_view name) {
  for (const Header& header : request.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

TEST(Handover, NothingIsToldUnlessConfigured) {
  OutgoingRequest out = request();
  add_identity(out, alice(), {}, now);
  EXPECT_TRUE(out.headers.empty());
  json::Value body = json::parse(R"({"input":{}})").value();
  add_identity_to_run(body, alice(), {});
  EXPECT_EQ(json::write(body), R"({"input":{}})");
}

TEST(Handover, TheAssertionBindsRequestAudienceAndTime) {
  Parsed parsed = settings_of(R"({"assertion":{"key":"$KEY"},"secret_fields":["github_token"]})");
  ASSERT_EQ(parsed.fault, "");
  OutgoingRequest out = request();
  add_identity(out, alice(), parsed.settings, now);
  const std::string value = header_of(out, "authorization");
  ASSERT_TRUE(value.starts_with("Bearer "));
  auto jws = parse_jws(std::string_view(value).substr(7));
  ASSERT_TRUE(jws.ok());
  EXPECT_EQ(jws->kid, "gate");
  const auto set = parse_jwk_set(R"({"keys":[{"kty":"EC","crv":"P-256","kid":"gate","x":")" + x + R"(","y":")" + y + R"("}]})");
  ASSERT_TRUE(set.ok());
  EXPECT_TRUE(VerifiedJws::verify(jws.value(), set->keys.front()).ok());
  EXPECT_EQ(
      jws->payload,
      R"({"iss":"postern","aud":"http://127.0.0.1:2024","sub":"idp:alice","iat":1800000000,"exp":1800000060,"method":"POST",)"
      R"("path":"/threads/T/runs","user":{"identity":"idp:alice","display_name":"Al)"
      "\xc3\xa9"
      R"( %","is_authenticated":true,"permissions":["read","write all"],"team":"blue","github_token":"gh-secret"}})");
  EXPECT_EQ(value.find("other-secret"), std::string::npos);
  EXPECT_EQ(jws->payload.find("other-secret"), std::string::npos) << "a secret that is not named stays here";
}

TEST(Handover, WhoIsNobodyIsNotAsserted) {
  Parsed parsed = settings_of(R"({"assertion":{"key":"$KEY"},"headers":true})");
  OutgoingRequest out = request();
  add_identity(out, User{}, parsed.settings, now);
  EXPECT_TRUE(out.headers.empty());
}

TEST(Handover, HeadersHoldVisibleAsciiOnly) {
  Parsed parsed = settings_of(R"({"headers":true})");
  ASSERT_EQ(parsed.fault, "");
  OutgoingRequest out = request();
  add_identity(out, alice(), parsed.settings, now);
  EXPECT_EQ(header_of(out, "x-user-id"), "idp:alice");
  EXPECT_EQ(header_of(out, "x-user-name"), "Al%C3%A9%20%25");
  EXPECT_EQ(header_of(out, "x-user-permissions"), "read write%20all");
  EXPECT_EQ(header_of(out, "authorization"), "");
}

TEST(Handover, ARunIsToldOverWhateverStandsThere) {
  Parsed parsed = settings_of(R"({"configurable":true})");
  ASSERT_EQ(parsed.fault, "");
  json::Value body =
      json::parse(R"({"config":{"tags":["t"],"configurable":{"model":"m","langgraph_auth_user_id":"root"}}})").value();
  add_identity_to_run(body, alice(), parsed.settings);
  const json::Value& configurable = *body.find("config")->find("configurable");
  EXPECT_EQ(configurable.find("langgraph_auth_user_id")->as_string(), "idp:alice");
  EXPECT_EQ(configurable.find("model")->as_string(), "m");
  EXPECT_EQ(json::write(*configurable.find("langgraph_auth_permissions")), R"(["read","write all"])");
  EXPECT_EQ(configurable.find("langgraph_auth_user")->find("github_token"), nullptr) << "no secret unless named";
  EXPECT_EQ(json::write(*body.find("config")->find("tags")), R"(["t"])");
}

TEST(Handover, MistakesSayHowToMendThem) {
  const auto says = [](const std::string& identity, std::string_view text, const std::string& more = "") {
    const std::string fault = settings_of(identity, more).fault;
    EXPECT_NE(fault.find(text), std::string::npos) << identity << "\n" << fault;
  };
  says(R"({"assertion":{}})", "upstream.identity.assertion.key: must be \"$NAME\"");
  says(R"({"assertion":{"key":"a private key in the file itself"}})", "must be \"$NAME\"");
  says(R"({"assertion":{"key":"$SECRET"}})", "private JWK");
  says(R"({"assertion":{"key":"$SHORT","alg":"HS256"}})", "32 bytes or more");
  says(R"({"assertion":{"key":"$KEY","alg":"none"}})", "must be ES256 or HS256");
  says(R"({"assertion":{"key":"$KEY","lifetime_seconds":61}})", "from 5 to 60");
  says(R"({"assertion":{"key":"$KEY"}})", "upstream.headers sets too", R"(,"headers":{"Authorization":"Bearer x"})");
  says(R"({"assertion":{"key":"$KEY"}})", "upstream.headers sets too", R"(,"headers":{"AUTHORIZATION":"Bearer x"})");
  says(R"({"headers":true})", "upstream.identity.headers: x-user-id is set by upstream.headers too",
       R"(,"headers":{"X-User-Id":"x"})");
  says(R"({"secret_fields":["github_token"]})", "travel in the assertion or in configurable");
  EXPECT_EQ(settings_of(R"({"assertion":{"key":"$SECRET","alg":"HS256"}})").fault, "");
}

}  // namespace
}  // namespace postern
