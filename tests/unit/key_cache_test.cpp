// The key cache under a simulated clock and a simulated issuer: how often is the issuer asked, and who gets in?
#include "key_cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/sign.h"
#include "table_budget.h"

namespace postern {
namespace {

using namespace std::string_literals;

const Jwa& es256() { return *find_jwa("ES256"); }

// The same kid is the same key all through the run.
const std::string& jwk(const std::string& kid) {
  static std::map<std::string, std::string> made;
  const auto found = made.find(kid);
  if (found != made.end()) return found->second;
  return made.emplace(kid, testing::public_jwk(testing::make_key("ES256", kid))).first->second;
}

std::string jwk_set(const std::vector<std::string>& kids) {
  std::string text = "{\"keys\":[";
  for (const std::string& kid : kids) text += (text.ends_with('[') ? "" : ",") + jwk(kid);
  return text + "]}";
}

// What stands behind the network.
struct Issuer {
  std::vector<std::string> kids = {"k1"};
  int status = 200;
  std::vector<Header> headers;
  std::string discovery = R"({"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/jwks"})";
  std::vector<std::string> asked;  // the URL of each fetch

  IncomingResponse answer(const Fetch& fetch) {
    asked.push_back(fetch.request.url);
    IncomingResponse response;
    response.status = status;
    if (status != 200) return response;
    response.headers = headers;
    response.body = fetch.purpose == FetchPurpose::discovery ? discovery : jwk_set(kids);
    return response;
  }
};

KeyCacheRules rules_with_uri() {
  KeyCacheRules rules;
  rules.issuer = "https://issuer.example";
  rules.jwks_uri = "https://issuer.example/jwks";
  return rules;
}

KeyCacheRules rules_with_discovery() {
  KeyCacheRules rules = rules_with_uri();
  rules.jwks_uri.clear();
  return rules;
}

class KeyCacheTest : public ::testing::Test {
 protected:
  [[nodiscard]] std::size_t fetches() const { return issuer.asked.size(); }
  void pass(std::int64_t seconds) { now = now.plus_seconds(seconds); }

  static std::string text(const KeyCache::Answer& answer) {
    if (const auto* found = std::get_if<KeyCache::Found>(&answer)) return found->key->kid;
    if (std::holds_alternative<Fetch>(answer)) return "fetch";
    if (std::holds_alternative<Wait>(answer)) return "wait";
    if (std::holds_alternative<KeyCache::Unavailable>(answer)) return "unavailable";
    return std::string(name(std::get<Error>(answer)));
  }

  // What a host does with one request, fetches answered at once: the kid that was found, or why none was.
  std::string request(std::string_view kid, const Jwa& alg = es256()) {
    const Time first_asked = now;
    for (int turn = 0; turn < 10; ++turn) {
      auto answer = cache.find(kid, alg, first_asked, now);
      if (const auto* fetch = std::get_if<Fetch>(&answer)) {
        EXPECT_TRUE(cache.give(fetch->fetch_id, issuer.answer(*fetch), now));
      } else {
        return text(answer);
      }
    }
    return "no end";
  }

  // Requests that all come at one moment; the issuer takes `latency_ms` for each round.
  std::map<std::string, int> requests(const std::vector<std::string>& kids, std::int64_t latency_ms = 50) {
    std::map<std::string, int> outcomes;
    std::vector<std::string> open = kids;
    const Time first_asked = now;
    for (int round = 0; round < 10 && !open.empty(); ++round) {
      std::vector<Fetch> under_way;
      std::vector<std::string> waiting;
      for (const std::string& kid : open) {
        auto answer = cache.find(kid, es256(), first_asked, now);
        if (const auto* fetch = std::get_if<Fetch>(&answer)) under_way.push_back(*fetch);
        if (text(answer) == "fetch" || text(answer) == "wait") {
          waiting.push_back(kid);
        } else {
          ++outcomes[text(answer)];
        }
      }
      now = now.plus_ms(latency_ms);
      for (const Fetch& fetch : under_way) cache.give(fetch.fetch_id, issuer.answer(fetch), now);
      open = waiting;
    }
    EXPECT_TRUE(open.empty());
    return outcomes;
  }

  // What a host's timer does, a step of a second at a time.
  void run(std::int64_t seconds) {
    for (std::int64_t i = 0; i < seconds; ++i) {
      pass(1);
      if (now < cache.due_at()) continue;
      while (auto fetch = cache.due(now)) cache.give(fetch->fetch_id, issuer.answer(*fetch), now);
      EXPECT_GT(cache.due_at(), now);  // or the timer would never sleep
    }
  }

