// CallHandler: what functions of the host program are asked, and what becomes of each answer they can give.
#include "handler.h"

#include <gtest/gtest.h>

#include <array>

#include "json.h"
#include "postern/gate.h"
#include "settings.h"

namespace postern {
namespace {

constexpr const char* id = "11111111-1111-4111-8111-111111111111";
constexpr const char* thread = "/threads/11111111-1111-4111-8111-111111111111";
constexpr const char* upstream_only = R"({"upstream":{"url":"http://127.0.0.1:2024"}})";
constexpr Time now{1'800'000'000'000};
constexpr HostHandlers both{true, true};

using State = HandlerResult::State;

Gate make_gate(HostHandlers handlers = both, std::string_view config = upstream_only) {
  auto gate = Gate::create(config, {}, handlers);
  EXPECT_TRUE(gate.ok()) << gate.error().text();
  return std::move(gate).value();
}

std::string fault_of(HostHandlers handlers, std::string_view config) {
  const auto gate = Gate::create(config, {}, handlers);
  return gate ? std::string("no fault") : gate.error().text();
}

std::unique_ptr<Exchange> open(Gate& gate, std::string_view method, std::string_view target, Purpose purpose = Purpose::handle) {
  const HeaderView header{"authorization", "Whatever the program knows"};
  return gate.open(RequestHead{method, target, &header, 1}, now, purpose);
}

HandlerResult answered(std::string answer, std::string changes = {}) {
  HandlerResult result;
  result.state = State::answered;
  result.answer = std::move(answer);
  result.changes = std::move(changes);
  return result;
}

HandlerResult refused(int status, std::vector<Header> headers = {}) {
  HandlerResult result;
  result.state = State::refused;
  result.status = status;
  result.message = "not today";
  result.headers = std::move(headers);
  return result;
}

HandlerResult of_state(State state) {
  HandlerResult result = answered("true");
  result.state = state;
  return result;
}

constexpr const char* alice = R"({"identity":"alice","permissions":["run"],"fields":{"team":"red"}})";

struct Asked {
  CallHandler call;
  json::Value value;
};

// Plays an exchange to its end: the user is `user`, each `on` question gets the next of `answers`, an upstream's object is
// `object`.
struct Played {
  Step last;
  std::vector<Asked> asked;
  std::vector<std::string> fetched;
  [[nodiscard]] int status() const {
    const auto* respond = std::get_if<Respond>(&last.action);
    return respond == nullptr ? 0 : respond->status;
  }
  [[nodiscard]] std::string error() const {
    const auto* respond = std::get_if<Respond>(&last.action);
    return respond == nullptr || !respond->error ? std::string() : std::string(name(*respond->error));
  }
  [[nodiscard]] bool forwarded() const { return std::holds_alternative<Forward>(last.action); }
  [[nodiscard]] json::Value body() const {
    const auto* forward = std::get_if<Forward>(&last.action);
    return forward == nullptr ? json::Value{} : json::parse(forward->request.body).value();
  }
  [[nodiscard]] std::string text() const {
    const auto* respond = std::get_if<Respond>(&last.action);
    return respond == nullptr ? std::string() : respond->body;
  }
};

Played play(Gate& gate, std::string_view method, std::string_view target, std::string body, std::vector<HandlerResult> answers,
            std::string object = "[]") {
  auto exchange = open(gate, method, target);
  Played out;
  for (int steps = 0; steps < 40; ++steps) {
    out.last = exchange->next(now);
    if (auto* call = std::get_if<CallHandler>(&out.last.action)) {
      if (call->kind == CallHandler::Kind::authenticate) {
        exchange->give(out.last.step_id, answered(alice), now);
        continue;
      }
      out.asked.push_back({*call, json::parse(call->value).value()});
      EXPECT_LE(out.asked.size(), answers.size()) << call->resource << ":" << call->action;
      if (out.asked.size() > answers.size()) return out;
      exchange->give(out.last.step_id, answers[out.asked.size() - 1], now);
    } else if (std::holds_alternative<ReadBody>(out.last.action)) {
      exchange->give(out.last.step_id, BodyResult{BodyResult::State::whole, body}, now);
    } else if (auto* fetch = std::get_if<Fetch>(&out.last.action)) {
      out.fetched.push_back(fetch->request.method + " " + fetch->request.url + " " + fetch->request.body);
      gate.give(fetch->fetch_id, IncomingResponse{200, {}, object, false, false}, now);
    } else {
      return out;
    }
  }
  ADD_FAILURE() << "no end";
  return out;
}

std::string events(const Played& played) {
  std::string out;
  for (const Asked& asked : played.asked) out += (out.empty() ? "" : " ") + asked.call.resource + ":" + asked.call.action;
  return out;
}

TEST(Handler, AConfigurationAloneCannotSwitchOneOn) {
  const std::string named = R"({"credentials":[{"kind":"handler"}],"upstream":{"url":"http://127.0.0.1:2024"}})";
  EXPECT_NE(fault_of({}, named).find("credentials[0].kind: needs a program"), std::string::npos) << fault_of({}, named);
  EXPECT_EQ(fault_of(both, named), "no fault");
  EXPECT_NE(fault_of({}, upstream_only).find("issuers"), std::string::npos);
  EXPECT_NE(fault_of({false, true}, upstream_only).find("issuers"), std::string::npos) << "nobody says who is calling";
}

TEST(Handler, ItsPlaceInTheChainIsLastAndSaid) {
  const auto with = [](std::string_view credentials) {
    return R"({"issuers":[{"issuer":"https://idp.example","audience":"agents","identity_prefix":"idp:"}],)" +
           std::string(credentials) + R"("upstream":{"url":"http://127.0.0.1:2024"}})";
  };
  EXPECT_NE(fault_of(both, with("")).find("issuers: stand beside an authenticate handler"), std::string::npos);
  EXPECT_NE(fault_of(both, with(R"("credentials":[{"kind":"jwt"}],)")).find("leaves the program's"), std::string::npos);
  EXPECT_NE(fault_of(both, with(R"("credentials":[{"kind":"handler","identity_prefix":"h:"},{"kind":"jwt"}],)")).find("last"),
            std::string::npos);
  EXPECT_NE(fault_of(both, with(R"("credentials":[{"kind":"jwt"},{"kind":"handler"}],)")).find("identity_prefix"),
            std::string::npos);
  EXPECT_EQ(fault_of(both, with(R"("credentials":[{"kind":"jwt"},{"kind":"handler","identity_prefix":"h:"}],)")), "no fault");
}

TEST(Handler, NamesTheUser) {
  Gate gate = make_gate(
      both, R"({"credentials":[{"kind":"handler","identity_prefix":"h:"}],"upstream":{"url":"http://127.0.0.1:2024"}})");
  auto exchange = open(gate, "GET", thread, Purpose::authenticate);
  const Step step = exchange->next(now);
  ASSERT_TRUE(std::holds_alternative<CallHandler>(step.action));
  exchange->give(step.step_id, answered(R"({"identity":"alice","display_name":"Alice","permissions":["a"],"fields":{"x":[1]}})"),
                 now);
  const Step last = exchange->next(now);
  ASSERT_TRUE(std::holds_alternative<Authenticated>(last.action));
  const auto& done = std::get<Authenticated>(last.action);
  EXPECT_EQ(done.user->identity, "h:alice");
  EXPECT_EQ(done.user->display_name, "Alice");
  EXPECT_EQ(done.user->permissions, std::vector<std::string>{"a"});
  EXPECT_EQ(done.user->fields_json, R"({"x":[1]})");
  EXPECT_EQ(done.cache_serial, 0U) << "it is asked each time";
}

TEST(Handler, WhateverElseAuthenticateAnswersForwardsNothing) {
  struct Row {
    HandlerResult result;
    int status;
    std::string error;
  };
  const std::array rows = {
      Row{refused(0), 401, "credential_refused"},
      Row{refused(403), 403, "credential_refused"},
      Row{refused(429, {{"Retry-After", "7"}}), 429, "credential_refused"},
      Row{refused(200), 500, "handler_failed"},
      Row{refused(399), 500, "handler_failed"},
      Row{refused(600), 500, "handler_failed"},
      Row{refused(401, {{"x", "a\r\nb"}}), 500, "handler_failed"},
      Row{of_state(State::failed), 500, "handler_failed"},
      Row{of_state(State::timed_out), 503, "handler_timeout"},
      Row{answered(""), 500, "handler_failed"},
      Row{answered("true"), 500, "handler_failed"},
      Row{answered("\"alice\""), 500, "handler_failed"},
      Row{answered("null"), 500, "handler_failed"},
      Row{answered("{}"), 500, "handler_failed"},
      Row{answered(R"({"identity":""})"), 500, "handler_failed"},
      Row{answered(R"({"identity":7})"), 500, "handler_failed"},
      Row{answered(R"({"identity":"alice","permissions":"all"})"), 500, "handler_failed"},
      Row{answered(R"({"identity":"alice","is_authenticated":false})"), 500, "handler_failed"},
      Row{answered(R"({"identity":"alice","fields":{"identity":"root"}})"), 500, "handler_failed"},
      Row{answered(R"({"identity":"alice","fields":{"permissions":["all"]}})"), 500, "handler_failed"},
      Row{answered(R"({"identity":"alice"} )" + std::string("x")), 500, "handler_failed"},
  };
  Gate gate = make_gate();
  for (const Row& row : rows) {
    auto exchange = open(gate, "POST", "/threads/search");
    const Step step = exchange->next(now);
    ASSERT_TRUE(std::holds_alternative<CallHandler>(step.action));
    exchange->give(step.step_id, row.result, now);
    const Step last = exchange->next(now);
    ASSERT_TRUE(std::holds_alternative<Respond>(last.action)) << row.result.answer;
    const auto& respond = std::get<Respond>(last.action);
    EXPECT_EQ(respond.status, row.status) << row.result.answer;
    EXPECT_EQ(name(*respond.error), row.error) << row.result.answer;
  }
}

TEST(Handler, ARefusalsHeadersReachTheClientButThoseThatFrameTheAnswer) {
  Gate gate = make_gate();
  auto exchange = open(gate, "GET", thread);
  const Step step = exchange->next(now);
  exchange->give(step.step_id,
                 refused(401, {{"WWW-Authenticate", "Basic realm=\"x\""},
                               {"Content-Length", "3"},
                               {"content-type", "text/html"},
                               {"access-control-allow-origin", "*"},
                               {"x-why", "because"}}),
                 now);
  const Step last = exchange->next(now);
  std::string seen;
  for (const Header& header : std::get<Respond>(last.action).headers) seen += header.name + "=" + header.value + ";";
  EXPECT_EQ(seen, "content-type=application/json;cache-control=no-store;www-authenticate=Basic realm=\"x\";x-why=because;");
}

TEST(Handler, AHostThatFailsOrAnswersAnotherStepNeverForwards) {
  Gate gate = make_gate();
  for (int way = 0; way < 5; ++way) {
    auto exchange = open(gate, "POST", "/threads/search");
    const Step step = exchange->next(now);
    ASSERT_TRUE(std::holds_alternative<CallHandler>(step.action));
    if (way == 0) exchange->fail(step.step_id);
    if (way == 1) exchange->give(step.step_id + 1, answered(alice), now);
    if (way == 2) exchange->give(step.step_id, BodyResult{}, now);
    if (way == 3) exchange->give(step.step_id, IncomingResponse{}, now);
    const Step last = exchange->next(now);  // way 4: without an answer
    ASSERT_TRUE(std::holds_alternative<Respond>(last.action)) << way;
    EXPECT_EQ(std::get<Respond>(last.action).status, 500) << way;
  }
}

TEST(Handler, EveryAnswerOfAnOnHandler) {
  struct Row {
    HandlerResult result;
    int status;  // 0: forwarded
    std::string error;
  };
  const std::array rows = {
      Row{answered("true"), 0, ""},
      Row{answered(R"({"owner":"alice"})"), 0, ""},
      Row{answered(R"({"$or":[{"owner":"alice"},{"shared":{"$contains":"alice"}}]})"), 422, "search_not_enforceable"},
      Row{answered("false"), 403, "handler_denied"},
      Row{refused(0), 403, "handler_denied"},
      Row{refused(418), 418, "handler_denied"},
      Row{of_state(State::failed), 500, "handler_failed"},
      Row{of_state(State::timed_out), 503, "handler_timeout"},
      Row{answered(""), 500, "handler_failed"},
      Row{answered("null"), 500, "handler_failed"},
      Row{answered("1"), 500, "handler_failed"},
      Row{answered("\"true\""), 500, "handler_failed"},
      Row{answered("[]"), 500, "handler_failed"},
      // LangGraph's JS server takes each of these for "everything".
      Row{answered("{}"), 403, "handler_denied"},
      Row{answered(R"({"owner":{"$eq":""}})"), 403, "handler_denied"},
      Row{answered(R"({"owner":""})"), 403, "handler_denied"},
      Row{answered(R"({"owner":null})"), 403, "handler_denied"},
      Row{answered(R"({"owner":["alice"]})"), 403, "handler_denied"},
      Row{answered(R"({"owner":{"$ne":"bob"}})"), 403, "handler_denied"},
      Row{answered(R"({"owner":{"$or":["alice"]}})"), 403, "handler_denied"},
      Row{answered(R"({"owner":{"$contains":[]}})"), 403, "handler_denied"},
      Row{answered(R"({"$or":[]})"), 403, "handler_denied"},
      Row{answered("true", "true"), 500, "handler_failed"},
      Row{answered("true", R"({"limit":1000})"), 500, "handler_failed"},
      Row{answered("true", R"({"namespace":["alice"]})"), 500, "handler_failed"},
      Row{answered("true", R"({"metadata":7})"), 500, "handler_failed"},
  };
  Gate gate = make_gate();
  for (const Row& row : rows) {
    const Played played = play(gate, "POST", "/threads/search", R"({"offset":999,"limit":2})", {row.result});
    EXPECT_EQ(events(played), "threads:search");
    EXPECT_EQ(played.status(), row.status) << row.result.answer << row.result.changes << played.text();
    EXPECT_EQ(played.error(), row.error) << row.result.answer << row.result.changes;
    EXPECT_EQ(played.forwarded(), row.status == 0) << row.result.answer << row.result.changes;
    EXPECT_EQ(played.text().find("alice"), std::string::npos) << "no value is told";
  }
}

TEST(Handler, AFiltersOperandIsALiteral) {
  Gate gate = make_gate();
  const Played played = play(gate, "POST", "/threads/search", "{}", {answered(R"({"owner":"$user.identity"})")});
  EXPECT_EQ(json::write(*played.body().find("metadata")), R"({"owner":"$user.identity"})");
}

TEST(Handler, PolicyAndHandlerMustBothAllow) {
  const auto with = [](std::string_view policy) {
    return R"({"policy":)" + std::string(policy) + R"(,"upstream":{"url":"http://127.0.0.1:2024"}})";
  };
  Gate denies = make_gate(both, with(R"({"threads":"deny"})"));
  const Played denied = play(denies, "POST", "/threads/search", "{}", {});
  EXPECT_EQ(denied.error(), "policy_denied");
  Gate filters = make_gate(both, with(R"({"threads":{"filter":{"owner":"$user.identity"}}})"));
  const Played filtered = play(filters, "POST", "/threads/search", "{}", {answered(R"({"team":"red"})")});
  EXPECT_EQ(json::write(*filtered.body().find("metadata")), R"({"owner":"alice","team":"red"})");
  EXPECT_EQ(play(filters, "POST", "/threads/search", "{}", {answered("false")}).error(), "handler_denied");
}

TEST(Handler, WithoutAnyThereIsNoStepAndWithoutOnThePolicyStands) {
  Gate gate = make_gate({true, false});
  const Played played = play(gate, "POST", "/threads/search", "{}", {});
  ASSERT_TRUE(played.forwarded());
  EXPECT_EQ(json::write(*played.body().find("metadata")), R"({"owner":"alice"})");
}

TEST(Handler, SeesTheUserInLangGraphsShape) {
  Gate gate = make_gate();
  const Played played = play(gate, "POST", "/threads/search", "{}", {answered("true")});
  EXPECT_EQ(
      played.asked.front().call.user,
      R"({"identity":"alice","display_name":"alice","is_authenticated":true,"permissions":["run"],"team":"red","claims":{}})");
}

TEST(Handler, MetadataThatItChangesIsWhatTheUpstreamGets) {
  Gate gate = make_gate();
  const Played played = play(gate, "POST", "/threads", R"({"metadata":{"owner":"bob","big":12345678901234567890,"gone":1}})",
                             {answered("true", R"({"metadata":{"owner":"alice","gone":null}})")});
  ASSERT_TRUE(played.forwarded()) << played.text();
  EXPECT_EQ(json::write(*played.body().find("metadata")), R"({"owner":"alice","big":12345678901234567890})");
  // Where the client sent none.
  const Played made =
      play(gate, "POST", "/threads", "{}", {answered(R"({"owner":"alice"})", R"({"metadata":{"owner":"alice"}})")});
  EXPECT_EQ(json::write(*made.body().find("metadata")), R"({"owner":"alice"})");
  // What would not be seen by the filter that comes with it is not made.
  const Played hidden = play(gate, "POST", "/threads", "{}", {answered(R"({"team":{"$contains":"red"}})")});
  EXPECT_EQ(hidden.error(), "policy_denied");
}

TEST(Handler, MetadataIsCheckedAgainAndOnlyWhereTheRouteHasSome) {
  Gate gate = make_gate();
  const Played made =
      play(gate, "POST", "/assistants", R"({"graph_id":"agent"})", {answered("true", R"({"metadata":{"created_by":"system"}})")});
  EXPECT_EQ(made.error(), "handler_failed");
  const Played read = play(gate, "GET", thread, "", {answered("true", R"({"metadata":{"owner":"alice"}})")});
  ASSERT_TRUE(read.forwarded()) << read.text();
  EXPECT_EQ(std::get<Forward>(read.last.action).request.body, "");
}

TEST(Handler, ChangesOfOneBodyDoNotReachTheFieldsThatTheFilterKeeps) {
  Gate gate = make_gate();
  const std::string stored = R"([{"thread_id":")" + std::string(id) + R"(","metadata":{"owner":"alice"}}])";
  const Played played = play(gate, "PATCH", thread, R"({"metadata":{"title":"x"}})",
                             {answered(R"({"owner":"alice"})", R"({"metadata":{"owner":"bob","seen":true}})")}, stored);
  ASSERT_TRUE(played.forwarded()) << played.text();
  EXPECT_EQ(json::write(*played.body().find("metadata")), R"({"title":"x","owner":"alice","seen":true})");
}

struct EventRow {
  std::string_view method;
  std::string target;
  std::string body;
  std::string events;
  std::string value;  // of the first
};

const std::string run_id = "22222222-2222-4222-8222-222222222222";

class HandlerEvents : public testing::TestWithParam<EventRow> {};

TEST_P(HandlerEvents, AreWhatLangGraphAsks) {
  Gate gate = make_gate();
  const EventRow& row = GetParam();
  std::vector<HandlerResult> answers(8, answered("true"));
  const bool of_run = (row.target + row.body).find(run_id) != std::string::npos;
  const std::string whose = R"("thread_id":")" + std::string(id) + R"(")";
  const Played played =
      play(gate, row.method, row.target, row.body, answers,
           of_run ? R"({"run_id":")" + run_id + R"(",)" + whose + "}" : "[{" + whose + R"(,"metadata":{"owner":"alice"}}])");
  EXPECT_EQ(events(played), row.events);
  ASSERT_FALSE(played.asked.empty());
  EXPECT_EQ(json::write(played.asked.front().value), row.value);
  EXPECT_TRUE(played.forwarded()) << played.text();
  // Each of them can say no.
  for (std::size_t no = 0; no < played.asked.size(); ++no) {
    std::vector<HandlerResult> one_denies(8, answered("true"));
    one_denies[no] = answered("false");
    const Played denied = play(gate, row.method, row.target, row.body, one_denies,
                               R"([{"thread_id":")" + std::string(id) + R"(","metadata":{"owner":"alice"}}])");
    EXPECT_FALSE(denied.forwarded()) << no;
    EXPECT_TRUE(denied.status() == 403 || denied.status() == 404) << denied.status() << denied.text();
  }
}

const std::string in_thread = R"({"thread_id":")" + std::string(id) + "\"";
const std::string of_assistant = R"({"assistant_id":")" + std::string(id) + "\"";
const std::string kwargs =
    R"("kwargs":{"input":null,"command":null,"config":null,"context":null,"stream_mode":null,"interrupt_before":null,"interrupt_after":null,"webhook":null,"feedback_keys":null}})";

INSTANTIATE_TEST_SUITE_P(
    Rows, HandlerEvents,
    testing::Values(
        EventRow{"POST", "/threads", R"({"if_exists":"raise"})", "threads:create",
                 R"({"thread_id":null,"metadata":null,"if_exists":"raise"})"},
        EventRow{"POST", "/threads/search", R"({"limit":5,"metadata":{"a":1}})", "threads:search",
                 R"({"metadata":{"a":1},"ids":null,"status":null,"values":null,"limit":5,"offset":null})"},
        EventRow{"POST", "/threads/count", "{}", "threads:search",
                 R"({"metadata":null,"ids":null,"status":null,"values":null,"limit":0,"offset":0})"},
        EventRow{"GET", thread, "", "threads:read", in_thread + "}"},
        EventRow{"GET", thread + std::string("/state"), "", "threads:read", in_thread + "}"},
        EventRow{"PATCH", thread, R"({"metadata":{"a":1}})", "threads:update", in_thread + R"(,"metadata":{"a":1}})"},
        EventRow{"DELETE", thread, "", "threads:delete", in_thread + "}"},
        EventRow{"POST", thread + std::string("/state"), R"({"values":{}})", "threads:update threads:read", in_thread + "}"},
        EventRow{"POST", thread + std::string("/copy"), "", "threads:read threads:create", in_thread + "}"},
        EventRow{"POST", "/threads/prune", R"({"thread_ids":[")" + std::string(id) + R"("],"strategy":"delete"})",
                 "threads:delete", in_thread + "}"},
        EventRow{
            "POST", thread + std::string("/runs"), R"({"assistant_id":"agent"})", "threads:create_run",
            in_thread +
                R"(,"assistant_id":"agent","run_id":null,"status":"pending","metadata":{},"multitask_strategy":null,"if_not_exists":null,"after_seconds":null,)" +
                kwargs},
        EventRow{
            "POST", "/runs/wait", R"({"assistant_id":"agent","metadata":{"a":1}})", "threads:create_run",
            R"({"thread_id":null,"assistant_id":"agent","run_id":null,"status":"pending","metadata":{"a":1},"multitask_strategy":null,"if_not_exists":null,"after_seconds":null,)" +
                kwargs},
        EventRow{
            "POST", "/runs/batch", R"([{"assistant_id":"agent"},{"assistant_id":"agent"}])",
            "threads:create_run threads:create_run",
            R"({"thread_id":null,"assistant_id":"agent","run_id":null,"status":"pending","metadata":{},"multitask_strategy":null,"if_not_exists":null,"after_seconds":null,)" +
                kwargs},
        EventRow{"GET", thread + std::string("/runs?status=error"), "", "threads:read threads:search", in_thread + "}"},
        EventRow{"GET", thread + std::string("/runs/") + run_id, "", "threads:read", in_thread + "}"},
        EventRow{"DELETE", thread + std::string("/runs/") + run_id, "", "threads:delete",
                 in_thread + R"(,"run_id":")" + run_id + "\"}"},
        EventRow{"POST", thread + std::string("/runs/") + run_id + "/cancel?action=rollback", "", "threads:update",
                 in_thread + R"(,"action":"rollback","metadata":{"run_ids":[")" + run_id + R"("],"status":"pending"}})"},
        EventRow{"POST", "/runs/cancel", in_thread + R"(,"run_ids":[")" + run_id + "\"]}", "threads:update",
                 in_thread + R"(,"action":"interrupt","metadata":{"run_ids":[")" + run_id + R"("],"status":"pending"}})"},
        EventRow{"POST", thread + std::string("/commands"), R"({"id":1,"method":"state.get"})", "threads:read", in_thread + "}"},
        EventRow{
            "POST", "/assistants", R"({"graph_id":"agent"})", "assistants:create",
            R"({"assistant_id":null,"config":null,"context":null,"graph_id":"agent","metadata":null,"if_exists":null,"name":null,"description":null})"},
        EventRow{"GET", "/assistants/" + std::string(id), "", "assistants:read", of_assistant + "}"},
        EventRow{"PATCH", "/assistants/" + std::string(id), R"({"name":"n"})", "assistants:update",
                 of_assistant + R"(,"graph_id":null,"config":null,"metadata":null,"name":"n","description":null})"},
        EventRow{"POST", "/assistants/" + std::string(id) + "/latest", R"({"version":2})", "assistants:update",
                 of_assistant + R"(,"version":2})"},
        EventRow{"DELETE", "/assistants/" + std::string(id), "", "assistants:delete", of_assistant + "}"},
        EventRow{"POST", "/assistants/search", "{}", "assistants:search",
                 R"({"graph_id":null,"metadata":null,"limit":null,"offset":null})"},
        EventRow{
            "POST", "/runs/crons", R"({"schedule":"* * * * *","assistant_id":"agent"})", "crons:create threads:create_run",
            R"({"cron_id":null,"payload":{"schedule":"* * * * *","assistant_id":"agent"},"schedule":"* * * * *","metadata":null,"thread_id":null,"user_id":null,"end_time":null})"},
        EventRow{"POST", "/runs/crons/search", "{}", "crons:search",
                 R"({"assistant_id":null,"thread_id":null,"metadata":null,"limit":null,"offset":null})"},
        EventRow{"GET", "/runs/crons/" + std::string(id), "", "crons:read", R"({"cron_id":")" + std::string(id) + "\"}"},
        EventRow{"PUT", "/store/items", R"({"namespace":["alice"],"key":"k","value":{"a":1}})", "store:put",
                 R"({"namespace":["alice"],"key":"k","value":{"a":1}})"},
        EventRow{"DELETE", "/store/items", R"({"namespace":["alice"],"key":"k"})", "store:delete",
                 R"({"namespace":["alice"],"key":"k"})"},
        EventRow{"GET", "/store/items?namespace=alice.b&key=k", "", "store:get", R"({"namespace":["alice","b"],"key":"k"})"},
        EventRow{"POST", "/store/items/search", R"({"namespace_prefix":["alice"]})", "store:search",
                 R"({"namespace":["alice"],"filter":null,"limit":null,"offset":null,"query":null})"},
        EventRow{"POST", "/store/namespaces", "{}", "store:list_namespaces",
                 R"({"namespace":null,"suffix":null,"max_depth":null,"limit":null,"offset":null})"}));

