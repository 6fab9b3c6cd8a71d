#include "filter_render.h"

#include <gtest/gtest.h>

#include "postern/gate.h"

namespace postern {
namespace {

Filter filter_of(std::string_view text) {
  auto parsed = json::parse(text);
  EXPECT_TRUE(parsed.ok()) << text;
  auto filter = Filter::parse(parsed.value());
  EXPECT_TRUE(filter.ok()) << text;
  return std::move(filter).value();
}

json::Value rendered(std::string_view text, const FilterForm& form = {}) {
  const Filter filter = filter_of(text);
  auto value = render_filter(Reach::conditional, &filter, form);
  EXPECT_TRUE(value.ok()) << text;
  return std::move(value).value();
}

std::string part(const json::Value& value, std::string_view name) { return json::write(*value.find(name)); }

TEST(FilterRender, OneEqualityInEveryForm) {
  const json::Value all = rendered(R"({"owner":"alice"})");
  EXPECT_EQ(part(all, "kind"), R"("conditional")");
  EXPECT_EQ(part(all, "langgraph"), R"({"owner":"alice"})");
  EXPECT_EQ(part(all, "sql"),
            R"x({"where":"(\"metadata\" -> CAST($1 AS text)) = CAST($2 AS jsonb)","parameters":["owner","\"alice\""]})x");
  EXPECT_EQ(part(all, "jsonb"), R"x({"where":"\"metadata\" @> CAST($1 AS jsonb)","parameters":["{\"owner\":\"alice\"}"]})x");
  EXPECT_EQ(
      part(all, "cerbos"),
      R"({"kind":"KIND_CONDITIONAL","condition":{"expression":{"operator":"eq","operands":[{"variable":"request.resource.attr.owner"},{"value":"alice"}]}}})");
}

TEST(FilterRender, ParametersAreCountedInTheOrderOfTheText) {
  FilterForm form;
  form.column = "t.meta_1";
  form.placeholder = "$4";
  const json::Value all = rendered(R"({"$or":[{"a":1},{"b":{"$contains":["x","y"]},"c":true}]})", form);
  EXPECT_EQ(
      part(all, "sql"),
      R"x({"where":"((\"t\".\"meta_1\" -> CAST($4 AS text)) = CAST($5 AS jsonb) OR ((\"t\".\"meta_1\" -> CAST($6 AS text)) @> CAST($7 AS jsonb) AND (\"t\".\"meta_1\" -> CAST($8 AS text)) = CAST($9 AS jsonb)))","parameters":["a","1","b","[\"x\",\"y\"]","c","true"]})x");
  form.placeholder = "?";
  EXPECT_EQ(part(rendered(R"({"b":{"$contains":"x"}})", form), "jsonb"),
            R"x({"where":"\"t\".\"meta_1\" @> CAST(? AS jsonb)","parameters":["{\"b\":[\"x\"]}"]})x");
}

TEST(FilterRender, NoTextOfTheFilterStandsInSql) {
  const char* nasty = R"({"o'\"; DROP TABLE t; --":"x' OR '1'='1","$or":[{"?":{"$contains":"1$"}},{"b\\":"c\u0000"}]})";
  for (const SqlDialect dialect : {SqlDialect::postgres, SqlDialect::sqlite}) {
    FilterForm form;
    form.dialect = dialect;
    const json::Value all = rendered(nasty, form);
    for (const char* name : {"sql", "jsonb"}) {
      if (all.find(name)->is_null()) continue;
      const std::string& where = all.find(name)->find("where")->as_string();
      EXPECT_EQ(where.find("DROP"), std::string::npos);
      EXPECT_EQ(where.find("'1'"), std::string::npos);
      EXPECT_EQ(where.find('\\'), std::string::npos);
      EXPECT_NE(where.find("FALSE"), std::string::npos) << "the operand with U+0000 holds for no row";
    }
  }
}

TEST(FilterRender, AColumnIsAnIdentifierOrRefused) {
  const Filter filter = filter_of(R"({"owner":"alice"})");
  const auto accepted = [&](std::string column, std::string placeholder, SqlDialect dialect) {
    return render_filter(Reach::conditional, &filter, FilterForm{dialect, std::move(column), std::move(placeholder)}).ok();
  };
  for (const char* column : {"metadata", "_m", "t.metadata", "T1.M2"}) EXPECT_TRUE(accepted(column, "", SqlDialect::postgres));
  for (const char* column :
       {"", ".", "t.", ".m", "a.b.c", "1m", "m\"", "m;", "m m", "m-m", "m\n", "m'", "\xC3\xA9", "metadata)--"}) {
    EXPECT_FALSE(accepted(column, "", SqlDialect::postgres)) << column;
  }
  EXPECT_TRUE(accepted(std::string(63, 'm'), "", SqlDialect::postgres));
  EXPECT_FALSE(accepted(std::string(64, 'm'), "", SqlDialect::postgres));
  for (const char* placeholder : {"?", "$1", "$9999"}) EXPECT_TRUE(accepted("m", placeholder, SqlDialect::postgres));
  for (const char* placeholder : {"$", "$0", "$01", "$10000", "$1;", "??", "%s", ":a", "1"}) {
    EXPECT_FALSE(accepted("m", placeholder, SqlDialect::postgres)) << placeholder;
  }
  EXPECT_TRUE(accepted("m", "", SqlDialect::sqlite));
  EXPECT_FALSE(accepted("m", "$1", SqlDialect::sqlite));
}

TEST(FilterRender, LangGraphDictsArePlainWhereTheyCanBe) {
  const auto dict = [](std::string_view text) { return part(rendered(text), "langgraph"); };
  // A JavaScript server takes $and for a field and matches everything, so it is dissolved.
  EXPECT_EQ(dict(R"({"$and":[{"a":1},{"b":2}],"c":3})"), R"({"a":1,"b":2,"c":3})");
  EXPECT_EQ(dict(R"({"$or":[{"a":1}]})"), R"({"a":1})");
  EXPECT_EQ(dict(R"({"$or":[{"$or":[{"a":1},{"b":2}]},{"c":3}]})"), R"({"$or":[{"a":1},{"b":2},{"c":3}]})");
  EXPECT_EQ(dict(R"({"$and":[{"a":1},{"a":2}]})"), R"({"$and":[{"a":1},{"a":2}]})");
  EXPECT_EQ(dict(R"({"a":{"$contains":["x","y"]},"$or":[{"b":1},{"c":1}]})"),
            R"({"a":{"$contains":["x","y"]},"$or":[{"b":1},{"c":1}]})");
  // Deeper than LangGraph nests: said as nothing rather than as something it answers with 500.
  EXPECT_EQ(dict(R"({"$or":[{"a":1},{"$and":[{"b":1},{"b":2,"$or":[{"c":1},{"d":1}]}]}]})"), "null");
}

TEST(FilterRender, CerbosFieldsThatAreNoIdentifiersAreIndexed) {
  const json::Value all = rendered(R"({"a b":{"$contains":["x","y"]}})");
  const char* index = R"({"expression":{"operator":"index","operands":[{"variable":"request.resource.attr"},{"value":"a b"}]}})";
  const auto in = [&](const char* item) {
    return R"({"expression":{"operator":"in","operands":[{"value":")" + std::string(item) + R"("},)" + index + "]}}";
  };
  EXPECT_EQ(part(all, "cerbos"), R"({"kind":"KIND_CONDITIONAL","condition":{"expression":{"operator":"and","operands":[)" +
                                     in("x") + "," + in("y") + "]}}}");
}

constexpr const char* policy_config = R"({
  "issuers": [{"issuer": "https://idp.example", "audience": "agents"}],
  "upstream": {"url": "http://127.0.0.1:2024"},
  "policy": {
    "threads": {"filter": {"owner": "$user.identity"}},
    "threads:delete": "deny",
    "assistants:read": "allow",
    "crons": {"filter": {"team": {"$contains": "$user.claims.team"}}}
  }
})";