  Issuer issuer;
  KeyCache cache{rules_with_uri(), 0};
  Time now{1'800'000'000'000};
};

using Outcomes = std::map<std::string, int>;

// ------------------------------------------------------------------------------------------- the seven situations

TEST_F(KeyCacheTest, FiftyParallelRequestsOnAColdCacheCostOneFetch) {
  EXPECT_EQ(requests(std::vector<std::string>(50, "k1")), (Outcomes{{"k1", 50}}));
  EXPECT_EQ(fetches(), 1U);
}

TEST_F(KeyCacheTest, FiftyParallelRequestsWithDiscoveryCostOneOfEach) {
  cache = KeyCache(rules_with_discovery(), 0);
  EXPECT_EQ(requests(std::vector<std::string>(50, "k1")), (Outcomes{{"k1", 50}}));
  EXPECT_EQ(issuer.asked,
            (std::vector<std::string>{"https://issuer.example/.well-known/openid-configuration", "https://issuer.example/jwks"}));
}

TEST_F(KeyCacheTest, FiftyUnknownKidsCostThreeFetches) {
  request("k1");
  const std::size_t before = fetches();
  Outcomes outcomes;
  for (int i = 0; i < 50; ++i) {
    now = now.plus_ms(10);
    ++outcomes[request("invented-" + std::to_string(i))];
    EXPECT_EQ(request("k1"), "k1");  // a good token never waits for a bad one
  }
  EXPECT_EQ(fetches() - before, 3U);
  EXPECT_EQ(outcomes, (Outcomes{{"key_unknown", 3}, {"unavailable", 47}}));
}

TEST_F(KeyCacheTest, FiftyUnknownKidsAtOnceCostOneFetch) {
  request("k1");
  now = now.plus_ms(10);
  std::vector<std::string> kids;
  for (int i = 0; i < 50; ++i) kids.push_back("invented-" + std::to_string(i));
  EXPECT_EQ(requests(kids), (Outcomes{{"key_unknown", 50}}));
  EXPECT_EQ(fetches(), 2U);
}

TEST_F(KeyCacheTest, FiftyRequestsToAFailingIssuerOnAColdCacheCostThreeFetches) {
  issuer.status = 500;
  Outcomes outcomes;
  for (int i = 0; i < 50; ++i) {
    ++outcomes[request("k1")];
    now = now.plus_ms(100);
  }
  EXPECT_EQ(outcomes, (Outcomes{{"unavailable", 50}}));
  EXPECT_LE(fetches(), 3U);
  EXPECT_EQ(cache.last_fault(), "JWK Set: status 500");
}

TEST_F(KeyCacheTest, FiftyParallelRequestsToAFailingIssuerCostOneFetch) {
  issuer.status = 500;
  EXPECT_EQ(requests(std::vector<std::string>(50, "k1")), (Outcomes{{"unavailable", 50}}));
  EXPECT_EQ(fetches(), 1U);
}

TEST_F(KeyCacheTest, WarmKeysOutliveAFailingIssuerWithoutFetchesOnTheRequestPath) {
  request("k1");
  issuer.status = 500;
  run(700);  // past max_age; the timer has tried and failed
  EXPECT_GT(fetches(), 1U);
  const std::size_t before = fetches();
  EXPECT_EQ(requests(std::vector<std::string>(50, "k1")), (Outcomes{{"k1", 50}}));
  EXPECT_EQ(fetches(), before);
}

TEST_F(KeyCacheTest, WarmKeysOutliveAFailingIssuerWithoutATimerToo) {
  request("k1");
  issuer.status = 500;
  pass(601);
  EXPECT_EQ(requests(std::vector<std::string>(50, "k1")), (Outcomes{{"k1", 50}}));
  EXPECT_EQ(fetches(), 2U);  // one asked, because the set was over its age; it failed, so the old keys serve
  for (int i = 0; i < 50; ++i) EXPECT_EQ(request("k1"), "k1");
  EXPECT_EQ(fetches(), 2U);
}

TEST_F(KeyCacheTest, AKeyPublishedJustAfterAFetchWorksAtOnce) {
  request("k1");
  now = now.plus_ms(1);
  issuer.kids = {"k1", "k2"};
  EXPECT_EQ(request("k2"), "k2");
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, ABadKidDoesNotHoldUpARealRotation) {
  request("k1");
  now = now.plus_ms(10);
  EXPECT_EQ(request("invented"), "key_unknown");
  now = now.plus_ms(10);
  issuer.kids = {"k2"};
  EXPECT_EQ(request("k2"), "k2");
}

TEST_F(KeyCacheTest, ARemovedKeyStopsWithinMaxAge) {
  issuer.kids = {"k1", "k2"};
  EXPECT_EQ(request("k2"), "k2");
  issuer.kids = {"k1"};
  run(600);
  EXPECT_EQ(request("k2"), "key_unknown");
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, ARemovedKeyStopsWithinMaxAgeWithoutATimerToo) {
  issuer.kids = {"k1", "k2"};
  EXPECT_EQ(request("k2"), "k2");
  issuer.kids = {"k1"};
  pass(600);
  EXPECT_EQ(request("k2"), "key_unknown");
}

// ------------------------------------------------------------------------------------------------------ freshness

TEST_F(KeyCacheTest, TheTimerKeepsFetchesOffTheRequestPath) {
  request("k1");
  for (int minute = 0; minute < 60; ++minute) {
    run(60);
    const std::size_t before = fetches();
    EXPECT_EQ(request("k1"), "k1");
    EXPECT_EQ(fetches(), before);
  }
  EXPECT_LE(fetches(), 8U);  // once in nine minutes
}

TEST_F(KeyCacheTest, NothingIsDueBeforeTheFirstRequest) {
  EXPECT_FALSE(cache.due(now).has_value());
  EXPECT_GT(cache.due_at(), now.plus_seconds(1'000'000));
}

TEST_F(KeyCacheTest, ARefreshIsHandedOutOnce) {
  request("k1");
  EXPECT_FALSE(cache.due(now).has_value());
  EXPECT_EQ(cache.due_at(), now.plus_seconds(540));
  pass(540);
  auto fetch = cache.due(now);
  ASSERT_TRUE(fetch.has_value());
  EXPECT_FALSE(cache.due(now).has_value());
  EXPECT_EQ(request("k1"), "k1");  // while it is under way
  EXPECT_TRUE(cache.give(fetch->fetch_id, issuer.answer(*fetch), now));
  EXPECT_EQ(cache.due_at(), now.plus_seconds(540));
}

TEST_F(KeyCacheTest, StaleKeysHaveAHardBound) {
  request("k1");
  issuer.status = 500;
  run(4199);
  EXPECT_EQ(request("k1"), "k1");
  run(1);
  auto answer = cache.find("k1", es256(), now, now);
  ASSERT_NE(text(answer), "k1");
  EXPECT_EQ(request("k1"), "unavailable");
  // 503 names a time to come back that is no further than the back-off.
  answer = cache.find("k1", es256(), now, now);
  const auto* unavailable = std::get_if<KeyCache::Unavailable>(&answer);
  ASSERT_NE(unavailable, nullptr);
  EXPECT_GE(unavailable->retry_after_seconds, 1);
  EXPECT_LE(unavailable->retry_after_seconds, 60);
  issuer.status = 200;
  run(60);
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, WithoutATimerAFailingIssuerIsAskedAgainAfterEachBackOff) {
  request("k1");
  issuer.status = 500;
  pass(600);
  for (int second = 0; second < 600; ++second) {
    EXPECT_EQ(request("k1"), "k1");
    pass(1);
  }
  EXPECT_GE(fetches(), 10U);
  EXPECT_LE(fetches(), 20U);  // 1, 2, 4, ... 60 s apart
  issuer.status = 200;
  issuer.kids = {"k2"};
  pass(60);
  EXPECT_EQ(request("k1"), "key_unknown");  // the issuer is back, and has taken the key away
}

TEST_F(KeyCacheTest, BackOffDoublesUpToItsBound) {
  issuer.status = 503;
  std::vector<std::int64_t> gaps;
  Time last = now;
  for (int i = 0; i < 400'000 && gaps.size() < 9; ++i) {
    const std::size_t before = fetches();
    request("k1");
    if (fetches() != before) {
      gaps.push_back((now.unix_ms - last.unix_ms) / 1000);
      last = now;
    }
    now = now.plus_ms(100);
  }
  EXPECT_EQ(gaps, (std::vector<std::int64_t>{0, 1, 2, 4, 8, 16, 32, 60, 60}));
}

TEST_F(KeyCacheTest, CacheControlMayShortenTheAge) {
  issuer.headers = {{"Cache-Control", "public, max-age=120, stale-while-revalidate=15"}};
  request("k1");
  EXPECT_EQ(cache.due_at(), now.plus_seconds(60));  // half the age, when that is less than the usual minute ahead
  pass(119);
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "k1");
  pass(1);
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "fetch");
}

