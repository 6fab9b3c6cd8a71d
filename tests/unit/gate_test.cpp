// What the case files cannot say: hosts that answer wrongly, waiters, and explain.
#include "postern/gate.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "json.h"

namespace postern {
namespace {

constexpr const char* thread = "/threads/11111111-1111-4111-8111-111111111111";
// A route whose first step is the Forward itself.
constexpr const char* object = "/assistants/agent";

const json::Value& tokens() {
  static const json::Value parsed = [] {
    std::ifstream in(std::string(POSTERN_CASES_DIR) + "/tokens.json");
    std::stringstream text;
    text << in.rdbuf();
    return json::parse(text.str()).value();
  }();
  return parsed;
}

Time now() { return Time{tokens().find("now")->as_integer().value() * 1000}; }

std::string bearer(std::string_view name) { return "Bearer " + tokens().find("tokens")->find(name)->as_string(); }

std::string config(bool remote) {
  const std::string keys =
      remote ? R"("jwks_uri":"https://idp.example/jwks")" : "\"keys\":" + json::write(*tokens().find("jwks"));
  return R"({"issuers":[{"issuer":"https://idp.example/auth/v1","audience":"agents",)" + keys +
         R"(}],"upstream":{"url":"http://127.0.0.1:2024"}})";
}

Gate make_gate(bool remote = false) {
  auto gate = Gate::create(config(remote));
  EXPECT_TRUE(gate.ok()) << gate.error().text();
  return std::move(gate).value();
}

std::unique_ptr<Exchange> open(Gate& gate, std::string_view method, std::string_view target, std::string_view token) {
  const std::string value = bearer(token);
  const HeaderView header{"authorization", value};
  return gate.open(RequestHead{method, target, &header, 1}, now());
}

int status_of(const Step& step) {
  const auto* respond = std::get_if<Respond>(&step.action);
  return respond == nullptr ? 0 : respond->status;
}

// A client can draw its body out for minutes: who is named meanwhile gets no further.
TEST(Gate, WhoIsDeniedWhileTheBodyComesInIsNotForwarded) {
  for (const std::string_view target : {"/threads", "/threads/search"}) {
    for (const bool denied : {false, true}) {
      Gate gate = make_gate();
      ASSERT_TRUE(gate.set_denylist("[]").ok());
      auto exchange = open(gate, "POST", target, "alice");
      const Step step = exchange->next(now());
      ASSERT_TRUE(std::holds_alternative<ReadBody>(step.action));
      const char* list = R"([{"iss":"https://idp.example/auth/v1","sub":"alice","issued_before":1900000000}])";
      if (denied) {
        ASSERT_TRUE(gate.set_denylist(list).ok());
      }
      exchange->give(step.step_id, BodyResult{BodyResult::State::whole, "{}"}, now());
      const Step after = exchange->next(now());
      EXPECT_EQ(std::holds_alternative<Forward>(after.action), !denied) << target;
      EXPECT_EQ(status_of(after), denied ? 401 : 0) << target;
      if (denied) {
        EXPECT_EQ(status_of(exchange->next(now())), 500) << "and that is the end of it";
      }
    }
  }
}

TEST(Gate, AHostThatAnswersAnotherStepNeverForwards) {
  Gate gate = make_gate();
  {
    auto exchange = open(gate, "POST", "/threads", "alice");
    const Step step = exchange->next(now());
    ASSERT_TRUE(std::holds_alternative<ReadBody>(step.action));
    exchange->give(step.step_id + 1, BodyResult{BodyResult::State::whole, "{}"}, now());
    EXPECT_EQ(status_of(exchange->next(now())), 500);
  }
  {
    auto exchange = open(gate, "POST", "/threads", "alice");
    const Step step = exchange->next(now());
    exchange->give(step.step_id, IncomingResponse{200, {}, "{}", false, false}, now());
    EXPECT_EQ(status_of(exchange->next(now())), 500) << "a reply where a body was asked for";
  }
  {
    auto exchange = open(gate, "POST", "/threads", "alice");
    (void)exchange->next(now());
    EXPECT_EQ(status_of(exchange->next(now())), 500) << "asking on without giving";
    EXPECT_EQ(status_of(exchange->next(now())), 500) << "and it stays over";
  }
  {
    auto exchange = open(gate, "POST", "/threads", "alice");
    exchange->fail(exchange->next(now()).step_id);
    EXPECT_EQ(status_of(exchange->next(now())), 500);
  }
}

TEST(Gate, AHostThatFailsDuringAKeyFetchIsNotAskedForAnother) {
  {
    Gate gate = make_gate(true);
    auto exchange = open(gate, "GET", thread, "alice");
    const Step step = exchange->next(now());
    ASSERT_TRUE(std::holds_alternative<Fetch>(step.action));
    exchange->fail(step.step_id);
    EXPECT_EQ(status_of(exchange->next(now())), 500);
  }
  {
    Gate gate = make_gate(true);
    auto exchange = open(gate, "GET", thread, "wrong_key");
    const Step step = exchange->next(now());
    ASSERT_TRUE(std::holds_alternative<Fetch>(step.action));
    exchange->give(step.step_id, IncomingResponse{200, {}, "{}", false, false}, now());  // the gate's, not the exchange's
    EXPECT_EQ(status_of(exchange->next(now())), 500);
  }
}

TEST(Gate, AThreadMadeForARunIsLookedAtBeforeTheRun) {
  Gate gate = make_gate();
  struct Row {
    const char* reply;
    bool forwarded;
  };
  const Row rows[] = {
      {R"({"thread_id":"11111111-1111-4111-8111-111111111111","metadata":{"owner":"alice"}})", true},
      {R"({"thread_id":"11111111-1111-4111-8111-111111111111","metadata":{"owner":"bob"}})", false},
      {R"({"thread_id":"22222222-2222-4222-8222-222222222222","metadata":{"owner":"alice"}})", false},
      {R"({"thread_id":"11111111-1111-4111-8111-111111111111"})", false},
      {"[]", false},
      {"<", false},
  };
  for (const Row& row : rows) {
    auto exchange = open(gate, "POST", std::string(thread) + "/runs", "alice");
    const std::string body = R"({"assistant_id":"agent","if_not_exists":"create"})";
    exchange->give(exchange->next(now()).step_id, BodyResult{BodyResult::State::whole, body}, now());
    for (const char* reply : {"[]", row.reply}) {
      const Step step = exchange->next(now());
      ASSERT_TRUE(std::holds_alternative<Fetch>(step.action)) << row.reply;
      gate.give(std::get<Fetch>(step.action).fetch_id, IncomingResponse{200, {}, reply, false, false}, now());
    }
    const Step step = exchange->next(now());
    EXPECT_EQ(std::holds_alternative<Forward>(step.action), row.forwarded) << row.reply;
    EXPECT_EQ(status_of(step), row.forwarded ? 0 : 404) << row.reply;
  }
}

TEST(Gate, BodiesOverTheLimitAndBrokenOffAreRefused) {
  Gate gate = make_gate();
  for (const auto& [state, status] : {std::pair{BodyResult::State::over_limit, 413}, {BodyResult::State::failed, 400}}) {
    auto exchange = open(gate, "POST", "/threads", "alice");
    exchange->give(exchange->next(now()).step_id, BodyResult{state, ""}, now());
    EXPECT_EQ(status_of(exchange->next(now())), status);
  }
}

TEST(Gate, UpstreamFailuresHaveTheirOwnStatus) {
  Gate gate = make_gate();
  struct Row {
    IncomingResponse reply;
    int status;
  };
  const Row rows[] = {
      {{0, {}, "", false, false}, 502},    {{0, {}, "", true, false}, 504},    {{200, {}, "", false, true}, 502},
      {{200, {}, "<", false, false}, 502}, {{500, {}, "", false, false}, 502}, {{301, {}, "", false, false}, 502},
      {{101, {}, "", false, false}, 502},
  };
  for (const Row& row : rows) {
    auto exchange = open(gate, "GET", object, "alice");
    const Step step = exchange->next(now());
    ASSERT_TRUE(std::holds_alternative<Forward>(step.action));
    exchange->give(step.step_id, row.reply, now());
    EXPECT_EQ(status_of(exchange->next(now())), row.status);
  }
}

TEST(Gate, WaitersAreServedByOneFetch) {
  Gate gate = make_gate(true);
  auto first = open(gate, "GET", "/ok/x", "alice");
  auto second = open(gate, "GET", object, "bob");
  const Step carried = first->next(now());
  const Step waiting = second->next(now());
  ASSERT_TRUE(std::holds_alternative<Fetch>(carried.action));
  ASSERT_TRUE(std::holds_alternative<Wait>(waiting.action));
  EXPECT_EQ(std::get<Wait>(waiting.action).fetch_id, std::get<Fetch>(carried.action).fetch_id);
  gate.give(std::get<Fetch>(carried.action).fetch_id,
            IncomingResponse{200, {}, json::write(*tokens().find("jwks")), false, false}, now());
  EXPECT_EQ(status_of(first->next(now())), 404);
  EXPECT_TRUE(std::holds_alternative<Forward>(second->next(now()).action));
}

TEST(Gate, TheFetchOutlivesTheExchangeThatCarriedIt) {
  Gate gate = make_gate(true);
  auto first = open(gate, "GET", object, "alice");
  const std::uint64_t fetch_id = std::get<Fetch>(first->next(now()).action).fetch_id;
  auto second = open(gate, "GET", object, "bob");
  ASSERT_TRUE(std::holds_alternative<Wait>(second->next(now()).action));
  first.reset();
  gate.give(fetch_id, IncomingResponse{200, {}, json::write(*tokens().find("jwks")), false, false}, now());
  EXPECT_TRUE(std::holds_alternative<Forward>(second->next(now()).action));
  gate.give(fetch_id, IncomingResponse{200, {}, "{\"keys\":[]}", false, false}, now());  // answered already: dropped
  EXPECT_TRUE(std::holds_alternative<Forward>(open(gate, "GET", object, "bob")->next(now()).action));
}

TEST(Gate, AnObjectFetchIsForgottenWithItsExchange) {
  Gate gate = make_gate();
  auto exchange = open(gate, "DELETE", thread, "alice");
  const std::uint64_t fetch_id = std::get<Fetch>(exchange->next(now()).action).fetch_id;
  exchange.reset();
  gate.give(fetch_id, IncomingResponse{200, {}, "[]", false, false}, now());  // must not reach freed memory
}

TEST(Gate, AStrangerLearnsNothingAboutRoutes) {
  Gate gate = make_gate();
  std::string first;
  for (const char* target : {"/threads", "/internal/truncate", "/nowhere", "/threads/../x", thread}) {
    auto exchange = gate.open(RequestHead{"POST", target, nullptr, 0}, now());
    const Step step = exchange->next(now());
    ASSERT_EQ(status_of(step), 401) << target;
    if (first.empty()) first = std::get<Respond>(step.action).body;
    EXPECT_EQ(std::get<Respond>(step.action).body, first) << target;
  }
}

TEST(Gate, ExplainsADecisionWithoutANetwork) {
  Gate gate = make_gate();
  const std::string value = bearer("alice");
  const HeaderView header{"authorization", value};
  const std::string target = std::string(thread) + "/runs/stream";
  auto told = json::parse(gate.explain(RequestHead{"POST", target, &header, 1}, R"({"assistant_id":"agent"})", now()));
  ASSERT_TRUE(told.ok());
  EXPECT_EQ(told->find("user")->find("identity")->as_string(), "alice");
  EXPECT_EQ(told->find("route")->find("action")->as_string(), "create_run");
  EXPECT_EQ(told->find("rule")->as_string(), "*");
  EXPECT_EQ(json::write(*told->find("filter")), R"({"owner":"alice"})");
  EXPECT_EQ(told->find("checks")->items().size(), 1U);
  EXPECT_EQ(told->find("outcome")->find("kind")->as_string(), "forward");
  EXPECT_EQ(told->find("outcome")->find("body")->as_string(),
            R"({"assistant_id":"agent","metadata":{"owner":"alice"},"if_not_exists":"reject"})");

  told = json::parse(gate.explain(RequestHead{"POST", target, nullptr, 0}, "", now()));
  EXPECT_EQ(told->find("outcome")->find("code")->as_string(), "credential_missing");
  Gate remote = make_gate(true);
  told = json::parse(remote.explain(RequestHead{"GET", thread, &header, 1}, "", now()));
  EXPECT_EQ(told->find("outcome")->find("kind")->as_string(), "keys_needed");
}

// A gate that fetched its keys at now().
Gate gate_with_fetched_keys() {
  Gate gate = make_gate(true);
  auto exchange = open(gate, "GET", thread, "alice");
  const std::uint64_t fetch_id = std::get<Fetch>(exchange->next(now()).action).fetch_id;
  gate.give(fetch_id, IncomingResponse{200, {}, json::write(*tokens().find("jwks")), false, false}, now());
  return gate;
}

TEST(Gate, KeysOutliveTheProcessInASnapshot) {
  Gate first = gate_with_fetched_keys();
  EXPECT_EQ(first.keys_version(), 1U);
  const std::string kept = first.export_keys();
  ASSERT_FALSE(kept.empty());

  Gate second = make_gate(true);
  EXPECT_EQ(second.export_keys(), "");
  EXPECT_EQ(second.import_keys(kept, now().plus_seconds(60)), 1U);
  EXPECT_EQ(second.keys_version(), 0U) << "nothing new to keep";
  EXPECT_TRUE(std::holds_alternative<Forward>(open(second, "GET", object, "alice")->next(now().plus_seconds(60)).action))
      << "no fetch";
  EXPECT_EQ(second.import_keys(kept, now().plus_seconds(60)), 0U) << "no newer than what is in use";
}

TEST(Gate, SnapshotsCountTheirAgeFromTheFetch) {
  const std::string kept = gate_with_fetched_keys().export_keys();
  Gate gate = make_gate(true);
  EXPECT_EQ(gate.import_keys(kept, now().plus_seconds(600 + 3600)), 0U) << "past the stale bound";
  EXPECT_EQ(gate.import_keys(kept, now().plus_seconds(-60)), 0U) << "from the future";
  EXPECT_EQ(gate.import_keys(kept, now().plus_seconds(700)), 1U) << "stale, but within the bound";
  const Step step = open(gate, "GET", thread, "alice")->next(now().plus_seconds(700));
  EXPECT_TRUE(std::holds_alternative<Fetch>(step.action)) << "a stale set is asked about first";
}

TEST(Gate, SnapshotsOfOthersAreRefused) {
  const std::string kept = gate_with_fetched_keys().export_keys();
  auto other = Gate::create(
      R"({"issuers":[{"issuer":"https://idp.example/auth/v1","audience":"agents","jwks_uri":"https://idp.example/other"}],)"
      R"("upstream":{"url":"http://127.0.0.1:2024"}})");
  ASSERT_TRUE(other.ok());
  EXPECT_EQ(other->import_keys(kept, now()), 0U) << "fetched from another address";
  Gate gate = make_gate(true);
  std::string altered = kept;
  for (const char* text : {"", "{}", "[]", "null", R"({"format":"postern keys 1"})",
                           R"({"format":"postern keys 1","issuers":[{}]})", R"({"format":"postern keys 1","issuers":7})"}) {
    EXPECT_EQ(gate.import_keys(text, now()), 0U) << text;
  }
  for (const auto& [from, to] : {std::pair<std::string, std::string>{"\"fetched_at_ms\":", "\"fetched_at_ms\":-"},
                                 {"\"max_age_seconds\":", "\"max_age_seconds\":-"},
                                 {"postern keys 1", "postern keys 2"},
                                 {"\\\"kty\\\":", "\\\"d\\\":\\\"x\\\",\\\"kty\\\":"}}) {
    altered = kept;
    const std::size_t at = altered.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    altered.replace(at, from.size(), to);
    EXPECT_EQ(gate.import_keys(altered, now()), 0U) << to;
  }
  EXPECT_EQ(gate.import_keys(kept, now()), 1U);
}

TEST(Gate, ExplainingLeavesTheKeysToOthers) {
  Gate gate = make_gate(true);
  const std::string value = bearer("alice");
  const HeaderView header{"authorization", value};
  (void)gate.explain(RequestHead{"GET", thread, &header, 1}, "", now());
  EXPECT_TRUE(std::holds_alternative<Fetch>(open(gate, "GET", thread, "alice")->next(now()).action)) << "not a Wait";
}

TEST(Gate, SaysWhyKeysCouldNotBeHad) {
  Gate gate = make_gate(true);
  EXPECT_TRUE(gate.key_faults().empty());
  auto exchange = open(gate, "GET", thread, "alice");
  const std::uint64_t fetch_id = std::get<Fetch>(exchange->next(now()).action).fetch_id;
  gate.give(fetch_id, IncomingResponse{500, {}, "", false, false}, now());
  ASSERT_EQ(gate.key_faults().size(), 1U);
  EXPECT_EQ(gate.key_faults().front(), "https://idp.example/auth/v1: JWK Set: status 500");
}

TEST(Gate, NothingPrintedHoldsTheToken) {
  Gate gate = make_gate();
  for (const auto& member : tokens().find("tokens")->members()) {
    const std::string value = "Bearer " + member.second.as_string();
    const HeaderView header{"authorization", value};
    const RequestHead head{"GET", thread, &header, 1};
    auto exchange = gate.open(head, now());
    const Step step = exchange->next(now());
    if (const auto* respond = std::get_if<Respond>(&step.action)) {
      for (std::size_t at = 0; at + 16 < member.second.as_string().size(); at += 16) {
        EXPECT_EQ(respond->body.find(member.second.as_string().substr(at, 16)), std::string::npos) << member.first;
      }
      EXPECT_EQ(respond->body.find("alice"), std::string::npos) << member.first;
    }
  }
}

// How many calls of due() until nothing waits to be built, after this many requests of alice.
int slices_after(Gate& gate, int requests) {
  for (int i = 0; i < requests; ++i) {
    auto exchange = open(gate, "GET", object, "alice");
    EXPECT_TRUE(std::holds_alternative<Forward>(exchange->next(now()).action));
  }
  int slices = 0;
  while (slices < 1000 && gate.due(now()).next_at <= now()) ++slices;
  return slices;
}

Gate make_gate_with(std::string_view more) {
  std::string text = config(false);
  text.pop_back();
  auto gate = Gate::create(text + "," + std::string(more) + "}");
  EXPECT_TRUE(gate.ok()) << gate.error().text();
  return std::move(gate).value();
}

TEST(Gate, TablesAreBuiltByDueAloneOnceAKeyIsBusy) {
  Gate gate = make_gate();
  EXPECT_EQ(gate.due(now()).next_at, now().plus_seconds(1)) << "nobody says when a key has become busy";
  EXPECT_EQ(slices_after(gate, 3), 0);
  EXPECT_EQ(slices_after(gate, 1), 16) << "the generator's table and the small one";
  EXPECT_EQ(slices_after(gate, 127), 0);
  EXPECT_EQ(slices_after(gate, 1), 8);
  EXPECT_EQ(gate.due(now()).next_at, now().plus_seconds(3600)) << "there is no larger one";
  EXPECT_EQ(slices_after(gate, 1000), 0);
}

TEST(Gate, TheFirstCallOfDueSaysThatTablesWaitAndBuildsNone) {
  Gate gate = make_gate();
  for (int i = 0; i < 4; ++i) (void)open(gate, "GET", object, "alice")->next(now());
  int calls = 0;
  while (gate.due(now()).next_at <= now()) ++calls;
  EXPECT_EQ(calls, 16) << "one call that says so, and sixteen slices, of which the last leaves nothing";
}

TEST(Gate, TablesCanBeTurnedOff) {
  for (const char* more :
       {R"("verifier":"portable")", R"("limits":{"table_bytes_max":0})", R"("limits":{"table_bytes_max":32767})"}) {
    SCOPED_TRACE(more);
    Gate gate = make_gate_with(more);
    EXPECT_EQ(slices_after(gate, 200), 0);
    EXPECT_EQ(gate.due(now()).next_at, now().plus_seconds(3600));
    auto exchange = open(gate, "GET", object, "wrong_key");
    EXPECT_EQ(status_of(exchange->next(now())), 401);
  }
}

}  // namespace
}  // namespace postern