TEST(FilterFor, SaysAlwaysNeverOrOnWhichCondition) {
  auto gate = Gate::create(policy_config);
  ASSERT_TRUE(gate.ok());
  const auto ask = [&](const char* user, const char* resource, const char* action) {
    auto text = gate->filter_for(user, resource, action);
    EXPECT_TRUE(text.ok()) << (text ? "" : text.error().text());
    return json::parse(text ? text.value() : "null").value();
  };
  const char* alice = R"({"identity":"alice","claims":{"team":"red"}})";
  const json::Value own = ask(alice, "threads", "read");
  EXPECT_EQ(part(own, "kind"), R"("conditional")");
  EXPECT_EQ(part(own, "rule"), R"("threads")");
  EXPECT_EQ(part(own, "langgraph"), R"({"owner":"alice"})");

  const json::Value denied = ask(alice, "threads", "delete");
  EXPECT_EQ(part(denied, "kind"), R"("always_denied")");
  EXPECT_EQ(denied.find("rule"), nullptr);
  EXPECT_EQ(part(denied, "langgraph"), "false");
  EXPECT_EQ(part(denied, "sql"), R"({"where":"FALSE","parameters":[]})");
  EXPECT_EQ(part(denied, "jsonb"), R"({"where":"FALSE","parameters":[]})");
  EXPECT_EQ(part(denied, "cerbos"), R"({"kind":"KIND_ALWAYS_DENIED"})");

  const json::Value open = ask(alice, "assistants", "read");
  EXPECT_EQ(part(open, "kind"), R"("always_allowed")");
  EXPECT_EQ(part(open, "sql"), R"({"where":"TRUE","parameters":[]})");
  EXPECT_EQ(part(open, "cerbos"), R"({"kind":"KIND_ALWAYS_ALLOWED"})");

  EXPECT_EQ(part(ask(alice, "assistants", "search"), "kind"), R"("always_denied")") << "no rule is a denial";
  EXPECT_EQ(part(ask(alice, "crons", "read"), "langgraph"), R"({"team":{"$contains":"red"}})");
  EXPECT_EQ(part(ask(R"({"identity":"bob"})", "crons", "read"), "kind"), R"("always_denied")") << "without the claim";

  EXPECT_TRUE(gate->filter_matches(alice, "threads", "read", R"({"owner":"alice"})").value());
  EXPECT_FALSE(gate->filter_matches(alice, "threads", "read", R"({"owner":"bob"})").value());
  EXPECT_FALSE(gate->filter_matches(alice, "threads", "read", "nothing").value());
  EXPECT_FALSE(gate->filter_matches(alice, "threads", "delete", R"({"owner":"alice"})").value());
  EXPECT_TRUE(gate->filter_matches(alice, "assistants", "read", "nothing").value());
}