TEST_F(KeyCacheTest, CacheControlHasBounds) {
  const auto age = [&](std::vector<Header> headers) {
    cache = KeyCache(rules_with_uri(), 0);
    issuer.headers = std::move(headers);
    request("k1");
    std::int64_t seconds = 0;
    while (text(cache.find("k1", es256(), now.plus_seconds(seconds), now.plus_seconds(seconds))) == "k1") ++seconds;
    return seconds;
  };
  EXPECT_EQ(age({}), 600);
  EXPECT_EQ(age({{"cache-control", "max-age=86400"}}), 600);
  EXPECT_EQ(age({{"cache-control", "max-age=0"}}), 60);
  EXPECT_EQ(age({{"cache-control", "MAX-AGE=300"}}), 300);
  EXPECT_EQ(age({{"cache-control", "max-age=\"300\""}}), 300);
  EXPECT_EQ(age({{"cache-control", "max-age=300"}, {"Cache-Control", "max-age=200"}}), 200);
  for (const char* odd : {"", ",", "=", "max-age", "max-age=", "max-age=-1", "max-age=1x", "max-age=99999999999999999999",
                          "s-maxage=100", "x-max-age=100", "\"max-age=100\""}) {
    EXPECT_EQ(age({{"cache-control", odd}}), 600) << odd;
  }
}

TEST_F(KeyCacheTest, AShortLivedSetIsNotRefreshedWithoutEnd) {
  issuer.headers = {{"cache-control", "max-age=0"}};
  request("k1");
  run(600);
  EXPECT_LE(fetches(), 21U);  // every 30 s
}

// ---------------------------------------------------------------------------------------------------- unknown kids

TEST_F(KeyCacheTest, TheSameBadKidDrawsOneTokenAMinute) {
  request("k1");
  for (int i = 0; i < 590; ++i) {
    now = now.plus_ms(100);
    EXPECT_EQ(request("invented"), "key_unknown");
  }
  EXPECT_EQ(fetches(), 2U);
  pass(2);
  EXPECT_EQ(request("invented"), "key_unknown");
  EXPECT_EQ(fetches(), 3U);
}

TEST_F(KeyCacheTest, AKidThatWasUnknownWorksOnceASetHasIt) {
  request("k1");
  now = now.plus_ms(10);
  EXPECT_EQ(request("k2"), "key_unknown");  // its first token comes before its key is published
  issuer.kids = {"k1", "k2"};
  now = now.plus_ms(10);
  EXPECT_EQ(request("other"), "key_unknown");  // anybody's fetch brings it
  EXPECT_EQ(request("k2"), "k2");
}

