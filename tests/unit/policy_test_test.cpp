#include "postern/policy_test.h"

#include <gtest/gtest.h>

#include "simulated_upstream.h"

namespace postern {
namespace {

json::Value value(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return parsed ? std::move(parsed).value() : json::Value{};
}

TEST(PolicyTest, OnePassesAndOneFails) {
  const auto report = test_policy(R"({
    "config": {"issuers": [{"preset": "supabase", "url": "https://p.supabase.co"}], "upstream": {"url": "http://127.0.0.1:1/base"}},
    "cases": [
      {"name": "own", "user": {"identity": "alice"}, "request": {"target": "/threads/11111111-1111-4111-8111-111111111111"},
       "objects": {"threads": [{"id": "11111111-1111-4111-8111-111111111111", "metadata": {"owner": "alice"}}]},
       "expect": {"outcome": "allow", "ids": ["11111111-1111-4111-8111-111111111111"]}},
      {"name": "foreign", "user": {"identity": "bob"}, "request": {"target": "/threads/11111111-1111-4111-8111-111111111111"},
       "objects": {"threads": [{"id": "11111111-1111-4111-8111-111111111111", "metadata": {"owner": "alice"}}]},
       "expect": {"outcome": "allow"}}
    ]})");
  ASSERT_TRUE(report.ok()) << report.error().text();
  ASSERT_EQ(report->results.size(), 2U);
  EXPECT_EQ(report->failed, 1U);
  EXPECT_TRUE(report->results[0].differences.empty());
  ASSERT_EQ(report->results[1].differences.size(), 1U);
  EXPECT_EQ(report->results[1].differences[0].expected, R"("allow")");
  EXPECT_EQ(report->results[1].differences[0].got, R"("not_found")");
  EXPECT_EQ(report->results[1].code, "object_unknown");
}

TEST(PolicyTest, EachCaseStartsFromItsOwnObjects) {
  const auto report = test_policy(R"({
    "config": {"issuers": [{"preset": "supabase", "url": "https://p.supabase.co"}], "upstream": {"url": "http://127.0.0.1:1"}},
    "cases": [
      {"name": "delete", "user": {"identity": "alice"}, "request": {"method": "DELETE", "target": "/threads/11111111-1111-4111-8111-111111111111"},
       "objects": {"threads": [{"id": "11111111-1111-4111-8111-111111111111", "metadata": {"owner": "alice"}}]},
       "expect": {"outcome": "allow"}},
      {"name": "gone", "user": {"identity": "alice"}, "request": {"target": "/threads/11111111-1111-4111-8111-111111111111"},
       "expect": {"outcome": "not_found"}}
    ]})");
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->failed, 0U);
}

TEST(SimulatedUpstream, ContainsAsJsonbDoes) {
  EXPECT_TRUE(contains(value(R"({"a":1,"b":[1,2]})"), value(R"({"a":1.0,"b":[2]})")));
  EXPECT_TRUE(contains(value("{}"), value("{}")));
  EXPECT_FALSE(contains(value(R"({"a":[1]})"), value(R"({"a":1})")));
  EXPECT_FALSE(contains(value(R"({"a":1})"), value(R"({"a":1,"b":1})")));
  EXPECT_FALSE(contains(value("[1]"), value("[1,2]")));
}

IncomingResponse ask(SimulatedUpstream& upstream, std::string method, std::string target, std::string body = {}) {
  return upstream.answer({std::move(method), "http://127.0.0.1:1" + target, {}, std::move(body)});
}

TEST(SimulatedUpstream, ObjectsAreMadeFoundChangedAndDeleted) {
  SimulatedUpstream upstream("http://127.0.0.1:1");
  upstream.add("threads", value(R"({"id":"t1","metadata":{"owner":"alice"}})"));
  upstream.add("assistants", value(R"({"id":"a1","graph_id":"agent"})"));
  EXPECT_EQ(ask(upstream, "GET", "/threads/t1").status, 200);
  EXPECT_EQ(ask(upstream, "GET", "/threads/a1").status, 404) << "an assistant is no thread";
  EXPECT_EQ(ask(upstream, "POST", "/threads", R"({"thread_id":"t1"})").status, 409);
  EXPECT_EQ(ask(upstream, "POST", "/threads", R"({"thread_id":"t1","if_exists":"do_nothing"})").status, 200);
  EXPECT_EQ(ask(upstream, "POST", "/threads", R"({"thread_id":"t2","metadata":{"owner":"bob"}})").status, 200);
  const auto search = [&](std::string body) {
    return value(ask(upstream, "POST", "/threads/search", std::move(body)).body).items().size();
  };
  EXPECT_EQ(search("{}"), 2U);
  EXPECT_EQ(search(R"({"metadata":{"owner":"bob"}})"), 1U);
  EXPECT_EQ(search(R"({"ids":["t1"],"metadata":{"owner":"bob"}})"), 0U);
  EXPECT_EQ(search(R"({"limit":1})"), 1U);
  EXPECT_EQ(search(R"({"offset":2})"), 0U);
  EXPECT_EQ(ask(upstream, "POST", "/threads/count", "{}").body, "2");
  EXPECT_EQ(ask(upstream, "PATCH", "/threads/t1", R"({"metadata":{"x":1}})").status, 200);
  EXPECT_EQ(search(R"({"metadata":{"owner":"alice","x":1}})"), 1U) << "metadata is merged";
  EXPECT_EQ(ask(upstream, "GET", "/threads/t1/history").body, "[]");
  EXPECT_EQ(ask(upstream, "DELETE", "/threads/t1").status, 204);
  EXPECT_EQ(ask(upstream, "GET", "/threads/t1/history").status, 404);
}

TEST(SimulatedUpstream, TheStoreKeepsNamespacesApart) {
  SimulatedUpstream upstream("http://127.0.0.1:1");
  upstream.add_store_item(value(R"({"namespace":["alice","notes"],"key":"k","value":{"text":"a"}})"));
  EXPECT_EQ(ask(upstream, "PUT", "/store/items", R"({"namespace":["bob"],"key":"k","value":{}})").status, 204);
  const auto items = [&](std::string body) {
    return value(ask(upstream, "POST", "/store/items/search", std::move(body)).body).find("items")->items().size();
  };
  EXPECT_EQ(items(R"({"namespace_prefix":[]})"), 2U);
  EXPECT_EQ(items(R"({"namespace_prefix":["alice"]})"), 1U);
  EXPECT_EQ(ask(upstream, "GET", "/store/items?namespace=alice.notes&key=k").status, 200);
  EXPECT_EQ(ask(upstream, "GET", "/store/items?namespace=alice&key=k").status, 404);
  EXPECT_EQ(ask(upstream, "DELETE", "/store/items", R"({"namespace":["bob"],"key":"k"})").status, 204);
  EXPECT_EQ(items(R"({"namespace_prefix":["bob"]})"), 0U);
}

}  // namespace
}  // namespace postern