TEST(Handler, AnAssistantThatARunNamesIsAskedAboutAsWell) {
  Gate gate = make_gate();
  const std::string body = of_assistant + "}";
  const Played fine = play(gate, "POST", "/runs", body, {answered("true"), answered("true")});
  EXPECT_EQ(events(fine), "threads:create_run assistants:read");
  EXPECT_TRUE(fine.forwarded());
  const Played hidden = play(gate, "POST", "/runs", body, {answered("true"), answered("false")});
  EXPECT_EQ(hidden.error(), "assistant_not_allowed");
  const Played failed = play(gate, "POST", "/runs", body, {answered("true"), of_state(State::timed_out)});
  EXPECT_EQ(failed.error(), "handler_timeout") << "what failed does not look like what is not there";
}

TEST(Handler, AThreadThatARunMakesIsAskedAboutAsWell) {
  Gate gate = make_gate();
  const std::string body = R"({"assistant_id":"agent","if_not_exists":"create"})";
  const std::string target = thread + std::string("/runs");
  const HandlerResult own = answered(R"({"owner":"alice"})", R"({"metadata":{"owner":"alice"}})");
  const Played denied = play(gate, "POST", target, body, {own, answered("false")});
  EXPECT_EQ(events(denied), "threads:create_run threads:create");
  EXPECT_EQ(denied.error(), "object_unknown");
  const Played made = play(gate, "POST", target, body, {own, own});
  ASSERT_EQ(made.fetched.size(), 2U);
  EXPECT_EQ(made.fetched[1].substr(made.fetched[1].find('{')),
            R"({"thread_id":"11111111-1111-4111-8111-111111111111","if_exists":"raise","metadata":{"owner":"alice"}})");
}

