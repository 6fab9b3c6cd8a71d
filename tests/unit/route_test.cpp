#include "route.h"

#include <gtest/gtest.h>

#include <set>

namespace postern {
namespace {

constexpr const char* uuid = "11111111-2222-4333-8444-555555555555";

std::string with_ids(std::string_view path) {
  std::string out(path);
  for (const char* id : {"{thread_id}", "{run_id}", "{checkpoint_id}", "{assistant_id}", "{cron_id}"}) {
    const std::size_t at = out.find(id);
    if (at != std::string::npos) out.replace(at, std::string_view(id).size(), uuid);
  }
  for (const char* word : {"{graph_id}", "{namespace}", "{file}", "{operation_id}"}) {
    const std::size_t at = out.find(word);
    if (at != std::string::npos) out.replace(at, std::string_view(word).size(), "agent");
  }
  return out;
}

TEST(Route, EveryRowIsFoundAndSentOnAsItStands) {
  for (const Route& route : langgraph_routes()) {
    const std::string path = with_ids(route.path);
    auto match = match_route(route.method, path);
    ASSERT_TRUE(match.ok()) << route.method << " " << path;
    EXPECT_EQ(match->route, &route) << route.method << " " << path;
    EXPECT_EQ(match->path, path);
    EXPECT_EQ(match->query, "");
  }
}

TEST(Route, NoPathIsServedUnderASecondSpelling) {
  for (const Route& route : langgraph_routes()) {
    const std::string path = with_ids(route.path);
    for (std::size_t i = 0; i < path.size(); ++i) {
      // Any one character percent-encoded, in either case of hex.
      char lower[4];
      std::snprintf(lower, sizeof lower, "%%%02x", static_cast<unsigned char>(path[i]));
      const std::string encoded = path.substr(0, i) + lower + path.substr(i + 1);
      EXPECT_FALSE(match_route(route.method, encoded).ok()) << encoded;
    }
    for (const std::string& other : {path + "/", "/" + path, path + "/.", path + "//", path + ";a", path + "#a", path + "\\",
                                     "/x/.." + path, path + " ", "http://host" + path, path.substr(1)}) {
      EXPECT_FALSE(match_route(route.method, other).ok()) << other;
    }
  }
}

TEST(Route, NoFieldOrParameterIsListedTwice) {
  for (const Route& route : langgraph_routes()) {
    std::set<std::string_view> names;
    for (const Field& field : route.body) EXPECT_TRUE(names.insert(field.name).second) << route.path << " " << field.name;
    names.clear();
    for (const QueryParameter& p : route.query) EXPECT_TRUE(names.insert(p.name).second) << route.path << " " << p.name;
  }
}

TEST(Route, MethodsAreExact) {
  EXPECT_TRUE(match_route("HEAD", "/ok").ok());
  for (const char* method : {"get", "Get", "GET ", "", "CONNECT", "TRACE", "HEADX"}) {
    EXPECT_FALSE(match_route(method, "/ok").ok()) << method;
  }
  auto wrong = match_route("PUT", std::string("/threads/") + uuid);
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.error().error(), Error::method_not_allowed);
  EXPECT_EQ(wrong.error().details().allow, "GET, HEAD, PATCH, DELETE");
}

TEST(Route, QueriesAreRebuilt) {
  const std::string base = std::string("/threads/") + uuid;
  EXPECT_EQ(match_route("GET", base + "/runs?limit=10&offset=0")->query, "?limit=10&offset=0");
  EXPECT_EQ(match_route("GET", base + "/runs?select=run_id&select=status")->query, "?select=run_id&select=status");
  EXPECT_EQ(match_route("GET", base + "/runs/" + uuid + "/stream?cancel_on_disconnect=false&stream_mode=")->query,
            "?cancel_on_disconnect=false");
  EXPECT_EQ(match_route("GET", base + "?include=ttl%2Cx")->query, "?include=ttl,x");
  for (const char* query : {"?limit=1&limit=2", "?limit", "?limit=", "?limit=-1", "?limit=1e3", "?Limit=1", "?unknown=1", "?=1",
                            "?&", "?limit=1&", "?select=a%26b", "?select=a b", "?select=a/b", "?limit=12345678901"}) {
    EXPECT_FALSE(match_route("GET", base + "/runs" + query).ok()) << query;
  }
}

TEST(Route, NamesThatPythonTakesForIdsAreNoGraphNames) {
  for (const char* name : {"agent", "my_graph", "my-graph.v2", "A"}) EXPECT_TRUE(is_graph_name(name)) << name;
  for (const char* name :
       {"", ".", "..", ".hidden", "0xa1b2c3d4e54f608899aabbccddeeff", "0-Xa1b2c3d4e54f608899aabbccddeeff", "a/b", "a b", "a:b",
        "{a}", "FE096781560153D2B2F60D3403F7E9CA", "fe096781560153d2b2f60d3403f7e9ca", "FE096781-5601-53D2-B2F6-0D3403F7E9CA",
        "fe-096781560153d2b2f60d3403f7e9ca", "fe096781560153d2b2f60d3403f7e9_a", "0x096781560153d2b2f60d3403f7e9ca",
        "0X096781-5601-53d2-b2f6-0d3403f7e9ca", "urn:uuid:fe096781-5601-53d2-b2f6-0d3403f7e9ca"}) {
    EXPECT_FALSE(is_graph_name(name)) << name;
  }
  EXPECT_TRUE(is_uuid("fe096781-5601-53d2-b2f6-0d3403f7e9ca"));
  EXPECT_FALSE(is_uuid("FE096781-5601-53D2-B2F6-0D3403F7E9CA"));
}

}  // namespace
}  // namespace postern
