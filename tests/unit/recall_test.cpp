// Tokens that a gate has verified before: when they are recalled, and above all when they are not.
#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base64url.h"
#include "exchange.h"
#include "gate_state.h"
#include "postern/gate.h"
#include "settings.h"
#include "support/sign.h"

namespace postern {
namespace {

using testing::SigningKey;

constexpr std::array<std::uint8_t, 16> random_bytes{3, 1, 4, 1, 5};
constexpr Time start{1'800'000'000'000};

struct Rig {
  // `issuers`: the list's text.
  static Gate gate(const std::string& issuers, const std::string& more = "") {
    auto made = Gate::create(R"({"issuers":[)" + issuers + R"(],"upstream":{"url":"http://127.0.0.1:2024"})" + more + "}");
    EXPECT_TRUE(made.ok()) << made.error().text();
    return std::move(made).value();
  }
  static std::string set_of(const SigningKey& key) { return R"({"keys":[)" + testing::public_jwk(key) + "]}"; }
  static std::string fixed_issuer(const SigningKey& key) {
    return R"({"issuer":"https://idp.example","audience":"agents","keys":)" + set_of(key) + "}";
  }
  static std::string fetched_issuer() {
    return R"({"issuer":"https://idp.example","audience":"agents","jwks_uri":"https://idp.example/jwks","max_age_seconds":600})";
  }
  // Good from a minute before `start` to a minute after, with five seconds of leeway.
  static std::string bearer(const SigningKey& key, const std::string& subject = "alice",
                            std::string_view issuer = "https://idp.example") {
    const std::int64_t now = start.unix_ms / 1000;
    return "Bearer " + testing::sign(testing::header_for(key),
                                     R"({"iss":")" + std::string(issuer) + R"(","aud":"agents","sub":")" + subject +
                                         R"(","nbf":)" + std::to_string(now - 60) + R"(,"exp":)" + std::to_string(now + 60) + "}",
                                     key);
  }
  static std::unique_ptr<Exchange> open(Gate& gate, std::string_view authorization, Time now) {
    const HeaderView header{"authorization", authorization};
    return gate.open(RequestHead{"GET", "/", &header, 1}, now, Purpose::authenticate);
  }
  // Who it is, the error's name, or "step" when something has to be done first.
  static std::string who(Gate& gate, std::string_view authorization, Time now = start) {
    const Step step = open(gate, authorization, now)->next(now);
    if (const auto* done = std::get_if<Authenticated>(&step.action)) return done->user->identity;
    if (const auto* refused = std::get_if<Respond>(&step.action))
      return refused->error ? std::string(name(*refused->error)) : "?";
    return "step";
  }
  // Gives the issuer's keys to whatever fetch `gate` asks for to judge `authorization`.
  static std::string who_with_keys(Gate& gate, std::string_view authorization, const std::string& jwk_set, Time now = start) {
    auto exchange = open(gate, authorization, now);
    Step step = exchange->next(now);
    if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
      IncomingResponse response;
      response.status = 200;
      response.body = jwk_set;
      gate.give(fetch->fetch_id, response, now);
      step = exchange->next(now);
    }
    const auto* done = std::get_if<Authenticated>(&step.action);
    return done == nullptr ? "" : done->user->identity;
  }
  static void refresh(Gate& gate, const std::string& jwk_set, Time now) {
    Due due = gate.due(now);
    ASSERT_EQ(due.fetches.size(), 1U);
    IncomingResponse response;
    response.status = 200;
    response.body = jwk_set;
    gate.give(due.fetches[0].fetch_id, response, now);
  }
};

const SigningKey& key_one() {
  static const SigningKey key = testing::make_key("ES256", "one");
  return key;
}
const SigningKey& key_two() {
  static const SigningKey key = testing::make_key("ES256", "two");
  return key;
}