TEST(Handler, AThreadThatARunMakesIsAskedAboutWhereRunsHaveNoFilter) {
  Gate gate = make_gate();
  const std::string planted = R"("metadata":{"owner":"bob"})";
  const std::string body = R"({"assistant_id":"agent","if_not_exists":"create",)" + planted + "}";
  const std::string command = R"({"id":1,"method":"run.start","params":{"assistant_id":"agent",)" + planted + "}}";
  const std::array requests{std::pair{thread + std::string("/runs"), body},
                            std::pair{thread + std::string("/commands"), command}};
  const std::string there = R"([{"thread_id":")" + std::string(id) + R"(","metadata":{"owner":"bob"}}])";
  for (const auto& [target, sent] : requests) {
    const Played denied = play(gate, "POST", target, sent, {answered("true"), answered("false")});
    EXPECT_EQ(events(denied), "threads:create_run threads:create") << target;
    EXPECT_EQ(denied.error(), "object_unknown") << target;
    EXPECT_EQ(denied.fetched.size(), 1U) << "looked for, not made";
    const Played stamped =
        play(gate, "POST", target, sent, {answered("true"), answered("true", R"({"metadata":{"owner":"alice"}})")});
    ASSERT_EQ(stamped.fetched.size(), 2U) << target;
    EXPECT_NE(stamped.fetched[1].find(R"("if_exists":"raise","metadata":{"owner":"alice"}})"), std::string::npos)
        << stamped.fetched[1];
    const Played runs = play(gate, "POST", target, sent, {answered("true")}, there);
    EXPECT_TRUE(runs.forwarded()) << runs.text();
  }
  const Played runs = play(gate, "POST", requests[0].first, body, {answered("true")}, there);
  EXPECT_EQ(runs.body().find("if_not_exists")->as_string(), "reject") << "the thread may be gone until then";
}

