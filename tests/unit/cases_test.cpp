// Plays tests/cases/*.json through the native core; tests/runtimes plays the same files through the wasm.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "json.h"
#include "postern/gate.h"

namespace postern {
namespace {

namespace fs = std::filesystem;

const json::Value& read_json(const fs::path& path) {
  static std::map<fs::path, json::Value> read;
  if (const auto found = read.find(path); found != read.end()) return found->second;
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = json::parse(text.str(), {}, json::Comments::skip);
  EXPECT_TRUE(parsed.ok()) << path << ": " << (parsed ? "" : parsed.error().what);
  return read.emplace(path, parsed ? parsed.value() : json::Value{}).first->second;
}

const json::Value& tokens() { return read_json(fs::path(POSTERN_CASES_DIR) / "tokens.json"); }

std::string text_of(const json::Value& object, std::string_view name) {
  const json::Value* value = object.find(name);
  return value == nullptr ? std::string{} : value->as_string();
}

// Replaces ${name} and "$jwks" wherever they stand.
json::Value filled_in(const json::Value& value) {
  if (value.is_string()) {
    if (value.as_string() == "$jwks") return *tokens().find("jwks");
    std::string text = value.as_string();
    for (std::size_t at = text.find("${"); at != std::string::npos; at = text.find("${", at)) {
      const std::size_t end = text.find('}', at);
      const std::string name = text.substr(at + 2, end - at - 2);
      const json::Value* token = tokens().find("tokens")->find(name);
      const std::string replacement = token != nullptr ? token->as_string() : text_of(tokens(), name);
      EXPECT_FALSE(replacement.empty()) << "no token named " << name;
      text.replace(at, end - at + 1, replacement);
      at += replacement.size();
    }
    return json::Value::string(text);
  }
  json::Value out = value;
  for (json::Value& item : out.items()) item = filled_in(item);
  for (json::Member& member : out.members()) member.second = filled_in(member.second);
  return out;
}

std::string body_text(const json::Value* body) {
  if (body == nullptr) return {};
  return body->is_string() ? body->as_string() : json::write(*body);
}

json::Value headers_json(const std::vector<Header>& headers) {
  json::Value out = json::Value::object();
  for (const Header& header : headers) out.set(header.name, json::Value::string(header.value));
  return out;
}

void set_request(json::Value& out, const OutgoingRequest& request) {
  out.set("method", json::Value::string(request.method));
  out.set("url", json::Value::string(request.url));
  out.set("headers", headers_json(request.headers));
  out.set("body", json::Value::string(request.body));
}

json::Value step_json(const Step& step) {
  json::Value out = json::Value::object();
  const auto kind = [&](std::string_view text) { out.set("kind", json::Value::string(text)); };
  const auto number = [&](std::string_view name, std::int64_t value) { out.set(name, json::Value::number(value)); };
  if (const auto* read = std::get_if<ReadBody>(&step.action)) {
    kind("read_body");
    number("bytes_max", static_cast<std::int64_t>(read->bytes_max));
  } else if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
    kind("fetch");
    constexpr std::string_view purposes[] = {"keys", "discovery", "upstream_object", "introspection"};
    out.set("purpose", json::Value::string(purposes[static_cast<std::size_t>(fetch->purpose)]));
    set_request(out, fetch->request);
    number("bytes_max", static_cast<std::int64_t>(fetch->bytes_max));
    number("time_limit_ms", fetch->time_limit_ms);
  } else if (std::holds_alternative<Wait>(step.action)) {
    kind("wait");
  } else if (const auto* forward = std::get_if<Forward>(&step.action)) {
    kind("forward");
    set_request(out, forward->request);
    out.set("reply", json::Value::string(forward->reply == ReplyMode::pass ? "pass" : "inspect"));
    number("bytes_max", static_cast<std::int64_t>(forward->bytes_max));
    number("time_limit_ms", forward->time_limit_ms);
  } else if (const auto* respond = std::get_if<Respond>(&step.action)) {
    kind("respond");
    number("status", respond->status);
    out.set("headers", headers_json(respond->headers));
    out.set("body", json::Value::string(respond->body));
    out.set("error", respond->error ? json::Value::string(name(*respond->error)) : json::Value{});
  } else {
    const User& user = *std::get<Authenticated>(step.action).user;
    kind("authenticated");
    out.set("identity", json::Value::string(user.identity));
    out.set("display_name", json::Value::string(user.display_name));
    json::Value permissions = json::Value::array();
    for (const std::string& permission : user.permissions) permissions.push_back(json::Value::string(permission));
    out.set("permissions", std::move(permissions));
  }
  return out;
}

// "" when `actual` has everything `expected` names, else what differs.
std::string difference(const json::Value& expected, const json::Value& actual) {
  for (const json::Member& member : expected.members()) {
    const json::Value* value = actual.find(member.first);
    if (value == nullptr) return "no " + member.first;
    if (member.first == "headers") {
      for (const json::Member& header : member.second.members()) {
        const json::Value* sent = value->find(header.first);
        const bool good = header.second.is_null() ? sent == nullptr : sent != nullptr && json::equal(*sent, header.second);
        if (!good) return "header " + header.first + " is " + (sent == nullptr ? "absent" : json::write(*sent));
      }
    } else if (member.first == "body" && !member.second.is_string()) {
      auto parsed = json::parse(value->as_string());
      if (!parsed || !json::equal(parsed.value(), member.second)) return "body is " + value->as_string();
    } else if (!json::equal(*value, member.second)) {
      return member.first + " is " + json::write(*value);
    }
  }
  return {};
}

struct Named {
  fs::path file;
  std::size_t index = 0;
  std::string name;
};

std::vector<Named> all_cases() {
  std::vector<Named> out;
  for (const auto& entry : fs::directory_iterator(POSTERN_CASES_DIR)) {
    if (entry.path().extension() != ".json" || entry.path().filename() == "tokens.json") continue;
    const json::Value* cases = read_json(entry.path()).find("cases");
    for (std::size_t i = 0; cases != nullptr && i < cases->items().size(); ++i) {
      out.push_back({entry.path(), i, text_of(cases->items()[i], "name")});
    }
  }
  std::sort(out.begin(), out.end(),
            [](const Named& a, const Named& b) { return std::tie(a.file, a.index) < std::tie(b.file, b.index); });
  return out;
}

class Cases : public testing::TestWithParam<Named> {};

TEST_P(Cases, GivesTheStepsExpected) {
  const json::Value& file = read_json(GetParam().file);
  const json::Value& test_case = file.find("cases")->items()[GetParam().index];
  const json::Value* config = file.find("configs")->find(text_of(test_case, "config"));
  ASSERT_NE(config, nullptr) << "no config named " << text_of(test_case, "config");

  Environment environment;
  if (const json::Value* given = file.find("environment")) {
    for (const json::Member& member : given->members()) environment.emplace_back(member.first, body_text(&member.second));
  }
  auto gate = Gate::create(json::write(filled_in(*config)), environment);
  ASSERT_TRUE(gate.ok()) << gate.error().text();

  const json::Value* now_member = test_case.find("now");
  const Time now{(now_member != nullptr ? *now_member : *tokens().find("now")).as_integer().value() * 1000};
  const json::Value request = filled_in(*test_case.find("request"));
  std::vector<std::pair<std::string, std::string>> header_texts;
  if (const json::Value* headers = request.find("headers")) {
    for (const json::Value& pair : headers->items()) {
      header_texts.emplace_back(pair.items()[0].as_string(), pair.items()[1].as_string());
    }
  }
  if (const std::string token = text_of(request, "token"); !token.empty()) {
    header_texts.emplace_back("authorization", "Bearer " + text_of(*tokens().find("tokens"), token));
  }
  std::vector<HeaderView> headers;
  for (const auto& [name, value] : header_texts) headers.push_back({name, value});
  const std::string method = text_of(request, "method");
  const std::string target = text_of(request, "target");
  const bool authenticate = text_of(test_case, "purpose") == "authenticate";
  auto exchange = gate->open(RequestHead{method, target, headers.data(), headers.size()}, now,
                             authenticate ? Purpose::authenticate : Purpose::handle);

  std::size_t number = 0;
  for (const json::Value& line : test_case.find("steps")->items()) {
    const Step step = exchange->next(now);
    const json::Value actual = step_json(step);
    const std::string wrong = difference(filled_in(*line.find("expect")), actual);
    ASSERT_EQ(wrong, "") << "step " << number << ": " << json::write(actual);
    ++number;
    if (std::holds_alternative<ReadBody>(step.action)) {
      exchange->give(step.step_id, BodyResult{BodyResult::State::whole, body_text(request.find("body"))}, now);
    }
    const json::Value* given = line.find("give");
    if (given == nullptr) continue;
    const json::Value reply = filled_in(*given);
    IncomingResponse response;
    response.status = static_cast<int>(reply.find("status")->as_integer().value());
    response.body = body_text(reply.find("body"));
    if (const json::Value* reply_headers = reply.find("headers")) {
      for (const json::Value& pair : reply_headers->items()) {
        response.headers.push_back({pair.items()[0].as_string(), pair.items()[1].as_string()});
      }
    }
    if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
      gate->give(fetch->fetch_id, std::move(response), now);
    } else {
      exchange->give(step.step_id, std::move(response), now);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Cases, testing::ValuesIn(all_cases()), [](const auto& info) {
  std::string name = info.param.file.stem().string() + "_" + std::to_string(info.param.index) + "_" + info.param.name;
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  }
  return name;
});

}  // namespace
}  // namespace postern
