#include "online_check.h"

#include <gtest/gtest.h>

#include "base64url.h"

namespace postern {
namespace {

constexpr Time start{1'800'000'000'000};

OnlineCheckSettings supabase() {
  OnlineCheckSettings settings;
  settings.kind = OnlineCheckSettings::Kind::supabase;
  settings.url = "https://p.supabase.co/auth/v1/user";
  settings.issuer = "https://p.supabase.co/auth/v1";
  settings.apikey = "anon";
  settings.identity_claim = "id";
  settings.identity_prefix = "supabase:";
  settings.mapping.fields = {{"email", "email"}};
  return settings;
}

OnlineCheckSettings introspection() {
  OnlineCheckSettings settings;
  settings.kind = OnlineCheckSettings::Kind::introspection;
  settings.url = "https://idp.example/introspect";
  settings.client_id = "gate one";
  settings.client_secret = "s&cret";
  settings.audiences = {"agents"};
  return settings;
}

std::string jwt(const std::string& payload, const std::string& signature = "c2ln") {
  return base64url::encode(R"({"alg":"HS256","typ":"JWT"})") + "." + base64url::encode(payload) + "." + signature;
}

std::string header_of(const OutgoingRequest& request, std::string_view name) {
  for (const Header& header : request.headers) {
    if (header.name == name) return header.value;
  }
  return "";
}

IncomingResponse reply(int status, std::string body = "{}") { return {status, {}, std::move(body)}; }

Fetch fetch_of(OnlineCheck::Answer answer) {
  auto* fetch = std::get_if<Fetch>(&answer);
  EXPECT_NE(fetch, nullptr);
  return fetch == nullptr ? Fetch{} : std::move(*fetch);
}

// "" for a user, else what came instead.
std::string outcome(OnlineCheck::Answer answer) {
  if (std::holds_alternative<std::shared_ptr<const User>>(answer)) return "";
  if (const auto* error = std::get_if<Error>(&answer)) return std::string(name(*error));
  if (std::holds_alternative<OnlineCheck::Unavailable>(answer)) return "unavailable";
  return std::holds_alternative<Fetch>(answer) ? "fetch" : "wait";
}

TEST(OnlineCheck, SupabaseIsAskedAsTheTutorialAsksIt) {
  OnlineCheck check(supabase(), 100);
  const std::string token = jwt(R"({"sub":"u1"})");
  const Fetch fetch = fetch_of(check.find(token, start, start));
  EXPECT_EQ(fetch.purpose, FetchPurpose::introspection);
  EXPECT_EQ(fetch.request.method, "GET");
  EXPECT_EQ(fetch.request.url, "https://p.supabase.co/auth/v1/user");
  EXPECT_EQ(header_of(fetch.request, "authorization"), "Bearer " + token);
  EXPECT_EQ(header_of(fetch.request, "apikey"), "anon");
  EXPECT_TRUE(check.give(fetch.fetch_id, reply(200, R"({"id":"u1","email":"a@b.c","role":"authenticated"})"), start));
  EXPECT_FALSE(check.give(fetch.fetch_id, reply(200), start)) << "answered already";
  OnlineCheck::Answer answer = check.find(token, start, start);
  const User& user = *std::get<std::shared_ptr<const User>>(answer);
  EXPECT_EQ(user.identity, "supabase:u1");
  EXPECT_EQ(user.fields_json, R"({"email":"a@b.c"})");
  EXPECT_EQ(user.credential.issuer, "https://p.supabase.co/auth/v1");
  EXPECT_EQ(user.credential.subject, "u1");
}

TEST(OnlineCheck, AnAnswerServesForItsTimeAndNotPastTheTokensEnd) {
  OnlineCheck check(supabase(), 0);
  const auto ask = [&](const std::string& token) {
    const Fetch fetch = fetch_of(check.find(token, start, start));
    check.give(fetch.fetch_id, reply(200, R"({"id":"u1"})"), start);
  };
  const std::string opaque_end = jwt(R"({"sub":"u1"})");
  ask(opaque_end);
  EXPECT_EQ(outcome(check.find(opaque_end, start, start.plus_ms(59'999))), "");
  EXPECT_EQ(outcome(check.find(opaque_end, start, start.plus_seconds(60))), "fetch");
  const std::string soon = jwt(R"({"sub":"u1","exp":1800000030})");
  ask(soon);
  EXPECT_EQ(outcome(check.find(soon, start, start.plus_ms(29'999))), "");
  EXPECT_EQ(outcome(check.find(soon, start, start.plus_seconds(30))), "token_expired") << "past its end nobody is asked";
}

TEST(OnlineCheck, OneBitOfTheTokenAwayIsAnotherToken) {
  OnlineCheck check(supabase(), 0);
  const Fetch fetch = fetch_of(check.find(jwt(R"({"sub":"u1"})", "c2ln"), start, start));
  check.give(fetch.fetch_id, reply(200, R"({"id":"u1"})"), start);
  EXPECT_EQ(outcome(check.find(jwt(R"({"sub":"u1"})", "c2lm"), start, start)), "fetch");
}

TEST(OnlineCheck, ARefusalIsRememberedBriefly) {
  for (const int status : {401, 403, 404}) {
    OnlineCheck check(supabase(), 0);
    const std::string token = jwt(R"({"sub":"u1"})");
    check.give(fetch_of(check.find(token, start, start)).fetch_id, reply(status), start);
    EXPECT_EQ(outcome(check.find(token, start, start.plus_ms(9'999))), "credential_refused");
    EXPECT_EQ(outcome(check.find(token, start.plus_seconds(10), start.plus_seconds(10))), "fetch");
  }
}

TEST(OnlineCheck, AnAuthorityThatFailsIsUnavailableAndNeverANo) {
  const std::string token = jwt(R"({"sub":"u1"})");
  IncomingResponse large = reply(200);
  large.body_over_limit = true;
  for (const IncomingResponse& failure :
       {reply(0), reply(500), reply(429), reply(302), reply(200, "<html>"), reply(200, "[]"), large}) {
    OnlineCheck check(supabase(), 0);
    check.give(fetch_of(check.find(token, start, start)).fetch_id, failure, start);
    EXPECT_EQ(outcome(check.find(token, start, start.plus_ms(999))), "unavailable") << failure.status;
    EXPECT_EQ(outcome(check.find(token, start.plus_seconds(1), start.plus_seconds(1))), "fetch") << failure.status;
  }
  // For introspection 401 is about the gate's own credential (RFC 7662 2.3).
  OnlineCheck check(introspection(), 0);
  check.give(fetch_of(check.find("opaque", start, start)).fetch_id, reply(401), start);
  EXPECT_EQ(outcome(check.find("opaque", start, start)), "unavailable");
}

TEST(OnlineCheck, WhoeverComesMeanwhileWaits) {
  OnlineCheck check(supabase(), 0);
  const std::string token = jwt(R"({"sub":"u1"})");
  const Fetch first = fetch_of(check.find(token, start, start));
  OnlineCheck::Answer answer = check.find(token, start, start);
  EXPECT_EQ(std::get<Wait>(answer).fetch_id, first.fetch_id);
  EXPECT_EQ(std::get<Wait>(answer).until, start.plus_seconds(2));
  EXPECT_EQ(outcome(check.find(jwt(R"({"sub":"u2"})"), start, start)), "fetch") << "another token does not wait";
  const Fetch own = fetch_of(check.find(token, start, start.plus_seconds(2)));
  EXPECT_NE(own.fetch_id, first.fetch_id) << "patience has an end";
  EXPECT_TRUE(check.give(first.fetch_id, reply(200, R"({"id":"u1"})"), start.plus_seconds(2))) << "the late answer counts";
  EXPECT_EQ(outcome(check.find(token, start, start.plus_seconds(2))), "");
}

TEST(OnlineCheck, TokensAskedAboutAtOnceAreBounded) {
  OnlineCheck check(introspection(), 0);
  for (std::size_t i = 0; i < online_flights_max; ++i)
    EXPECT_EQ(outcome(check.find("t" + std::to_string(i), start, start)), "fetch");
  EXPECT_EQ(outcome(check.find("one more", start, start)), "unavailable");
  EXPECT_EQ(outcome(check.find("one more", start, start.plus_seconds(6))), "fetch") << "carriers that are lost make room";
}

TEST(OnlineCheck, InventedTokensPushOutRefusalsOnly) {
  OnlineCheck check(introspection(), 0);
  check.give(fetch_of(check.find("good", start, start)).fetch_id, reply(200, R"({"active":true,"sub":"u","aud":"agents"})"),
             start);
  for (std::size_t i = 0; i < 3 * online_refusals_max; ++i) {
    check.give(fetch_of(check.find("bad" + std::to_string(i), start, start)).fetch_id, reply(200, R"({"active":false})"), start);
  }
  EXPECT_EQ(outcome(check.find("good", start, start)), "");
  EXPECT_EQ(outcome(check.find("bad0", start, start)), "fetch") << "the oldest refusals made room";
  EXPECT_EQ(outcome(check.find("bad" + std::to_string(3 * online_refusals_max - 1), start, start)), "credential_refused");
}

TEST(OnlineCheck, RememberedUsersAreBoundedInBytes) {
  OnlineCheck check(introspection(), 0);
  const std::string filler(50'000, 'x');
  for (int i = 0; i < 400; ++i) {
    check.give(fetch_of(check.find("t" + std::to_string(i), start, start)).fetch_id,
               reply(200, R"({"active":true,"sub":"u","aud":"agents","more":")" + filler + "\"}"), start);
  }
  EXPECT_EQ(outcome(check.find("t0", start, start)), "fetch");
  EXPECT_EQ(outcome(check.find("t399", start, start)), "");
}

TEST(OnlineCheck, IntrospectionIsAskedByTheRfc) {
  OnlineCheck check(introspection(), 0);
  const Fetch fetch = fetch_of(check.find("a+b/c=", start, start));
  EXPECT_EQ(fetch.request.method, "POST");
  EXPECT_EQ(header_of(fetch.request, "content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(fetch.request.body, "token=a%2Bb%2Fc%3D&token_type_hint=access_token");
  // base64("gate%20one:s%26cret"), by coreutils
  EXPECT_EQ(header_of(fetch.request, "authorization"), "Basic Z2F0ZSUyMG9uZTpzJTI2Y3JldA==");
}

TEST(OnlineCheck, IntrospectionsAnswerMustBeAYesForUs) {
  const auto after = [](const std::string& body) {
    OnlineCheck check(introspection(), 0);
    check.give(fetch_of(check.find("opaque", start, start)).fetch_id, reply(200, body), start);
    return outcome(check.find("opaque", start, start));
  };
  EXPECT_EQ(after(R"({"active":true,"sub":"u","aud":"agents"})"), "");
  EXPECT_EQ(after(R"({"active":true,"sub":"u","aud":["x","agents"],"exp":1800000001})"), "");
  EXPECT_EQ(after(R"({"active":false})"), "credential_refused");
  EXPECT_EQ(after(R"({"active":"true","sub":"u","aud":"agents"})"), "credential_refused");
  EXPECT_EQ(after(R"({"active":1,"sub":"u","aud":"agents"})"), "credential_refused");
  EXPECT_EQ(after(R"({"sub":"u","aud":"agents"})"), "credential_refused");
  EXPECT_EQ(after(R"({"active":true,"sub":"u"})"), "audience_mismatch");
  EXPECT_EQ(after(R"({"active":true,"sub":"u","aud":"agent"})"), "audience_mismatch");
  EXPECT_EQ(after(R"({"active":true,"aud":"agents"})"), "identity_malformed");
  EXPECT_EQ(after(R"({"active":true,"sub":"","aud":"agents"})"), "identity_malformed");
  EXPECT_EQ(after(R"({"active":true,"sub":7,"aud":"agents"})"), "identity_malformed");
  EXPECT_EQ(after(R"({"active":true,"sub":"u","aud":"agents","exp":1800000000})"), "token_expired");
  EXPECT_EQ(after(R"({"active":true,"sub":"u","aud":"agents","exp":"never"})"), "claim_malformed");
  EXPECT_EQ(after(R"({"active":true,"sub":"u","aud":"agents","nbf":1800000001})"), "token_not_yet_valid");
}

// RFC 7662 leaves it to the resource to see that what is active is an access token, and one that whoever holds it may use.
TEST(OnlineCheck, OnlyBearerTokensCount) {
  const auto says = [](const std::string& members) {
    OnlineCheck check(introspection(), 0);
    const Fetch fetch = fetch_of(check.find("opaque", start, start));
    check.give(fetch.fetch_id, reply(200, R"({"active":true,"sub":"alice","aud":"agents")" + members + "}"), start);
    return outcome(check.find("opaque", start, start));
  };
  for (const char* members : {"", R"(,"token_type":"Bearer")", R"(,"token_type":"access_token")",
                              R"(,"token_type":"bearer","token_use":"access_token")"}) {
    EXPECT_EQ(says(members), "") << members;
  }
  for (const char* members :
       {R"(,"token_type":"DPoP")", R"(,"token_type":"refresh_token")", R"(,"token_type":"Bearer","token_use":"refresh_token")",
        R"(,"token_type":7)", R"(,"token_type":"")", R"(,"cnf":{"jkt":"x"})",
        R"(,"token_type":"Bearer","cnf":{"x5t#S256":"x"})"}) {
    EXPECT_EQ(says(members), "token_kind_not_allowed") << members;
  }
}

// GoTrue answers with its user, who has no `jti`: the token itself says what a denylist calls it.
TEST(OnlineCheck, ASupabaseTokenHasItsNamesForADenylist) {
  OnlineCheck check(supabase(), 0);
  const std::string token = jwt(R"({"sub":"u1","jti":"j1","iat":1799999000})");
  check.give(fetch_of(check.find(token, start, start)).fetch_id, reply(200, R"({"id":"u1","iat":1,"jti":"not this"})"), start);
  OnlineCheck::Answer answer = check.find(token, start, start);
  const CredentialNames& names = std::get<std::shared_ptr<const User>>(answer)->credential;
  EXPECT_EQ(names.issuer, "https://p.supabase.co/auth/v1");
  EXPECT_EQ(names.token_id, "j1");
  EXPECT_EQ(names.issued_at, Time{1'799'999'000'000});
}

}  // namespace
}  // namespace postern
