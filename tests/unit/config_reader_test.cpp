#include "config_reader.h"

#include <gtest/gtest.h>

namespace postern {
namespace {

// Parses `text`, lets `read` loose on it and gives "offset path: what" of the fault, or "".
template <typename Read>
std::string fault_of(std::string_view text, Read read, std::string_view path = {}) {
  const Environment environment = {{"SECRET", "hush"}, {"EMPTY", ""}};
  const auto value = json::parse(text);
  if (!value) return "the test's own JSON: " + value.error().what;
  ConfigContext context{environment};
  ConfigReader reader(context, value.value(), path);
  read(reader);
  return context.fault ? std::to_string(context.fault->offset) + " " + context.fault->what : "";
}

TEST(ConfigReader, ReadsWhatIsThereAndLeavesTheRest) {
  std::string text = "before";
  std::string absent = "before";
  std::string secret;
  std::vector<std::string> one;
  std::vector<std::string> list = {"before"};
  bool boolean = false;
  std::int64_t number = 7;
  std::size_t size = 7;
  std::size_t word = 0;
  EXPECT_EQ(fault_of(R"({"text":"t","one":"a","list":["b","c"],"yes":true,"number":-3,"size":3,"word":"two","secret":"$SECRET"})",
                     [&](ConfigReader& top) {
                       top.string("text", text);
                       top.string("absent", absent, "is missing");
                       top.strings("one", one);
                       top.strings("list", list, "is missing");
                       top.boolean("yes", boolean);
                       top.integer("number", -3, 3, number);
                       top.integer("size", 0, 3, size);
                       word = top.choice("word", "one two", 0, "must be one or two");
                       EXPECT_EQ(top.choice("other", "one two", 5, "must be one or two"), 5U);
                       top.secret("secret", secret);
                       top.done();
                     }),
            "");
  EXPECT_EQ(text, "t");
  EXPECT_EQ(absent, "before") << "a default is not missing";
  EXPECT_EQ(one, std::vector<std::string>{"a"});
  EXPECT_EQ(list, (std::vector<std::string>{"b", "c"}));
  EXPECT_TRUE(boolean);
  EXPECT_EQ(number, -3);
  EXPECT_EQ(size, 3U);
  EXPECT_EQ(word, 1U);
  EXPECT_EQ(secret, "hush");
}

TEST(ConfigReader, EachFaultSaysWhatWouldBeRight) {
  const auto read = [](ConfigReader& top) {
    std::string text;
    std::vector<std::string> list;
    bool boolean = false;
    std::int64_t number = 0;
    top.string("text", text);
    top.strings("list", list);
    top.boolean("boolean", boolean);
    top.integer("number", 1, 9, number);
    static_cast<void>(top.choice("word", "one two", 0, "must be one or two"));
    top.secret("secret", text);
    top.secure_url("url", text);
    static_cast<void>(top.list("items", "must be a list"));
    const ConfigReader object(top, "object", "must be an object");
    top.string("needed", text, "is missing");
    top.done();
  };
  const std::pair<const char*, const char*> rows[] = {
      {R"({"text":1})", "1 text: must be a non-empty string"},
      {R"({"text":""})", "1 text: must be a non-empty string"},
      {R"({"list":[]})", "1 list: must be a string or a non-empty list of strings"},
      {R"({"list":{}})", "1 list: must be a string or a non-empty list of strings"},
      {R"({"list":["a",""]})", "1 list: must hold non-empty strings"},
      {R"({"boolean":"true"})", "1 boolean: must be true or false"},
      {R"({"number":0})", "1 number: must be a whole number from 1 to 9"},
      {R"({"number":1.5})", "1 number: must be a whole number from 1 to 9"},
      {R"({"number":"1"})", "1 number: must be a whole number from 1 to 9"},
      {R"({"word":"three"})", "1 word: must be one or two"},
      {R"({"word":"one two"})", "1 word: must be one or two"},
      {R"({"secret":"$EMPTY"})", "1 secret: the environment variable EMPTY is empty"},
      {R"({"secret":"$NONE"})", "1 secret: the environment variable \"NONE\" is not set"},
      {R"({"url":"http://idp.example"})", "1 url: must be https; http is accepted for 127.0.0.1, [::1] and localhost only"},
      {R"({"url":"idp.example"})", "1 url: must be a URL such as https://host/path, without query, fragment or user"},
      {R"({"items":{}})", "1 items: must be a list"},
      {R"({"object":[]})", "1 object: must be an object"},
      {R"({})", "0 needed: is missing"},
  };
  for (const auto& [text, expected] : rows) EXPECT_EQ(fault_of(text, read), expected) << text;
}

TEST(ConfigReader, TheFirstFaultStaysAndNothingIsReadAfterIt) {
  std::string later = "before";
  EXPECT_EQ(fault_of(R"({"a":1,"b":2,"c":"read","d":{"unknown":1},"e":[{"unknown":1}]})",
                     [&](ConfigReader& top) {
                       std::string text;
                       top.string("b", text);
                       top.string("a", text);
                       top.string("c", later);
                       ConfigReader object(top, "d", "must be an object");
                       EXPECT_FALSE(object);
                       object.fail("x", "is not told");
                       object.done();
                       EXPECT_EQ(top.list("e", "must be a list"), 0U);
                       ConfigReader(top, "e", 0, "must be an object").done();
                       top.fail("a", "is not told");
                       top.done();
                     }),
            "7 b: must be a non-empty string");
  EXPECT_EQ(later, "before");
}

TEST(ConfigReader, AnUnknownMemberIsToldBeforeWhatItsObjectLacks) {
  const auto read = [](ConfigReader& top) {
    ConfigReader inner(top, "inner", "must be an object");
    std::string text;
    inner.string("issuer", text, "is missing");
    inner.string("audience", text, "is missing");
    inner.done();
    top.string("name", text);
    top.done();
  };
  EXPECT_EQ(fault_of(R"({"inner":{"isuer":"x"}})", read),
            "10 inner.isuer: \"isuer\" is not known here; did you mean \"issuer\"?");
  EXPECT_EQ(fault_of(R"({"inner":{"x":"x"}})", read), "10 inner.x: \"x\" is not known here; known: issuer audience");
  EXPECT_EQ(fault_of(R"({"inner":{"isuer":"x"},"nam":"x"})", read), "23 nam: \"nam\" is not known here; did you mean \"name\"?");
  EXPECT_EQ(fault_of(R"({"inner":{"isuer":"x","issuer":7}})", read).substr(0, 8), "10 inner")
      << "the first in the text, whatever else is wrong";
}

TEST(ConfigReader, WhatIsAskedUnderAConditionIsKnownUnderIt) {
  const auto read = [](ConfigReader& top) {
    std::string text;
    top.ignore("$schema");
    if (top.find("kind") != nullptr) top.string("more", text);
    top.done();
  };
  EXPECT_EQ(fault_of(R"({"$schema":1,"kind":1,"more":"x"})", read), "");
  EXPECT_EQ(fault_of(R"({"more":"x"})", read), "1 more: \"more\" is not known here; known: $schema kind");
}

TEST(ConfigReader, APathLeadsThroughListsAndFreeNames) {
  const auto read = [](ConfigReader& top) {
    const std::size_t count = top.list("rows", "must be a list", ConfigReader::Presence::required);
    for (std::size_t i = 0; i < count; ++i) {
      ConfigReader row(top, "rows", i, "must be an object");
      const ConfigReader fields(row, "fields", "must be an object");
      for (std::size_t j = 0; j < fields.size(); ++j) {
        ConfigReader field(fields, j);
        std::string text;
        field.secret(ConfigReader::itself, text);
        if (text == "wrong") field.fail(ConfigReader::itself, {field.name(), " is wrong"});
      }
      row.done();
    }
    top.fail_in("rows", {3, "told by another"});
  };
  EXPECT_EQ(fault_of("{}", read), "0 rows: must be a list");
  EXPECT_EQ(fault_of(R"({"rows":[{},7]})", read), "12 rows[1]: must be an object");
  EXPECT_EQ(fault_of(R"({"rows":[{},{"x":1}]})", read), "13 rows[1].x: \"x\" is not known here; known: fields");
  EXPECT_EQ(fault_of(R"({"rows":[{},{"fields":[]}]})", read), "13 rows[1].fields: must be an object");
  EXPECT_EQ(fault_of(R"({"rows":[{"fields":{"a":"b","c.d":"wrong"}}]})", read), "28 rows[0].fields.c.d: c.d is wrong");
  EXPECT_EQ(fault_of(R"({"rows":[{"fields":{"a":"$NONE"}}]})", read),
            "20 rows[0].fields.a: the environment variable \"NONE\" is not set");
  EXPECT_EQ(fault_of(R"({"rows":[{"fields":{"a":"b"}}]})", read), "3 rows: told by another");
  EXPECT_EQ(fault_of(R"({"rows":[7]})", read, "upstream"), "9 upstream.rows[0]: must be an object");
}

TEST(ConfigReader, WordsAreWhole) {
  EXPECT_EQ(find_word("one two three", "one"), 0U);
  EXPECT_EQ(find_word("one two three", "three"), 2U);
  for (const char* none : {"", "tw", "one two", " ", "four"}) EXPECT_FALSE(find_word("one two three", none)) << none;
}

}  // namespace
}  // namespace postern
