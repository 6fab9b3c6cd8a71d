#include "token_cache.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <string>
#include <utility>

namespace postern {
namespace {

constexpr SipHashKey key{7, 7, 7};
constexpr Time start{1'000'000};

VerifiedToken token_of(std::string identity, std::size_t claims_bytes = 300) {
  auto user = std::make_shared<User>();
  user->identity = std::move(identity);
  user->claims_json = std::string(claims_bytes, 'c');
  VerifiedToken token;
  token.user = std::move(user);
  token.usable_from = start;
  token.usable_until = start.plus_seconds(60);
  return token;
}

struct Cache : TokenCache {
  explicit Cache(std::size_t bytes_max = 1 << 20) : TokenCache(bytes_max) { seed(key); }
  bool put(const std::string& text, VerifiedToken token) { return insert(name_of(text), std::move(token)).token != nullptr; }
  bool put(const std::string& text) { return put(text, token_of(text)); }
  // Whose token it is, or "".
  std::string get(const std::string& text, Time now = start) {
    const Hit hit = find(name_of(text), now);
    return hit.token == nullptr ? "" : hit.token->user->identity;
  }
};

TEST(TokenCache, IsOffWithoutASeedOrABudget) {
  TokenCache unseeded(1 << 20);
  EXPECT_FALSE(unseeded.on());
  unseeded.seed(key);
  EXPECT_TRUE(unseeded.on());
  TokenCache none(0);
  none.seed(key);
  EXPECT_FALSE(none.on());
}

TEST(TokenCache, FindsWhatWasInsertedAndNothingElse) {
  Cache cache;
  EXPECT_EQ(cache.get("a"), "");
  EXPECT_TRUE(cache.put("a"));
  EXPECT_TRUE(cache.put("b"));
  EXPECT_EQ(cache.get("a"), "a");
  EXPECT_EQ(cache.get("b"), "b");
  EXPECT_EQ(cache.get("c"), "");
  EXPECT_EQ(cache.size(), 2U);
  // The same token again replaces its entry.
  EXPECT_TRUE(cache.put("a", token_of("a second time")));
  EXPECT_EQ(cache.get("a"), "a second time");
  EXPECT_EQ(cache.size(), 2U);
}

TEST(TokenCache, AFlippedBitOrACutMisses) {
  Cache cache;
  const std::string token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLWJ5dGVzLW9mLXNpeHR5LWZvdXI";
  cache.put(token, token_of("alice"));
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string other = token;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_EQ(cache.get(other), "") << bit;
  }
  for (std::size_t size = 0; size < token.size(); ++size) EXPECT_EQ(cache.get(token.substr(0, size)), "") << size;
  EXPECT_EQ(cache.get(token + "A"), "");
  EXPECT_EQ(cache.get(token), "alice");
}

TEST(TokenCache, TheSizeIsPartOfTheName) {
  Cache cache;
  const TokenName name = cache.name_of("token");
  cache.insert(name, token_of("alice"));
  TokenName other = name;
  other.bytes = 6;
  EXPECT_EQ(cache.find(other, start).token, nullptr);
  EXPECT_NE(cache.find(name, start).token, nullptr);
}

TEST(TokenCache, AnswersOnlyWithinTheTokensTime) {
  Cache cache;
  cache.put("a");
  EXPECT_EQ(cache.get("a", start.plus_ms(-1)), "");
  EXPECT_EQ(cache.get("a", start), "a");
  EXPECT_EQ(cache.get("a", start.plus_ms(59'999)), "a");
  EXPECT_EQ(cache.get("a", start.plus_ms(60'000)), "");
  // Past its time it is dropped: a clock that goes back does not bring it back.
  EXPECT_EQ(cache.get("a", start), "");
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(TokenCache, SlotsAreReusedUnderAnotherSerial) {
  Cache cache;
  const auto first = cache.insert(cache.name_of("a"), token_of("a"));
  EXPECT_EQ(cache.find(cache.name_of("a"), start).serial, first.serial);
  cache.erase(cache.name_of("a"));
  const auto second = cache.insert(cache.name_of("b"), token_of("b"));
  EXPECT_EQ(second.slot, first.slot);
  EXPECT_NE(second.serial, first.serial);
  cache.clear();
  const auto third = cache.insert(cache.name_of("b"), token_of("b"));
  EXPECT_EQ(third.slot, first.slot);
  EXPECT_NE(third.serial, second.serial);
}

TEST(TokenCache, ClearAndANewSeedForgetEverything) {
  Cache cache;
  for (int i = 0; i < 100; ++i) cache.put(std::to_string(i));
  cache.clear();
  EXPECT_EQ(cache.size(), 0U);
  EXPECT_EQ(cache.bytes(), 0U);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(cache.get(std::to_string(i)), "");
  cache.put("a");
  cache.seed(SipHashKey{8});
  EXPECT_EQ(cache.get("a"), "");
  EXPECT_EQ(cache.size(), 0U);
}

TEST(TokenCache, TheLeastRecentlyUsedMakesRoom) {
  Cache probe;
  probe.put("10");
  Cache cache(probe.bytes() * 10);
  for (int i = 10; i < 20; ++i) cache.put(std::to_string(i));
  EXPECT_EQ(cache.size(), 10U);
  EXPECT_EQ(cache.get("10"), "10");  // now the newest
  cache.put("20");
  EXPECT_EQ(cache.size(), 10U);
  EXPECT_EQ(cache.get("11"), "");
  EXPECT_EQ(cache.get("10"), "10");
  EXPECT_EQ(cache.get("20"), "20");
}

TEST(TokenCache, TheBudgetIsInBytesAndHolds) {
  constexpr std::size_t bytes_max = 64 * 1024;
  Cache cache(bytes_max);
  std::uint64_t state = 1;
  for (int i = 0; i < 2000; ++i) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    EXPECT_TRUE(cache.put(std::to_string(i), token_of(std::to_string(i), state >> 52U)));
    EXPECT_LE(cache.bytes(), bytes_max);
    EXPECT_EQ(cache.get(std::to_string(i)), std::to_string(i));
  }
  EXPECT_GT(cache.bytes(), bytes_max / 2);
  // Larger than everything: not kept, and nothing is thrown out for it.
  const std::size_t before = cache.size();
  EXPECT_FALSE(cache.put("huge", token_of("huge", bytes_max)));
  EXPECT_EQ(cache.get("huge"), "");
  EXPECT_EQ(cache.size(), before);
  // But what it would have replaced is gone: it is out of date.
  cache.put("a");
  EXPECT_FALSE(cache.put("a", token_of("a", bytes_max)));
  EXPECT_EQ(cache.get("a"), "");
}

TEST(TokenCache, CountsEverythingAUserHolds) {
  Cache cache;
  cache.put("a", token_of("a", 0));
  const std::size_t least = cache.bytes();
  EXPECT_GT(least, sizeof(User) + sizeof(VerifiedToken));
  VerifiedToken rich = token_of("a", 1000);
  auto user = std::make_shared<User>(*rich.user);
  user->identity = std::string(200, 'i');
  user->display_name = std::string(300, 'd');
  user->permissions.assign(50, std::string(100, 'p'));
  rich.user = user;
  cache.put("a", std::move(rich));
  EXPECT_GT(cache.bytes(), least + 1000 + 200 + 300 + 50 * 100);
}

// Against the plainest model there is, through growth, collisions of places, eviction and reuse.
TEST(TokenCache, BehavesLikeAMapWithAListOfUse) {
  Cache probe;
  probe.put("000");
  Cache cache(probe.bytes() * 200);
  std::map<std::string, std::pair<std::string, Time>> model;
  std::list<std::string> used;  // newest first
  std::uint64_t state = 42;
  const auto random = [&](std::uint64_t below) {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return (state >> 33U) % below;
  };
  Time now = start;
  for (int i = 0; i < 50'000; ++i) {
    const std::string text = std::to_string(100 + random(500));
    const auto touch = [&] {
      used.remove(text);
      used.push_front(text);
    };
    switch (random(8)) {
      case 0:
      case 1: {
        VerifiedToken token = token_of(std::to_string(100 + random(900)));
        token.usable_from = now;
        token.usable_until = now.plus_ms(static_cast<std::int64_t>(random(5000)) + 1);
        touch();
        model[text] = {token.user->identity, token.usable_until};
        if (model.size() > 200) {
          model.erase(used.back());
          used.pop_back();
        }
        ASSERT_TRUE(cache.put(text, std::move(token)));
        break;
      }
      case 2:
        cache.erase(cache.name_of(text));
        model.erase(text);
        used.remove(text);
        break;
      case 3:
        now = now.plus_ms(static_cast<std::int64_t>(random(20)));
        break;
      default: {
        const auto found = model.find(text);
        if (found != model.end() && now >= found->second.second) {
          model.erase(found);
          used.remove(text);
          ASSERT_EQ(cache.get(text, now), "");
        } else if (found != model.end()) {
          ASSERT_EQ(cache.get(text, now), found->second.first);
          touch();
        } else {
          ASSERT_EQ(cache.get(text, now), "");
        }
      }
    }
    ASSERT_EQ(cache.size(), model.size()) << i;
  }
  cache.clear();
  EXPECT_EQ(cache.bytes(), 0U);
}

}  // namespace
}  // namespace postern