TEST_F(KeyCacheTest, TheBucketFillsAgain) {
  request("k1");
  int sent = 0;
  const auto invented = [&] {
    now = now.plus_ms(1);
    return request("invented-" + std::to_string(++sent));
  };
  for (int i = 0; i < 10; ++i) invented();
  EXPECT_EQ(fetches(), 4U);
  pass(10);
  for (int i = 0; i < 10; ++i) invented();
  EXPECT_EQ(fetches(), 5U);
  pass(1000);  // and no further than full
  EXPECT_EQ(request("k1"), "k1");
  const std::size_t before = fetches();
  for (int i = 0; i < 10; ++i) invented();
  EXPECT_EQ(fetches() - before, 3U);
}

TEST_F(KeyCacheTest, AnEndlessFloodCostsAFetchForEachRefill) {
  request("k1");
  for (int i = 0; i < 60'000; ++i) {
    now = now.plus_ms(5);
    request("invented-" + std::to_string(i));
    EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "k1");
  }
  EXPECT_LE(fetches(), 1U + 3U + 30U);  // 300 s
}

TEST_F(KeyCacheTest, WhatIsKnownToBeUnknownIsBounded) {
  KeyCacheRules rules = rules_with_uri();
  rules.unknown_kid_burst = 1'000'000;
  cache = KeyCache(rules, 0);
  request("k1");
  for (std::size_t i = 0; i < 2 * unknown_kids_max; ++i) {
    now = now.plus_ms(1);
    request("invented-" + std::to_string(i));
  }
  const std::size_t before = fetches();
  now = now.plus_ms(1);
  request("invented-0");  // forgotten
  EXPECT_EQ(fetches() - before, 1U);
  request("invented-" + std::to_string(2 * unknown_kids_max - 1));
  EXPECT_EQ(fetches() - before, 1U);
}

TEST_F(KeyCacheTest, UnknownKidsWhileTheIssuerFailsAreUnavailable) {
  request("k1");
  issuer.status = 500;
  now = now.plus_ms(10);
  EXPECT_EQ(request("k2"), "unavailable");  // perhaps a good token with a new key
  EXPECT_EQ(request("k1"), "k1");
  EXPECT_EQ(fetches(), 2U);
  now = now.plus_ms(10);
  EXPECT_EQ(request("k3"), "unavailable");
  EXPECT_EQ(fetches(), 2U);
  issuer.status = 200;
  issuer.kids = {"k1", "k2"};
  pass(2);
  EXPECT_EQ(request("k2"), "k2");
}

TEST_F(KeyCacheTest, AKidWithAnotherAlgorithmCostsNoFetch) {
  request("k1");
  pass(1);
  EXPECT_EQ(request("k1", *find_jwa("RS256")), "algorithm_not_allowed");
  EXPECT_EQ(request("k1", *find_jwa("HS256")), "algorithm_not_allowed");
  EXPECT_EQ(request("invented", *find_jwa("HS512")), "algorithm_not_allowed");
  EXPECT_EQ(fetches(), 1U);
}

TEST_F(KeyCacheTest, WithoutKidTheKindDecides) {
  EXPECT_EQ(request(""), "k1");
  pass(1);
  EXPECT_EQ(request("", *find_jwa("ES384")), "key_unknown");
  EXPECT_EQ(request("", *find_jwa("ES384")), "key_unknown");
  EXPECT_EQ(fetches(), 2U);
  EXPECT_EQ(request("", *find_jwa("RS256")), "key_unknown");  // another kind is another question
  issuer.kids = {"k1", "k2"};
  pass(1);
  EXPECT_EQ(request("k2"), "k2");
  EXPECT_EQ(request(""), "key_ambiguous");
}

// --------------------------------------------------------------------------------------------------------- waiting

TEST_F(KeyCacheTest, WaitersNameTheFetchAndTheEndOfTheirPatience) {
  auto first = cache.find("k1", es256(), now, now);
  ASSERT_EQ(text(first), "fetch");
  const Time later = now.plus_ms(300);
  auto second = cache.find("k1", es256(), later, later);
  const auto* wait = std::get_if<Wait>(&second);
  ASSERT_NE(wait, nullptr);
  EXPECT_EQ(wait->fetch_id, std::get<Fetch>(first).fetch_id);
  EXPECT_EQ(wait->until, later.plus_ms(2000));
}