TEST(Handler, ARunMustBeItsThreadsThoughTheAnswerHasNoFilter) {
  Gate gate = make_gate();
  const std::string run = R"({"run_id":"22222222-2222-4222-8222-222222222222","thread_id":")";
  const std::string one = "/runs/22222222-2222-4222-8222-222222222222";
  const std::string mine = run + id + "\"}";
  const std::string hers = run + "33333333-3333-4333-8333-333333333333\"}";
  const std::string cancel = R"({"thread_id":")" + std::string(id) + R"(","run_ids":["22222222-2222-4222-8222-222222222222"]})";
  const std::array requests{
      std::array{std::string("GET"), thread + one + "/stream", std::string()},
      std::array{std::string("DELETE"), thread + one, std::string()},
      std::array{std::string("POST"), thread + one + "/cancel", std::string()},
      std::array{std::string("POST"), std::string("/runs/cancel"), cancel},
  };
  const std::vector<HandlerResult> yes(2, answered("true"));
  for (const auto& [method, target, body] : requests) {
    const Played other = play(gate, method, target, body, yes, hers);
    EXPECT_EQ(other.error(), "object_unknown") << method << target;
    EXPECT_EQ(other.fetched.size(), 1U) << "the run alone";
    EXPECT_TRUE(play(gate, method, target, body, yes, mine).forwarded()) << method << target;
  }
}