// Headers are remembered of tokens that verified: what anybody can write pushes none of them out.
TEST(Recall, HeadersOfBadTokensAreNotKept) {
  auto settings = parse_settings(
      R"({"issuers":[)" + Rig::fixed_issuer(key_one()) + R"(],"upstream":{"url":"http://127.0.0.1:2024"}})", Environment());
  ASSERT_TRUE(settings.ok());
  GateState state(std::move(settings).value());
  const auto ask = [&](const std::string& bearer) {
    const HeaderView header{"authorization", bearer};
    return open_exchange(state, RequestHead{"GET", "/", &header, 1}, start, Purpose::authenticate)->next(start);
  };
  const auto is_known = [&](const std::string& bearer) {
    return state.headers.find(std::string_view(bearer).substr(7, bearer.find('.') - 7)) != nullptr;
  };
  const std::string good = Rig::bearer(key_one());
  EXPECT_FALSE(is_known(good));
  EXPECT_TRUE(std::holds_alternative<Authenticated>(ask(good).action));
  EXPECT_TRUE(is_known(good));
  for (int i = 0; i < 40; ++i) {
    SigningKey stranger = testing::make_key("ES256", i % 2 == 0 ? "one" : "stranger-" + std::to_string(i));
    std::string bad = Rig::bearer(stranger);
    if (i % 2 == 0)
      bad.replace(7, bad.find('.') - 7, base64url::encode(R"({"alg":"ES256","kid":"one","n":)" + std::to_string(i) + "}"));
    EXPECT_TRUE(std::holds_alternative<Respond>(ask(bad).action));
    EXPECT_FALSE(is_known(bad)) << i;
  }
  EXPECT_TRUE(is_known(good));
}

TEST(Recall, IsOffUntilItIsSeeded) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()));
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who(gate, token), "alice");
  EXPECT_FALSE(gate.recall(token, start));
  gate.seed(random_bytes);
  EXPECT_FALSE(gate.recall(token, start));
  EXPECT_EQ(Rig::who(gate, token), "alice");
  EXPECT_TRUE(gate.recall(token, start));
  gate.seed(random_bytes);
  EXPECT_FALSE(gate.recall(token, start));
}

TEST(Recall, IsOffWithoutABudget) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()), R"(,"token_cache":{"bytes_max":0})");
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who(gate, token), "alice");
  EXPECT_FALSE(gate.recall(token, start));
}

TEST(Recall, NamesTheSameUserAsTheExchange) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()));
  gate.seed(random_bytes);
  const std::string alice = Rig::bearer(key_one(), "alice");
  const std::string bob = Rig::bearer(key_one(), "bob");
  const auto place = [&](const std::string& token) {
    const Step step = Rig::open(gate, token, start)->next(start);
    const auto& done = std::get<Authenticated>(step.action);
    return std::pair(done.cache_slot, done.cache_serial);
  };
  const auto first = place(alice);
  const auto second = place(bob);
  EXPECT_NE(first, second);
  EXPECT_NE(first.second, 0U);
  EXPECT_EQ(place(alice), first);  // now from the cache
  EXPECT_EQ(Rig::who(gate, alice), "alice");
  EXPECT_EQ(Rig::who(gate, bob), "bob");
  const auto recalled = gate.recall(bob, start);
  ASSERT_TRUE(recalled);
  EXPECT_EQ(std::pair(recalled->slot, recalled->serial), second);
  // The scheme is spelled in any case, and spaces may follow it: the token is what counts.
  EXPECT_TRUE(gate.recall("bearer   " + bob.substr(7), start));
  for (const std::string& other : {std::string(), std::string("Bearer"), "Basic " + bob.substr(7), bob + ", " + bob, bob + " "}) {
    EXPECT_FALSE(gate.recall(other, start)) << other.size();
  }
}

