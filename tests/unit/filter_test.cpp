#include "filter.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

json::Value value(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed ? parsed.value() : json::Value{};
}

User alice() {
  User user;
  user.identity = "alice";
  user.display_name = "Alice";
  user.claims_json = R"({"org":{"id":"o1"},"teams":["red","blue"],"none":[],"empty":"","level":3})";
  return user;
}

// The filter for alice, or nothing when it does not parse or resolve.
std::optional<Filter> resolved(std::string_view text) {
  auto parsed = Filter::parse(value(text));
  if (!parsed) return std::nullopt;
  Filter filter;
  if (!parsed->resolve(alice(), filter)) return std::nullopt;
  return filter;
}

TEST(Filter, MatchesAsLangGraphDoes) {
  struct Row {
    const char* filter;
    const char* metadata;
    bool matches;
  };
  const Row rows[] = {
      {R"({"owner":"$user.identity"})", R"({"owner":"alice"})", true},
      {R"({"owner":"$user.identity"})", R"({"owner":"alice","more":1})", true},
      {R"({"owner":"$user.identity"})", R"({"owner":"bob"})", false},
      {R"({"owner":"$user.identity"})", R"({"owner":"Alice"})", false},
      {R"({"owner":"$user.identity"})", R"({"owner":["alice"]})", false},
      {R"({"owner":"$user.identity"})", R"({"owner":null})", false},
      {R"({"owner":"$user.identity"})", R"({"owner":{"$eq":"alice"}})", false},
      {R"({"owner":"$user.identity"})", R"({})", false},
      {R"({"owner":"$user.identity"})", R"("alice")", false},
      {R"({"owner":"$user.identity"})", R"(null)", false},
      {R"({"owner":{"$eq":"$user.identity"}})", R"({"owner":"alice"})", true},
      {R"({"org":"$user.claims.org.id"})", R"({"org":"o1"})", true},
      {R"({"level":3})", R"({"level":3.0})", true},
      {R"({"level":3})", R"({"level":"3"})", false},
      {R"({"public":true})", R"({"public":true})", true},
      {R"({"public":true})", R"({"public":1})", false},
      {R"({"members":{"$contains":"$user.identity"}})", R"({"members":["bob","alice"]})", true},
      {R"({"members":{"$contains":"$user.identity"}})", R"({"members":"alice"})", false},
      {R"({"members":{"$contains":"$user.identity"}})", R"({"members":["al"]})", false},
      {R"({"tags":{"$contains":["a","b"]}})", R"({"tags":["b","c","a"]})", true},
      {R"({"tags":{"$contains":["a","b"]}})", R"({"tags":["a"]})", false},
      {R"({"teams":{"$contains":"$user.claims.teams"}})", R"({"teams":["blue","red"]})", true},
      {R"({"teams":{"$contains":"$user.claims.teams"}})", R"({"teams":["blue"]})", false},
      {R"({"a":1,"b":2})", R"({"a":1,"b":2})", true},
      {R"({"a":1,"b":2})", R"({"a":1})", false},
      {R"({"$or":[{"owner":"$user.identity"},{"shared":true}]})", R"({"owner":"bob","shared":true})", true},
      {R"({"$or":[{"owner":"$user.identity"},{"shared":true}]})", R"({"owner":"bob","shared":false})", false},
      {R"({"$and":[{"owner":"$user.identity"},{"shared":true}]})", R"({"owner":"alice"})", false},
  };
  for (const Row& row : rows) {
    const auto filter = resolved(row.filter);
    ASSERT_TRUE(filter.has_value()) << row.filter;
    EXPECT_EQ(filter->matches(value(row.metadata)), row.matches) << row.filter << " on " << row.metadata;
  }
}

// Each of these matches everything in LangGraph's JS server, or is a 500 in Python's.
TEST(Filter, RefusesWhatCouldMeanEverything) {
  for (const char* text : {R"({})",
                           R"({"owner":{}})",
                           R"({"owner":{"$ne":"x"}})",
                           R"({"owner":{"$eq":""}})",
                           R"({"owner":""})",
                           R"({"owner":["me"]})",
                           R"({"owner":null})",
                           R"({"owner":{"$eq":"a","$contains":"b"}})",
                           R"({"$or":[]})",
                           R"({"$and":[]})",
                           R"({"$or":{}})",
                           R"({"$or":[{}]})",
                           R"({"$nor":[{"a":1}]})",
                           R"({"tags":{"$contains":[]}})",
                           R"({"tags":{"$contains":""}})",
                           R"({"owner":"$user"})",
                           R"({"owner":"$user.id"})",
                           R"({"owner":"$user.claims."})",
                           R"({"owner":"$user.claims.a..b"})",
                           R"({"":"x"})",
                           R"([])",
                           R"("owner")",
                           R"({"$and":[{"$and":[{"$and":[{"$and":[{"a":1}]}]}]}]})"}) {
    EXPECT_FALSE(Filter::parse(value(text)).ok()) << text;
  }
}

TEST(Filter, DeniesUsersWhoLackTheClaim) {
  for (const char* text : {R"({"x":"$user.claims.missing"})", R"({"x":"$user.claims.empty"})", R"({"x":"$user.claims.org"})",
                           R"({"x":"$user.claims.teams"})", R"({"x":{"$contains":"$user.claims.none"}})",
                           R"({"$or":[{"x":"$user.claims.missing"},{"shared":true}]})"}) {
    auto parsed = Filter::parse(value(text));
    ASSERT_TRUE(parsed.ok()) << text;
    Filter filter;
    EXPECT_FALSE(parsed->resolve(alice(), filter)) << text;
  }
}

TEST(Filter, KnowsWhatASearchCanBeAskedFor) {
  EXPECT_EQ(resolved(R"({"owner":"$user.identity","level":3})")->equalities().size(), 2U);
  EXPECT_EQ(resolved(R"({"$and":[{"a":1},{"b":2}]})")->equalities().size(), 2U);
  EXPECT_TRUE(resolved(R"({"$or":[{"a":1},{"b":2}]})")->equalities().empty());
  EXPECT_TRUE(resolved(R"({"a":1,"t":{"$contains":"x"}})")->equalities().empty());
  EXPECT_TRUE(resolved(R"({"$and":[{"a":1},{"a":2}]})")->equalities().empty()) << "nothing is both 1 and 2";
}

TEST(Filter, IsWrittenInLangGraphsWords) {
  EXPECT_EQ(json::write(resolved(R"({"owner":"$user.identity"})")->to_json()), R"({"owner":"alice"})");
  EXPECT_EQ(json::write(resolved(R"({"t":{"$contains":"x"}})")->to_json()), R"({"t":{"$contains":"x"}})");
}

}  // namespace
}  // namespace postern