TEST(Handler, ACopyHasWhatTheHandlerWouldHaveWritten) {
  Gate gate = make_gate();
  const std::string bobs = R"([{"thread_id":")" + std::string(id) + R"(","metadata":{"owner":"bob","team":"red"}}])";
  const HandlerResult team = answered(R"({"team":"red"})");
  const auto copy = [&](std::string changes) {
    return play(gate, "POST", thread + std::string("/copy"), "{}", {team, answered("true", std::move(changes))}, bobs);
  };
  EXPECT_EQ(copy(R"({"metadata":{"owner":"alice"}})").error(), "policy_denied");
  EXPECT_EQ(copy(R"({"metadata":{"owner":null}})").error(), "policy_denied");
  EXPECT_TRUE(copy(R"({"metadata":{"owner":"bob"}})").forwarded());
  EXPECT_TRUE(copy("").forwarded());
}

TEST(Handler, ACronWithoutThreadMatchesTheFilterOfItsRuns) {
  Gate gate = make_gate();
  const auto cron = [&](std::string owner) {
    const std::string body = R"({"assistant_id":"agent","schedule":"* * * * *","metadata":{"owner":")" + owner + R"("}})";
    return play(gate, "POST", "/runs/crons", body, {answered("true"), answered(R"({"$or":[{"owner":"alice"},{"team":"red"}]})")});
  };
  EXPECT_EQ(cron("bob").error(), "policy_denied");
  EXPECT_TRUE(cron("alice").forwarded());
}