TEST(Recall, AFlippedBitIsVerifiedAndRefused) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()));
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who(gate, token), "alice");
  for (std::size_t bit = 0; bit < token.size() * 8; ++bit) {
    std::string other = token;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    // The scheme's case, one bit of each letter, is no difference.
    const bool same = bit / 8 < 6 && bit % 8 == 5;
    EXPECT_EQ(gate.recall(other, start).has_value(), same) << bit;
  }
  std::string forged = token;
  forged[forged.size() - 10] = forged[forged.size() - 10] == 'A' ? 'B' : 'A';
  EXPECT_EQ(Rig::who(gate, forged), "signature_invalid");
  EXPECT_EQ(Rig::who(gate, forged), "signature_invalid");
  EXPECT_FALSE(gate.recall(forged, start));
}

TEST(Recall, RefusalsAreNotKept) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()));
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  const Time early = start.plus_seconds(-66);
  EXPECT_EQ(Rig::who(gate, token, early), "token_not_yet_valid");
  EXPECT_EQ(Rig::who(gate, token), "alice");
}

TEST(Recall, EndsWithTheToken) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()));
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who(gate, token), "alice");
  EXPECT_TRUE(gate.recall(token, start.plus_ms(64'999)));
  EXPECT_EQ(Rig::who(gate, token, start.plus_ms(64'999)), "alice");
  EXPECT_FALSE(gate.recall(token, start.plus_seconds(65)));
  EXPECT_EQ(Rig::who(gate, token, start.plus_seconds(65)), "token_expired");
  // A clock that goes back before nbf and the leeway.
  EXPECT_EQ(Rig::who(gate, token), "alice");
  EXPECT_TRUE(gate.recall(token, start.plus_seconds(-65)));
  EXPECT_FALSE(gate.recall(token, start.plus_seconds(-65).plus_ms(-1)));
  EXPECT_EQ(Rig::who(gate, token, start.plus_seconds(-65).plus_ms(-1)), "token_not_yet_valid");
}

TEST(Recall, EndsWithTheKeySet) {
  Gate gate = Rig::gate(Rig::fetched_issuer());
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who_with_keys(gate, token, Rig::set_of(key_one())), "alice");
  EXPECT_TRUE(gate.recall(token, start));
  // The same set again: nothing has changed.
  const Time later = start.plus_seconds(10);
  EXPECT_TRUE(gate.recall(token, later));

  // The key is gone from the issuer's set, which is fetched ahead of its age.
  const std::string other = Rig::bearer(key_two(), "bob");
  Gate short_lived = Rig::gate(
      R"({"issuer":"https://idp.example","audience":"agents","jwks_uri":"https://idp.example/jwks","max_age_seconds":60})");
  short_lived.seed(random_bytes);
  EXPECT_EQ(Rig::who_with_keys(short_lived, token, Rig::set_of(key_one())), "alice");
  const Time due = start.plus_seconds(40);
  EXPECT_TRUE(short_lived.recall(token, due));
  Rig::refresh(short_lived, Rig::set_of(key_two()), due);
  EXPECT_FALSE(short_lived.recall(token, due));
  EXPECT_NE(Rig::who(short_lived, token, due), "alice");
  EXPECT_EQ(Rig::who(short_lived, other, due), "bob");
}

TEST(Recall, AsksTheIssuerWhenItsKeysAreOld) {
  Gate gate = Rig::gate(
      R"({"issuer":"https://idp.example","audience":"agents","jwks_uri":"https://idp.example/jwks","max_age_seconds":60,"leeway_seconds":60})");
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who_with_keys(gate, token, Rig::set_of(key_one())), "alice");
  EXPECT_TRUE(gate.recall(token, start.plus_seconds(59)));
  const Time old = start.plus_seconds(60);
  EXPECT_FALSE(gate.recall(token, old));
  EXPECT_EQ(Rig::who_with_keys(gate, token, Rig::set_of(key_one()), old), "alice");
  // The issuer said that it is the same set: what was known of it is known again.
  EXPECT_TRUE(gate.recall(token, old));
}

TEST(Recall, WhoIsDeniedSinceIsNotRecalled) {
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()));
  gate.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who(gate, token), "alice");
  ASSERT_TRUE(gate.recall(token, start));
  ASSERT_TRUE(gate.set_denylist(R"([{"iss":"https://idp.example","sub":"alice","issued_before":1800000001}])"));
  EXPECT_FALSE(gate.recall(token, start));
  EXPECT_EQ(Rig::who(gate, token), "credential_revoked");
  EXPECT_FALSE(gate.recall(token, start)) << "asked again";
  ASSERT_TRUE(gate.set_denylist("[]"));
  EXPECT_EQ(Rig::who(gate, token), "alice");
}

TEST(Recall, EachIssuersKeysAreItsOwn) {
  const auto issuer = [](const std::string& name, const SigningKey& key) {
    return R"({"issuer":"https://)" + name + R"(.example","audience":"agents","identity_prefix":")" + name + R"(|","keys":)" +
           Rig::set_of(key) + "}";
  };
  Gate gate = Rig::gate(issuer("one", key_one()) + "," + issuer("two", key_two()));
  gate.seed(random_bytes);
  const std::string one = Rig::bearer(key_one(), "alice", "https://one.example");
  const std::string two = Rig::bearer(key_two(), "alice", "https://two.example");
  const std::string crossed = Rig::bearer(key_one(), "alice", "https://two.example");
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Rig::who(gate, one), "one|alice");
    EXPECT_EQ(Rig::who(gate, two), "two|alice");
    EXPECT_EQ(Rig::who(gate, crossed), "key_unknown");
  }
}

TEST(Recall, AGateWithAnotherSeedOrConfigurationHasItsOwn) {
  Gate one = Rig::gate(Rig::fixed_issuer(key_one()));
  Gate two = Rig::gate(Rig::fixed_issuer(key_two()));
  one.seed(random_bytes);
  two.seed(random_bytes);
  const std::string token = Rig::bearer(key_one());
  EXPECT_EQ(Rig::who(one, token), "alice");
  EXPECT_FALSE(two.recall(token, start));
  EXPECT_EQ(Rig::who(two, token), "key_unknown");
}

TEST(Recall, TheUserOutlivesTheEntry) {
  // A budget for about one: while an exchange is open, another user takes the room.
  Gate gate = Rig::gate(Rig::fixed_issuer(key_one()), R"(,"token_cache":{"bytes_max":900})");
  gate.seed(random_bytes);
  const std::string alice = Rig::bearer(key_one(), "alice");
  EXPECT_EQ(Rig::who(gate, alice), "alice");
  ASSERT_TRUE(gate.recall(alice, start));
  const HeaderView header{"authorization", alice};
  auto exchange = gate.open(RequestHead{"POST", "/threads", &header, 1}, start);
  const Step read = exchange->next(start);
  ASSERT_TRUE(std::holds_alternative<ReadBody>(read.action));
  EXPECT_EQ(Rig::who(gate, Rig::bearer(key_one(), "bob")), "bob");
  EXPECT_FALSE(gate.recall(alice, start));
  exchange->give(read.step_id, BodyResult{BodyResult::State::whole, "{}"}, start);
  const Step forward = exchange->next(start);
  ASSERT_TRUE(std::holds_alternative<Forward>(forward.action));
  EXPECT_NE(std::get<Forward>(forward.action).request.body.find("alice"), std::string::npos);
}

TEST(Recall, TheConfigurationIsChecked) {
  const auto fault = [](const std::string& cache) {
    auto made = Gate::create(R"({"issuers":[)" + Rig::fixed_issuer(key_one()) +
                             R"(],"upstream":{"url":"http://127.0.0.1:2024"},"token_cache":)" + cache + "}");
    return made.ok() ? "" : made.error().message;
  };
  EXPECT_EQ(fault("{}"), "");
  EXPECT_EQ(fault(R"({"bytes_max":2147483648})"), "");
  for (const char* wrong :
       {"true", "[]", "5", R"({"bytes":1})", R"({"bytes_max":-1})", R"({"bytes_max":2147483649})", R"({"bytes_max":"8 MiB"})"}) {
    EXPECT_NE(fault(wrong), "") << wrong;
  }
}

}  // namespace
}  // namespace postern