// A fetch that hangs: the waiters get their own, but only as many as the bucket has.
TEST_F(KeyCacheTest, AHangingFetchDoesNotHangEverybody) {
  auto hanging = cache.find("k1", es256(), now, now);
  ASSERT_EQ(text(hanging), "fetch");
  const Time first_asked = now;
  now = now.plus_ms(2000);
  std::vector<Fetch> own;
  Outcomes outcomes;
  for (int i = 0; i < 50; ++i) {
    auto answer = cache.find("k1", es256(), first_asked, now);
    ++outcomes[text(answer)];
    if (const auto* fetch = std::get_if<Fetch>(&answer)) own.push_back(*fetch);
  }
  EXPECT_EQ(outcomes, (Outcomes{{"fetch", 3}, {"unavailable", 47}}));
  EXPECT_TRUE(cache.give(own[1].fetch_id, issuer.answer(own[1]), now));
  EXPECT_EQ(request("k1"), "k1");
  // What the others bring later is older or the same, and does no harm.
  issuer.kids = {"stolen"};
  pass(3);
  EXPECT_TRUE(cache.give(std::get<Fetch>(hanging).fetch_id, issuer.answer(std::get<Fetch>(hanging)), now));
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, AFetchWhoseCarrierIsLostIsGivenUp) {
  ASSERT_EQ(text(cache.find("k1", es256(), now, now)), "fetch");
  pass(7);
  EXPECT_EQ(request("k1"), "unavailable");  // that counts as a failure
  EXPECT_EQ(cache.last_fault(), "the fetch was not answered");
  pass(2);
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, AFetchWhoseCarrierLeftGoesToTheNextWaiter) {
  auto first = cache.find("k1", es256(), now, now);
  const Fetch fetch = std::get<Fetch>(first);
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "wait");
  cache.abandon(fetch.fetch_id);
  auto again = cache.find("k1", es256(), now, now);
  ASSERT_EQ(text(again), "fetch");
  EXPECT_EQ(std::get<Fetch>(again).fetch_id, fetch.fetch_id);  // the waiters are woken by the id they know
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "wait");
  EXPECT_TRUE(cache.give(fetch.fetch_id, issuer.answer(fetch), now));
  EXPECT_FALSE(cache.give(fetch.fetch_id, issuer.answer(fetch), now));
  EXPECT_EQ(request("k1"), "k1");
  cache.abandon(fetch.fetch_id);
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "k1");
}

TEST_F(KeyCacheTest, ASlowRefreshPastTheAgeIsNotWaitedForLong) {
  request("k1");
  pass(590);
  auto slow = cache.due(now);
  ASSERT_TRUE(slow.has_value());
  pass(3);
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "k1");  // still of age
  KeyCacheRules rules = rules_with_uri();
  rules.fetch_time_limit_ms = 60'000;
  cache = KeyCache(rules, 0);
  request("k1");
  pass(590);
  slow = cache.due(now);
  pass(10);
  EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "wait");
  EXPECT_EQ(text(cache.find("k1", es256(), now, now.plus_ms(2000))), "k1");  // the issuer counts as failing
}

TEST_F(KeyCacheTest, AnswersToOtherFetchesAreDropped) {
  EXPECT_FALSE(cache.give(0, {}, now));
  EXPECT_FALSE(cache.give((std::uint64_t{1} << 40U) + 1, {}, now));
  auto answer = cache.find("k1", es256(), now, now);
  const Fetch fetch = std::get<Fetch>(answer);
  EXPECT_FALSE(cache.give(fetch.fetch_id + 1, issuer.answer(fetch), now));
  EXPECT_TRUE(cache.give(fetch.fetch_id, issuer.answer(fetch), now));
  issuer.kids = {"stolen"};
  EXPECT_FALSE(cache.give(fetch.fetch_id, issuer.answer(fetch), now));
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, FetchIdsOfTwoIssuersDiffer) {
  KeyCache other(rules_with_uri(), 1);
  auto mine = cache.find("k1", es256(), now, now);
  auto theirs = other.find("k1", es256(), now, now);
  EXPECT_EQ(std::get<Fetch>(mine).fetch_id >> 40U, 1U);
  EXPECT_EQ(std::get<Fetch>(theirs).fetch_id >> 40U, 2U);
  EXPECT_FALSE(other.give(std::get<Fetch>(mine).fetch_id, issuer.answer(std::get<Fetch>(mine)), now));
}

TEST_F(KeyCacheTest, TheRequestIsPlain) {
  auto answer = cache.find("k1", es256(), now, now);
  const Fetch& fetch = std::get<Fetch>(answer);
  EXPECT_EQ(fetch.purpose, FetchPurpose::keys);
  EXPECT_EQ(fetch.request.method, "GET");
  EXPECT_EQ(fetch.request.url, "https://issuer.example/jwks");
  ASSERT_EQ(fetch.request.headers.size(), 1U);
  EXPECT_EQ(fetch.request.headers[0].name, "accept");
  EXPECT_EQ(fetch.request.headers[0].value, "application/json");
  EXPECT_EQ(fetch.request.body, "");
  EXPECT_EQ(fetch.bytes_max, jwk_set_bytes_max);
  EXPECT_EQ(fetch.time_limit_ms, 5000);
}

// ------------------------------------------------------------------------------------------------------- the content