constexpr const char* notes = R"({"upstream":{"url":"http://127.0.0.1:2024","api":"generic","routes":[
  {"method":"GET","path":"/notes","rule":"notes:search"},
  {"method":"DELETE","path":"/notes/{id}","rule":"notes:delete"},
  {"method":"GET","path":"/of/{user}","rule":"notes:read","path_equals":{"user":"$user.identity"}},
  {"method":"POST","path":"/notes","rule":"notes:create","metadata":"about"},
  {"method":"POST","path":"/raw","rule":"notes:create","body":"any"},
  {"method":"PUT","path":"/raw/{id}","rule":"notes:update","body":"any","judge":"object"},
  {"method":"PUT","path":"/notes/{id}","rule":"notes:update","judge":"object"},
  {"method":"PATCH","path":"/notes/{id}","rule":"notes:update","judge":"object"}]}})";

TEST(Handler, AFilterThatARouteOfTheConfigurationCannotKeepIsRefused) {
  Gate gate = make_gate(both, notes);
  const HandlerResult own = answered(R"({"owner":"alice"})");
  const std::string mine = R"({"metadata":{"owner":"alice"}})";
  for (const auto& [method, target] :
       {std::pair{"GET", "/notes"}, std::pair{"DELETE", "/notes/7"}, std::pair{"POST", "/raw"}, std::pair{"PUT", "/raw/7"}}) {
    const Played played = play(gate, method, target, R"({"metadata":{"owner":"bob"}})", {own}, mine);
    EXPECT_EQ(played.error(), "filter_not_enforceable") << method << target;
    EXPECT_TRUE(played.fetched.empty());
    EXPECT_TRUE(play(gate, method, target, "{}", {answered("true")}).forwarded()) << method << target;
  }
  EXPECT_TRUE(play(gate, "GET", "/of/alice", "", {own}).forwarded()) << "kept by the path";
}

