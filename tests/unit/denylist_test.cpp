#include "denylist.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

Result<Denylist, json::ParseFault> list_of(std::string_view text) {
  const json::Value value = std::move(json::parse(text)).value();
  const Environment none;
  ConfigContext context{none};
  ConfigReader reader(context, value, "denylist");
  Denylist out = Denylist::parse(reader, ConfigReader::itself);
  if (context.fault) return *context.fault;
  return out;
}

CredentialNames token(std::string jti, std::string sub = "alice", std::optional<Time> issued_at = Time{1'000'000}) {
  return {"https://idp.example", std::move(sub), std::move(jti), "", issued_at};
}

TEST(Denylist, NamesOneTokenOfOneIssuer) {
  auto list = list_of(R"([{"iss":"https://idp.example","jti":"t1"}])");
  ASSERT_TRUE(list.ok());
  EXPECT_TRUE(list->denies(token("t1")));
  EXPECT_FALSE(list->denies(token("t2")));
  EXPECT_FALSE(list->denies(token("")));
  CredentialNames other = token("t1");
  other.issuer = "https://other.example";
  EXPECT_FALSE(list->denies(other));
}

TEST(Denylist, NamesWhatASubjectWasGivenBeforeATime) {
  auto list = list_of(R"([{"iss":"https://idp.example","sub":"alice","issued_before":1000},
                          {"iss":"https://idp.example","sub":"alice","issued_before":900}])");
  ASSERT_TRUE(list.ok());
  EXPECT_TRUE(list->denies(token("x", "alice", Time{999'999})));
  EXPECT_FALSE(list->denies(token("x", "alice", Time{1'000'000}))) << "issued at the time itself: after the ban";
  EXPECT_TRUE(list->denies(token("x", "alice", std::nullopt))) << "nobody knows when";
  EXPECT_FALSE(list->denies(token("x", "bob", Time{0})));
}

TEST(Denylist, NamesAnApiKeyByItsId) {
  auto list = list_of(R"([{"api_key":"ci"}])");
  ASSERT_TRUE(list.ok());
  EXPECT_TRUE(list->denies({"", "ci", "", "ci", std::nullopt}));
  EXPECT_FALSE(list->denies({"", "ci", "", "ci2", std::nullopt}));
  EXPECT_FALSE(list->denies({"", "ci", "", "", std::nullopt})) << "a static token of the same name is no API key";
}

TEST(Denylist, WhatIsNotUnderstoodIsAFault) {
  for (const char* wrong : {R"({})", R"([{}])", R"([1])", R"(["t1"])", R"([{"jti":"t1"}])", R"([{"iss":"i","jti":""}])",
                            R"([{"iss":"i","jti":1}])", R"([{"iss":"i","sub":"s"}])",
                            R"([{"iss":"i","sub":"s","issued_before":"1"}])", R"([{"iss":"i","sub":"s","issued_before":-1}])",
                            R"([{"iss":"i","sub":"s","issued_before":1800000000000}])", R"([{"iss":"i","jti":"t","sub":"s"}])",
                            R"([{"api_key":"k","note":"x"}])", R"([{"token":"eyJ"}])", R"([{"iss":"i\u0000","jti":"t"}])"}) {
    EXPECT_FALSE(list_of(wrong).ok()) << wrong;
  }
  EXPECT_TRUE(list_of("[]").ok());
}

}  // namespace
}  // namespace postern