TEST_F(KeyCacheTest, AnswersThatAreNoGoodSetKeepTheOldOne) {
  const auto after = [&](IncomingResponse response) {
    cache = KeyCache(rules_with_uri(), 0);
    request("k1");
    pass(540);
    auto fetch = cache.due(now);
    EXPECT_TRUE(cache.give(fetch->fetch_id, response, now));
    EXPECT_EQ(text(cache.find("k1", es256(), now, now)), "k1");
    return cache.last_fault();
  };
  const auto with = [](int status, std::string body) {
    IncomingResponse response;
    response.status = status;
    response.body = std::move(body);
    return response;
  };
  EXPECT_EQ(after({}), "JWK Set: no answer");
  IncomingResponse timed_out;
  timed_out.timed_out = true;
  EXPECT_EQ(after(timed_out), "JWK Set: no answer in time");
  for (const int status : {201, 204, 206, 301, 302, 304, 401, 404, 429, 500}) {
    EXPECT_EQ(after(with(status, jwk_set({"k2"}))), "JWK Set: status " + std::to_string(status));
  }
  IncomingResponse over_limit = with(200, "");
  over_limit.body_over_limit = true;
  EXPECT_EQ(after(over_limit), "JWK Set: larger than the limit");
  EXPECT_EQ(after(with(200, std::string(jwk_set_bytes_max + 1, ' '))), "JWK Set: larger than the limit");
  EXPECT_TRUE(after(with(200, "<html>")).starts_with("JWK Set: key 0: not strict JSON"));
  EXPECT_EQ(after(with(200, "{}")), "JWK Set: key 0: keys: must be a list");
  // A set with a secret in it is refused whole, and the keys before it live on.
  EXPECT_EQ(after(with(200, R"({"keys":[{"kty":"oct","k":"c2VjcmV0"}]})")),
            "JWK Set: key 0: k: is a member of private or symmetric keys; this one is compromised");
  EXPECT_EQ(after(with(200, jwk_set({"k1"}))), "");
}

TEST_F(KeyCacheTest, AnEmptySetIsAnAnswer) {
  issuer.kids = {};
  EXPECT_EQ(request("k1"), "key_unknown");
  EXPECT_EQ(request("k1"), "key_unknown");
  EXPECT_EQ(fetches(), 1U);
  EXPECT_EQ(cache.last_fault(), "");
}

TEST_F(KeyCacheTest, TheGenerationGrowsWithEveryOtherSet) {
  const std::uint64_t cold = cache.generation();
  request("k1");
  const std::uint64_t first = cache.generation();
  EXPECT_GT(first, cold);
  const KeyCache::Answer before = cache.find("k1", es256(), now, now);
  run(600);  // refreshed, with the same set: the imported key stays
  EXPECT_GE(fetches(), 2U);
  EXPECT_EQ(cache.generation(), first);
  const KeyCache::Answer after = cache.find("k1", es256(), now, now);
  EXPECT_EQ(std::get<KeyCache::Found>(before).key, std::get<KeyCache::Found>(after).key);
  issuer.kids = {"k2"};
  run(600);
  EXPECT_GT(cache.generation(), first);
  EXPECT_EQ(request("k2"), "k2");
}

TEST_F(KeyCacheTest, SkippedKeysAreTold) {
  auto answer = cache.find("k1", es256(), now, now);
  IncomingResponse response;
  response.status = 200;
  response.body = R"({"keys":[{"kty":"AKP"},)" + jwk("k1") + "]}";
  cache.give(std::get<Fetch>(answer).fetch_id, response, now);
  ASSERT_EQ(cache.skipped().size(), 1U);
  EXPECT_EQ(cache.skipped().front().what, "kty: is not supported");
}