TEST(Handler, MetadataOnRoutesOfTheConfiguration) {
  Gate gate = make_gate(both, notes);
  const HandlerResult writes = answered("true", R"({"metadata":{"owner":"alice"}})");
  const Played made = play(gate, "POST", "/notes", R"({"text":"t","about":{"owner":"bob","n":1}})", {writes});
  EXPECT_EQ(json::write(made.asked.front().value), R"({"metadata":{"owner":"bob","n":1}})");
  EXPECT_EQ(json::write(made.body()), R"({"text":"t","about":{"owner":"alice","n":1}})");
  EXPECT_EQ(json::write(play(gate, "POST", "/notes", "", {writes}).body()), R"({"about":{"owner":"alice"}})");
  EXPECT_EQ(play(gate, "POST", "/notes", "[]", {writes}).error(), "body_malformed");
  EXPECT_EQ(play(gate, "POST", "/raw", "bytes", {writes}).error(), "filter_not_enforceable");
  EXPECT_TRUE(play(gate, "GET", "/notes", "", {writes}).forwarded()) << "nothing is written there, as in LangGraph's reads";
}

TEST(Handler, AnUpdateOnARouteOfTheConfigurationGivesNothingAway) {
  Gate gate = make_gate(both, notes);
  const HandlerResult own = answered(R"({"owner":"alice"})");
  const auto changed = [&](std::string_view method, std::string body) {
    return json::write(play(gate, method, "/notes/7", std::move(body), {own}, R"({"metadata":{"owner":"alice","n":1}})").body());
  };
  for (const std::string_view method : {"PUT", "PATCH"}) {
    EXPECT_EQ(changed(method, R"({"metadata":{"owner":"bob","n":2}})"), R"({"metadata":{"owner":"alice","n":2}})");
    EXPECT_EQ(changed(method, R"({"metadata":null})"), R"({"metadata":{"owner":"alice"}})");
    EXPECT_EQ(changed(method, R"({"metadata":{"n":2}})"), R"({"metadata":{"n":2,"owner":"alice"}})");
  }
  EXPECT_EQ(changed("PUT", R"({"text":"t"})"), R"({"text":"t","metadata":{"owner":"alice"}})");
  EXPECT_EQ(changed("PATCH", R"({"text":"t"})"), R"({"text":"t"})");
  EXPECT_EQ(play(gate, "PUT", "/notes/7", "[]", {own}, R"({"metadata":{"owner":"alice"}})").error(), "body_malformed");
}

