#include "postern/environment.h"

#include <gtest/gtest.h>

#include "postern/gate.h"

namespace postern {
namespace {

// "" when a gate comes of it, else what is missing or wrong.
std::string outcome(const Environment& environment) {
  const auto text = config_from_environment(environment);
  if (!text) return text.error().path;
  const auto gate = Gate::create(text.value(), environment);
  return gate ? "" : gate.error().text();
}

TEST(Environment, NamesWhatIsMissing) {
  EXPECT_EQ(outcome({}), "POSTERN_UPSTREAM");
  EXPECT_EQ(outcome({{"POSTERN_UPSTREAM", ""}}), "POSTERN_UPSTREAM");
  EXPECT_EQ(outcome({{"POSTERN_UPSTREAM", "http://127.0.0.1:2024"}}), "SUPABASE_URL");
}

TEST(Environment, AsksSupabaseWhereAKeyIsThereAndElseTakesItsPublishedKeys) {
  const Environment least = {{"POSTERN_UPSTREAM", "http://127.0.0.1:2024"}, {"SUPABASE_URL", "https://p.supabase.co"}};
  EXPECT_EQ(outcome(least), "");
  EXPECT_EQ(config_from_environment(least).value(),
            R"({"issuers":[{"preset":"supabase","url":"https://p.supabase.co"}],"upstream":{"url":"http://127.0.0.1:2024"}})");
  Environment more = least;
  more.emplace_back("SUPABASE_SERVICE_KEY", "service secret");
  more.emplace_back("LANGSMITH_API_KEY", "upstream secret");
  EXPECT_EQ(outcome(more), "");
  const std::string text = config_from_environment(more).value();
  EXPECT_EQ(text, R"({"credentials":[{"kind":"supabase","url":"https://p.supabase.co","apikey":"$SUPABASE_SERVICE_KEY"}],)"
                  R"("upstream":{"url":"http://127.0.0.1:2024","headers":{"x-api-key":"$LANGSMITH_API_KEY"}}})")
      << "secrets stay in the environment";
  more.emplace_back("SUPABASE_ANON_KEY", "anon");
  EXPECT_NE(config_from_environment(more)->find("\"$SUPABASE_ANON_KEY\""), std::string::npos)
      << "the lesser key, where both are there";
}

TEST(Environment, AWholeConfigurationIsTakenAsItIs) {
  EXPECT_EQ(config_from_environment({{"POSTERN_CONFIG", "{ // mine\n}"}, {"POSTERN_UPSTREAM", "x"}}).value(), "{ // mine\n}");
  EXPECT_NE(outcome({{"POSTERN_CONFIG", "{"}}), "");
}

TEST(Environment, TheNamesListedAreTheNamesRead) { EXPECT_EQ(environment_config_names().size(), 6U); }

}  // namespace
}  // namespace postern