TEST_F(KeyCacheTest, ConfiguredKeysNeedNoFetch) {
  std::vector<Jwk> keys;
  keys.push_back(std::move(make_symmetric_jwk("shared", *find_jwa("HS256"), std::string(32, 's')).value()));
  keys.push_back(std::move(parse_jwk_set(jwk_set({"pinned"})).value().keys.front()));
  cache.add_static_keys(std::move(keys));
  EXPECT_EQ(request("shared", *find_jwa("HS256")), "shared");
  EXPECT_EQ(request("", *find_jwa("HS256")), "shared");
  EXPECT_EQ(request("pinned"), "pinned");
  EXPECT_EQ(request("pinned", *find_jwa("HS256")), "algorithm_not_allowed");
  EXPECT_EQ(request("shared"), "algorithm_not_allowed");
  EXPECT_EQ(request("other", *find_jwa("HS256")), "algorithm_not_allowed");
  EXPECT_EQ(fetches(), 0U);
  EXPECT_EQ(request("k1"), "k1");
  pass(100'000);
  issuer.status = 500;
  EXPECT_EQ(request("shared", *find_jwa("HS256")), "shared");
  EXPECT_EQ(request("pinned"), "pinned");
}

// ------------------------------------------------------------------------------------------------------- discovery

class Discovery : public KeyCacheTest {
 protected:
  Discovery() { cache = KeyCache(rules_with_discovery(), 0); }
  // The outcome of a first request with this document; the URL of the last fetch is in issuer.asked.
  std::string with_document(std::string document, KeyCacheRules rules = rules_with_discovery()) {
    cache = KeyCache(std::move(rules), 0);
    issuer.asked.clear();
    issuer.discovery = std::move(document);
    return request("k1");
  }
  std::string with_uri(const std::string& uri, KeyCacheRules rules = rules_with_discovery()) {
    const std::string issuer_name = rules.issuer;
    return with_document(R"({"issuer":")" + issuer_name + R"(","jwks_uri":")" + uri + R"("})", std::move(rules));
  }
};

TEST_F(Discovery, TheDocumentLeadsToTheKeys) {
  auto answer = cache.find("k1", es256(), now, now);
  EXPECT_EQ(std::get<Fetch>(answer).purpose, FetchPurpose::discovery);
  EXPECT_EQ(std::get<Fetch>(answer).bytes_max, discovery_bytes_max);
  cache.give(std::get<Fetch>(answer).fetch_id, issuer.answer(std::get<Fetch>(answer)), now);
  EXPECT_EQ(request("k1"), "k1");
  EXPECT_EQ(fetches(), 2U);
  run(3600);  // what was discovered is kept
  EXPECT_EQ(std::count(issuer.asked.begin(), issuer.asked.end(), "https://issuer.example/jwks"), fetches() - 1);
}

// OpenID Connect Discovery 4 and 4.3; Auth0's issuers end in a slash.
TEST_F(Discovery, ATrailingSlashIsLeftOutOfTheUrlAndKeptInTheName) {
  KeyCacheRules rules = rules_with_discovery();
  rules.issuer = "https://issuer.example/tenant/";
  EXPECT_EQ(with_document(R"({"issuer":"https://issuer.example/tenant/","jwks_uri":"https://issuer.example/jwks"})", rules),
            "k1");
  EXPECT_EQ(issuer.asked.front(), "https://issuer.example/tenant/.well-known/openid-configuration");
  EXPECT_EQ(with_document(R"({"issuer":"https://issuer.example/tenant","jwks_uri":"https://issuer.example/jwks"})", rules),
            "unavailable");
}

TEST_F(Discovery, AnotherIssuersDocumentIsRefused) {
  for (const char* name : {"\"https://issuer.example/\"", "\"https://ISSUER.example\"", "\"\"", "null",
                           "[\"https://issuer.example\"]", "\"https://attacker.example\""}) {
    EXPECT_EQ(with_document(R"({"jwks_uri":"https://issuer.example/jwks","issuer":)"s + name + "}"), "unavailable") << name;
    EXPECT_EQ(cache.last_fault(), "discovery: issuer: is not the configured one");
    EXPECT_EQ(fetches(), 1U);
  }
  EXPECT_EQ(with_document(R"({"jwks_uri":"https://issuer.example/jwks"})"), "unavailable");
  EXPECT_EQ(with_document("[]"), "unavailable");
  EXPECT_EQ(with_document("not JSON"), "unavailable");
  EXPECT_EQ(with_document(R"({"issuer":"https://issuer.example","issuer":"x","jwks_uri":"https://issuer.example/jwks"})"),
            "unavailable");
  EXPECT_EQ(with_document(R"({"issuer":"https://issuer.example"})"), "unavailable");
  EXPECT_EQ(with_document(R"({"issuer":"https://issuer.example","jwks_uri":["https://issuer.example/jwks"]})"), "unavailable");
}

// Invariant configured-origins.
TEST_F(Discovery, KeysComeOnlyFromTheIssuersOriginOrAListedOne) {
  for (const char* uri : {"https://issuer.example/any/path?x=1", "https://ISSUER.example:443/jwks", "HTTPS://issuer.example/j",
                          "https://issuer.example"}) {
    EXPECT_EQ(with_uri(uri), "k1") << uri;
    EXPECT_EQ(issuer.asked.back(), uri);
  }
  for (const char* uri : {"https://attacker.example/jwks",
                          "https://issuer.example:8443/jwks",
                          "https://issuer.example.attacker.example/jwks",
                          "https://issuer.example@attacker.example/jwks",
                          "https://attacker.example/https://issuer.example/jwks",
                          "https://attacker.example#issuer.example",
                          "https://attacker.example?https://issuer.example/",
                          "https://issuer.example\\\\@attacker.example/jwks",
                          "https://issuer.example:443@attacker.example/",
                          "http://issuer.example/jwks",
                          "//issuer.example/jwks",
                          "/jwks",
                          "",
                          "https://",
                          "https:///jwks",
                          "file:///etc/passwd",
                          "data:application/json,{}",
                          "https://issuer.example:/jwks",
                          "https://issuer.example:44x/jwks",
                          "https://issuer.example\\u0000/jwks",
                          "https://issuer.example /jwks",
                          "https://issuer%2eexample/jwks",
                          "https://[::1/jwks",
                          "http://127.0.0.1/jwks",
                          "https://iss\\u00fcer.example/jwks",
                          "https://issuer.example:443:443/jwks",
                          "https://issuer.example/a@b",
                          "https://issuer.example/a\\\\b"}) {
    EXPECT_EQ(with_uri(uri), "unavailable") << uri;
    EXPECT_EQ(fetches(), 1U) << uri;
  }
  KeyCacheRules rules = rules_with_discovery();
  rules.jwks_origins = {"https://www.googleapis.com", "https://keys.example:8443/ignored"};
  EXPECT_EQ(with_uri("https://www.googleapis.com/oauth2/v3/certs", rules), "k1");
  EXPECT_EQ(with_uri("https://keys.example:8443/jwks", rules), "k1");
  EXPECT_EQ(with_uri("https://issuer.example/jwks", rules), "k1");
  EXPECT_EQ(with_uri("https://keys.example/jwks", rules), "unavailable");
  EXPECT_EQ(with_uri("https://googleapis.com/oauth2/v3/certs", rules), "unavailable");
}

TEST_F(Discovery, PlainHttpIsForThisMachineOnly) {
  for (const char* origin : {"http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000", "http://localhost"}) {
    KeyCacheRules rules = rules_with_discovery();
    rules.issuer = origin;
    EXPECT_EQ(with_uri(origin + "/jwks"s, rules), "k1") << origin;
  }
  for (const char* origin : {"http://issuer.example", "http://localhost.example", "http://127.0.0.1.example", "http://127.0.0.2",
                             "http://0x7f000001", "http://2130706433", "http://localhost.", "http://[::2]", "http://10.0.0.1"}) {
    KeyCacheRules rules = rules_with_discovery();
    rules.issuer = origin;
    EXPECT_EQ(with_uri(origin + "/jwks"s, rules), "unavailable") << origin;
  }
}

TEST_F(Discovery, WhatWasDiscoveredIsForgottenWhenItFails) {
  EXPECT_EQ(request("k1"), "k1");
  issuer.discovery = R"({"issuer":"https://issuer.example","jwks_uri":"https://issuer.example/moved"})";
  issuer.status = 404;
  run(540);
  EXPECT_EQ(cache.last_fault(), "JWK Set: status 404");
  issuer.status = 200;
  run(10);
  EXPECT_EQ(issuer.asked.back(), "https://issuer.example/moved");
  EXPECT_EQ(cache.last_fault(), "");
}

TEST_F(Discovery, FailingIssuersAreAskedAsRarely) {
  issuer.status = 500;
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(request("k1"), "unavailable");
    now = now.plus_ms(100);
  }
  EXPECT_LE(fetches(), 3U);
  EXPECT_EQ(cache.last_fault(), "discovery: status 500");
}

TEST_F(Discovery, TheSecondHalfIsPickedUpByWhoeverComesNext) {
  auto first = cache.find("k1", es256(), now, now);
  const Fetch discovery = std::get<Fetch>(first);
  cache.give(discovery.fetch_id, issuer.answer(discovery), now);
  EXPECT_LE(cache.due_at(), now);
  auto keys = cache.due(now);
  ASSERT_TRUE(keys.has_value());
  EXPECT_EQ(keys->purpose, FetchPurpose::keys);
  EXPECT_NE(keys->fetch_id, discovery.fetch_id);
  auto waiting = cache.find("k1", es256(), now, now);
  EXPECT_EQ(std::get<Wait>(waiting).fetch_id, keys->fetch_id);
  cache.give(keys->fetch_id, issuer.answer(*keys), now);
  EXPECT_EQ(request("k1"), "k1");
}

// ----------------------------------------------------------------------------------------------------- odd clocks

TEST_F(KeyCacheTest, AClockSetBackDoesNotFreezeTheKeys) {
  issuer.kids = {"k1", "k2"};
  request("k1");
  issuer.kids = {"k1"};
  pass(-86'400);
  EXPECT_EQ(request("k2"), "key_unknown");
  EXPECT_EQ(request("k1"), "k1");
  EXPECT_EQ(fetches(), 2U);
  EXPECT_EQ(request("k1"), "k1");
  EXPECT_EQ(fetches(), 2U);
}

TEST_F(KeyCacheTest, AClockSetBackDoesNotFreezeTheBackOff) {
  issuer.status = 500;
  EXPECT_EQ(request("k1"), "unavailable");
  issuer.status = 200;
  pass(-86'400);
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, AClockSetBackDoesNotFreezeAFetch) {
  ASSERT_EQ(text(cache.find("k1", es256(), now, now)), "fetch");
  pass(-86'400);
  EXPECT_EQ(request("k1"), "unavailable");
  pass(2);
  EXPECT_EQ(request("k1"), "k1");
}

TEST_F(KeyCacheTest, AClockSetForwardAsksAgain) {
  request("k1");
  pass(86'400 * 365);
  issuer.kids = {"k2"};
  EXPECT_EQ(request("k1"), "key_unknown");
  EXPECT_EQ(request("k2"), "k2");
}

TEST_F(KeyCacheTest, KeysThatLeaveTheSetGiveTheirTablesBack) {
  const auto tables = std::make_shared<TableBudget>();
  cache = KeyCache(rules_with_uri(), 0, tables);
  const testing::SigningKey signer = testing::make_key("ES256", "busy");
  const std::string signature = testing::sign_bytes("a", signer);
  IncomingResponse with;
  with.status = 200;
  with.body = "{\"keys\":[" + testing::public_jwk(signer) + "," + jwk("k1") + "]}";
  const auto first = cache.find("busy", es256(), now, now);
  ASSERT_TRUE(cache.give(std::get<Fetch>(first).fetch_id, with, now));
  const auto use = [&] {
    const auto answer = cache.find("busy", es256(), now, now);
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(crypto::verify(std::get<KeyCache::Found>(answer).key->key, es256(), "a", signature));
    while (tables->build_step()) {
    }
  };
  use();
  const std::size_t bytes = tables->bytes();
  EXPECT_GT(bytes, 0U);

  // The same document again keeps the keys and their tables.
  pass(590);
  auto refresh = cache.due(now);
  ASSERT_TRUE(refresh.has_value());
  ASSERT_TRUE(cache.give(refresh->fetch_id, with, now));
  EXPECT_EQ(tables->bytes(), bytes);

  pass(590);
  refresh = cache.due(now);
  ASSERT_TRUE(refresh.has_value());
  ASSERT_TRUE(cache.give(refresh->fetch_id, issuer.answer(*refresh), now));
  EXPECT_EQ(request("busy"), "key_unknown");
  EXPECT_EQ(tables->bytes(), bytes - std::size_t{32} * 1024) << "the generator's stays";
}

}  // namespace
}  // namespace postern