TEST(Handler, RunsOfABatchKeepTheirOwnAnswers) {
  Gate gate = make_gate();
  const Played played = play(gate, "POST", "/runs/batch", R"([{"assistant_id":"agent"},{"assistant_id":"agent"}])",
                             {answered(R"({"owner":"alice"})"), answered("true", R"({"metadata":{"n":2}})")});
  ASSERT_TRUE(played.forwarded()) << played.text();
  const json::Value body = played.body();
  EXPECT_EQ(json::write(*body.items()[0].find("metadata")), R"({"owner":"alice"})");
  EXPECT_EQ(json::write(*body.items()[1].find("metadata")), R"({"n":2})");
}

TEST(Handler, ANamespaceMayBePutInThePlaceOfAnother) {
  Gate gate = make_gate();
  const HandlerResult rewritten = answered("true", R"({"namespace":["alice","notes"]})");
  const Played put = play(gate, "PUT", "/store/items", R"({"namespace":["notes"],"key":"k","value":{}})", {rewritten});
  EXPECT_EQ(json::write(*put.body().find("namespace")), R"(["alice","notes"])");
  const Played get = play(gate, "GET", "/store/items?namespace=notes&key=k", "", {rewritten});
  ASSERT_TRUE(get.forwarded());
  EXPECT_NE(std::get<Forward>(get.last.action).request.url.find("namespace=alice.notes"), std::string::npos);
  EXPECT_EQ(std::get<Forward>(get.last.action).reply, ReplyMode::inspect);
  for (const char* bad :
       {R"({"namespace":["a.b"]})", R"({"namespace":[""]})", R"({"namespace":"alice"})", R"({"namespace":[1]})"}) {
    const Played wrong =
        play(gate, "PUT", "/store/items", R"({"namespace":["notes"],"key":"k","value":{}})", {answered("true", bad)});
    EXPECT_EQ(wrong.error(), "handler_failed") << bad;
  }
  const Played filtered =
      play(gate, "PUT", "/store/items", R"({"namespace":["notes"],"key":"k","value":{}})", {answered(R"({"owner":"alice"})")});
  EXPECT_EQ(filtered.error(), "filter_not_enforceable");
}

TEST(Handler, AStoreSearchIsJudgedByTheNamespaceThatWasAllowed) {
  Gate gate = make_gate();
  auto exchange = open(gate, "POST", "/store/items/search");
  Step step = exchange->next(now);
  exchange->give(step.step_id, answered(alice), now);
  step = exchange->next(now);
  exchange->give(step.step_id, BodyResult{BodyResult::State::whole, R"({"namespace_prefix":["ali"]})"}, now);
  step = exchange->next(now);
  exchange->give(step.step_id, answered("true"), now);
  step = exchange->next(now);
  ASSERT_EQ(std::get<Forward>(step.action).reply, ReplyMode::inspect);
  // The JS server takes the prefix as text.
  exchange->give(step.step_id,
                 IncomingResponse{200, {}, R"({"items":[{"namespace":["alice"],"key":"k","value":{}}]})", false, false}, now);
  step = exchange->next(now);
  ASSERT_TRUE(std::holds_alternative<Fetch>(step.action)) << "one's own are counted from the start";
  gate.give(std::get<Fetch>(step.action).fetch_id, IncomingResponse{200, {}, R"({"items":[]})", false, false}, now);
  step = exchange->next(now);
  EXPECT_EQ(std::get<Respond>(step.action).body, R"({"items":[]})");
}

TEST(Handler, ExplainSaysWhoIsAsked) {
  Gate gate = make_gate();
  const HeaderView header{"authorization", "Bearer x"};
  EXPECT_NE(gate.explain(RequestHead{"GET", thread, &header, 1}, "", now).find(R"("kind":"handler_asked")"), std::string::npos);
  EXPECT_FALSE(gate.filter_for(R"({"identity":"alice"})", "threads", "read").ok());
  EXPECT_FALSE(gate.filter_matches(R"({"identity":"alice"})", "threads", "read", "{}").ok());
}

}  // namespace
}  // namespace postern