TEST(FilterFor, ArgumentsThatAreNoneAreRefused) {
  auto gate = Gate::create(policy_config);
  ASSERT_TRUE(gate.ok());
  const auto fault = [&](const std::string& user, const char* resource, const char* action) {
    const auto text = gate->filter_for(user, resource, action);
    const auto matches = gate->filter_matches(user, resource, action, "{}");
    EXPECT_EQ(text.ok(), matches.ok());
    return text ? "none" : text.error().path;
  };
  EXPECT_EQ(fault(R"({"identity":"alice"})", "threads", "read"), "none");
  EXPECT_EQ(fault(R"({"identity":"alice"})", "store", "get"), "resource");
  EXPECT_EQ(fault(R"({"identity":"alice"})", "runs", "read"), "resource");
  EXPECT_EQ(fault(R"({"identity":"alice"})", "threads", "write"), "action");
  const std::string long_name(257, 'a');
  for (const std::string& user :
       {std::string(), std::string("{}"), std::string("[]"), std::string(R"("alice")"), std::string(R"({"identity":""})"),
        std::string(R"({"identity":7})"), std::string("{\"identity\":\"a\\u0000\"}"), R"({"identity":")" + long_name + R"("})",
        std::string(R"({"identity":"a","permissions":"x"})"), std::string(R"({"identity":"a","permissions":[1]})"),
        std::string(R"({"identity":"a","claims":[]})"), std::string(R"({"identity":"a","sub":"b"})"),
        std::string(R"({"identity":"a","identity":"b"})")}) {
    EXPECT_EQ(fault(user, "threads", "read"), "user") << user;
  }
  const auto form = gate->filter_for(R"({"identity":"alice"})", "threads", "read", FilterForm{SqlDialect::postgres, "m;", ""});
  ASSERT_FALSE(form.ok());
  EXPECT_EQ(form.error().path, "form");
}

}  // namespace
}  // namespace postern
