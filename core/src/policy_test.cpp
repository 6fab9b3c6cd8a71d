#include "postern/policy_test.h"

#include <algorithm>
#include <array>

#include "config_reader.h"
#include "exchange.h"
#include "filter_render.h"
#include "json.h"
#include "reply.h"
#include "settings.h"
#include "simulated_upstream.h"
#include "text.h"
#include "user.h"

namespace postern {
namespace {

// One request makes a few calls; a gate that goes on asking has a fault that a test must show.
constexpr int steps_max = 200;
// No credential is looked at, so any moment does.
constexpr Time test_time{1'767'225'600'000};
// Stands for each "$NAME": a policy's test needs no secret. A private key that everybody has (RFC 6979 appendix A.2.5), for an
// assertion's; as text long enough for every symmetric algorithm.
constexpr std::string_view stand_in_secret =
    R"({"kty":"EC","crv":"P-256","x":"YP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Y","y":"eQP-EAi4vJmkGunpVii8ZPLxsgwtfp9Rd6PClNRGIpk",)"
    R"("d":"ya-p2EW6dRZrXCFXZ7HWk05Qw9s26JsSe4piKxIPZyE"})";

struct Case {
  std::string name;
  std::optional<User> user;  // none: no credential is sent
  std::string method = "GET";
  std::string target;
  std::vector<Header> headers;
  std::string body;
  const json::Value* objects = nullptr;
  const json::Value* replies = nullptr;
  const json::Value* expect = nullptr;
};

void parse_request(ConfigReader& at, Case& out) {
  ConfigReader request(at, "request", "must be an object such as {\"target\": \"/threads/search\"}",
                       ConfigReader::Presence::required);
  request.string("method", out.method);
  request.string("target", out.target);
  if (!out.target.starts_with('/')) request.fail("target", "must be a path and query such as \"/threads/search\"");
  if (const json::Value* body = request.find("body")) {
    out.body = json::write(*body);
    out.headers.push_back({"content-type", "application/json"});
  }
  const ConfigReader headers(request, "headers", "must be an object of header names and values");
  for (std::size_t i = 0; i < headers.size(); ++i) {
    ConfigReader header(headers, i);
    Header read{std::string(header.name()), {}};
    header.string(ConfigReader::itself, read.value);
    if (lower_case(read.name) == "authorization") {
      header.fail(ConfigReader::itself, "has no place here: `user` says who is calling");
    }
    out.headers.push_back(std::move(read));
  }
  request.done();
}

void parse_objects(ConfigReader& at, Case& out) {
  ConfigReader objects(at, "objects", "must be an object with threads, assistants, crons or store");
  if (objects) out.objects = &objects.value();
  for (const char* kind : {"threads", "assistants", "crons", "store"}) {
    const json::Value* list = objects.find(kind);
    if (list != nullptr && !list->is_array()) objects.fail(kind, "must be a list");
    for (std::size_t i = 0; list != nullptr && i < list->items().size(); ++i) {
      const bool store = std::string_view(kind) == "store";
      const char* what =
          store ? "must have a namespace (a list) and a key" : "must have an id (a string), and metadata that is an object";
      ConfigReader object(objects, kind, i, what);
      const json::Value* metadata = object.find("metadata");
      const json::Value* labels = object.find("namespace");
      const json::Value* name = object.find(store ? "key" : "id");
      const bool good = store ? labels != nullptr && labels->is_array() && name != nullptr && name->is_string()
                              : name != nullptr && !name->as_string().empty() && (metadata == nullptr || metadata->is_object());
      if (!good) object.fail(ConfigReader::itself, what);
    }
  }
  objects.done();
  const ConfigReader replies(at, "replies", "must be an object such as {\"GET /notes/1\": {\"owner\": \"alice\"}}");
  if (replies) out.replies = &replies.value();
}

void parse_expect(ConfigReader& at, Case& out) {
  ConfigReader expect(at, "expect", "must be an object such as {\"outcome\": \"deny\"}", ConfigReader::Presence::required);
  if (expect) out.expect = &expect.value();
  std::string text;
  expect.string("outcome", text);
  if (!find_word("allow deny not_found", text)) expect.fail("outcome", "must be \"allow\", \"deny\" or \"not_found\"");
  std::int64_t status = 0;
  expect.integer("status", 100, 599, status);
  expect.string("code", text);
  expect.string("rule", text);
  expect.ignore("filter");
  const ConfigReader stamped(expect, "stamped", "must be an object");
  ConfigReader forwarded(expect, "forwarded", "must be an object");
  for (const char* key : {"method", "target", "body"}) forwarded.ignore(key);
  forwarded.done();
  const json::Value* ids = expect.find("ids");
  if (ids != nullptr && !ids->is_array()) expect.fail("ids", "must be a list of ids");
  expect.done();
}

void parse_case(ConfigReader& at, Case& out) {
  at.string("name", out.name, "is missing");
  const json::Value* user = at.find("user");
  if (user == nullptr || (user->is_string() && user->as_string() != "anonymous")) {
    at.fail("user", "must be \"anonymous\", or an object such as {\"identity\": \"alice\"}");
  } else if (!user->is_string()) {
    auto parsed = parse_user(*user);
    if (parsed) {
      out.user = std::move(parsed).value();
    } else {
      at.fail_in("user", parsed.error());
    }
  }
  parse_request(at, out);
  parse_objects(at, out);
  parse_expect(at, out);
  at.done();
}

// A test file's text, parsed; the views of its cases point into `root`.
struct TestFile {
  json::Value root;
  std::string config_path;
  std::vector<Case> cases;
};

void parse_file(ConfigReader& top, TestFile& file) {
  top.ignore("$schema");
  const json::Value* config = top.find("config");
  if (config == nullptr || (!config->is_object() && config->as_string().empty())) {
    top.fail("config", "must be the configuration, or the path of its file");
  } else {
    file.config_path = config->as_string();
  }
  const std::size_t count = top.list("cases", "must be a non-empty list", ConfigReader::Presence::required);
  for (std::size_t i = 0; i < count; ++i) {
    ConfigReader one(top, "cases", i, "must be an object");
    parse_case(one, file.cases.emplace_back());
  }
  top.done();
}

Result<TestFile, ConfigError> read_file(std::string_view text) {
  auto parsed = json::parse(text, {}, json::Comments::skip);
  if (!parsed) return config_error(text, parsed.error());
  if (!parsed->is_object()) return config_error(text, {0, "a test file must be a JSON object with config and cases"});
  TestFile file;
  file.root = std::move(parsed).value();
  const Environment none;
  ConfigContext context{none};
  ConfigReader top(context, file.root);
  parse_file(top, file);
  if (context.fault) return config_error(text, *context.fault);
  return file;
}

// Every "$NAME" of the configuration, with something to stand for it.
void collect_secrets(const json::Value& value, Environment& out) {
  const std::string& text = value.as_string();
  if (value.is_string() && text.starts_with('$') && !text.starts_with("$user."))
    out.emplace_back(text.substr(1), stand_in_secret);
  for (const json::Value& item : value.items()) collect_secrets(item, out);
  for (const json::Member& member : value.members()) collect_secrets(member.second, out);
}

Result<Settings, ConfigError> test_settings(const TestFile& file, std::string_view config) {
  const std::string text = config.empty() ? json::write(*file.root.find("config")) : std::string(config);
  Environment environment;
  if (auto parsed = json::parse(text, {}, json::Comments::skip)) collect_secrets(parsed.value(), environment);
  auto settings = parse_settings(text, environment);
  if (settings) return settings;
  ConfigError error = settings.error();
  // The lines of a text that stands inside another are nobody's lines.
  if (config.empty()) error.line = error.column = 0;
  return ConfigError{0, 0, "config", error.text()};
}

// What became of one request.
struct Observed {
  int status = 0;
  std::string code;
  json::Value reply;
  json::Value explanation;
};

Observed play(GateState& gate, const Case& one, SimulatedUpstream& upstream) {
  std::vector<HeaderView> headers;
  for (const Header& header : one.headers) headers.push_back({header.name, header.value});
  const RequestHead head{one.method, one.target, headers.data(), headers.size()};
  Observed out;
  if (auto parsed = json::parse(explain_exchange(gate, head, one.body, test_time, one.user))) {
    out.explanation = std::move(parsed).value();
  }
  const std::unique_ptr<Exchange> exchange = open_exchange(gate, head, test_time, Purpose::handle, one.user);
  for (int i = 0; i < steps_max; ++i) {
    Step step = exchange->next(test_time);
    if (std::holds_alternative<ReadBody>(step.action)) {
      exchange->give(step.step_id, BodyResult{BodyResult::State::whole, one.body}, test_time);
    } else if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
      gate.give(fetch->fetch_id, upstream.answer(fetch->request), test_time);
    } else if (const auto* forward = std::get_if<Forward>(&step.action)) {
      IncomingResponse reply = upstream.answer(forward->request);
      if (forward->reply == ReplyMode::inspect) {
        exchange->give(step.step_id, std::move(reply), test_time);
        continue;
      }
      out.status = reply.status;
      if (auto parsed = json::parse(reply.body)) out.reply = std::move(parsed).value();
      return out;
    } else if (const auto* respond = std::get_if<Respond>(&step.action)) {
      out.status = respond->status;
      if (respond->error) out.code = std::string(name(*respond->error));
      if (auto parsed = json::parse(respond->body)) out.reply = std::move(parsed).value();
      return out;
    } else {
      break;
    }
  }
  out.status = 500;
  out.code = "host_failed";
  return out;
}

// The ids of what a reply holds: one object, or a list of them, in its order.
json::Value ids_of(const json::Value& reply) {
  json::Value ids = json::Value::array();
  const auto add = [&](const json::Value& object) {
    for (const std::string_view field : {"run_id", "thread_id", "assistant_id", "cron_id", "key"}) {
      const json::Value* id = object.find(field);
      if (id == nullptr) continue;
      ids.push_back(*id);
      return;
    }
  };
  const json::Value* items = reply.find("items");
  const json::Value& list = items != nullptr ? *items : reply;
  if (list.is_array()) {
    for (const json::Value& item : list.items()) add(item);
  } else {
    add(list);
  }
  return ids;
}

// The last request to the upstream that is no look-up: what the client's request became.
const json::Value* forwarded_request(const SimulatedUpstream& upstream) {
  return upstream.requests().empty() ? nullptr : &upstream.requests().back();
}

// Metadata that was sent along to be stored, by every request that is no search.
std::vector<json::Value> sent_metadata(const SimulatedUpstream& upstream) {
  std::vector<json::Value> out;
  for (const json::Value& request : upstream.requests()) {
    const std::string& target = request.find("target")->as_string();
    if (target.ends_with("/search") || target.ends_with("/count")) continue;
    const json::Value& body = *request.find("body");
    const std::vector<json::Value> bodies = body.is_array() ? body.items() : std::vector<json::Value>{body};
    for (const json::Value& one : bodies) {
      if (const json::Value* metadata = one.find("metadata")) out.push_back(*metadata);
    }
  }
  return out;
}

class Comparison {
 public:
  Comparison(const json::Value& expect, PolicyTestResult& result) : expect_(expect), result_(result) {}

  void equal(std::string_view what, const json::Value& got) {
    const json::Value* expected = expect_.find(what);
    if (expected != nullptr && !json::equal(*expected, got)) add(what, *expected, got);
  }
  void text(std::string_view what, std::string_view got) { equal(what, got.empty() ? json::Value{} : json::Value::string(got)); }
  void add(std::string_view what, const json::Value& expected, const json::Value& got) {
    result_.differences.push_back({std::string(what), json::write(expected), json::write(got)});
  }
  [[nodiscard]] const json::Value* expected(std::string_view what) const { return expect_.find(what); }

 private:
  const json::Value& expect_;
  PolicyTestResult& result_;
};

// Equal where the expectation is empty or holds it: order of $and and $or is the policy's.
json::Value member_or_null(const json::Value& value, std::string_view name) {
  const json::Value* member = value.find(name);
  return member == nullptr ? json::Value{} : *member;
}

PolicyTestResult run_case(GateState& gate, const Case& one) {
  SimulatedUpstream upstream(gate.settings.upstream.url);
  if (one.objects != nullptr) {
    for (const json::Member& kind : one.objects->members()) {
      for (const json::Value& object : kind.second.items()) {
        if (kind.first == "store") {
          upstream.add_store_item(object);
        } else {
          upstream.add(kind.first, object);
        }
      }
    }
  }
  if (one.replies != nullptr) {
    for (const json::Member& reply : one.replies->members()) upstream.set_reply(reply.first, reply.second);
  }
  const Observed seen = play(gate, one, upstream);

  PolicyTestResult result;
  result.name = one.name;
  result.status = seen.status;
  result.code = seen.code;
  result.outcome = seen.status >= 200 && seen.status < 300 ? "allow" : seen.status == 404 ? "not_found" : "deny";
  result.rule = member_or_null(seen.explanation, "rule").as_string();

  Comparison compare(*one.expect, result);
  compare.text("outcome", result.outcome);
  compare.equal("status", json::Value::number(seen.status));
  compare.text("code", seen.code);
  compare.text("rule", result.rule);
  compare.equal("filter", member_or_null(seen.explanation, "filter"));
  compare.equal("ids", ids_of(seen.reply));
  if (const json::Value* stamped = compare.expected("stamped")) {
    const std::vector<json::Value> sent = sent_metadata(upstream);
    if (sent.empty()) compare.add("stamped", *stamped, {});
    for (const json::Value& metadata : sent) {
      if (!contains(metadata, *stamped)) compare.add("stamped", *stamped, metadata);
    }
  }
  if (const json::Value* forwarded = compare.expected("forwarded")) {
    const json::Value* request = forwarded_request(upstream);
    if (request == nullptr || !contains(*request, *forwarded)) {
      compare.add("forwarded", *forwarded, request == nullptr ? json::Value{} : *request);
    }
  }
  return result;
}

}  // namespace

Result<std::string, ConfigError> policy_test_config(std::string_view text) {
  auto file = read_file(text);
  if (!file) return file.error();
  return file->config_path;
}

Result<PolicyTestReport, ConfigError> test_policy(std::string_view text, std::string_view config) {
  auto file = read_file(text);
  if (!file) return file.error();
  if (config.empty() && !file->config_path.empty()) {
    return ConfigError{0, 0, "config", "is a path: the text of that file must be given beside the tests"};
  }
  auto settings = test_settings(file.value(), config);
  if (!settings) return settings.error();
  GateState gate(std::move(settings).value());
  PolicyTestReport report;
  for (const Case& one : file->cases) {
    report.results.push_back(run_case(gate, one));
    if (!report.results.back().differences.empty()) ++report.failed;
  }
  return report;
}

std::string to_json(const PolicyTestResult& result) {
  json::Value out = json::Value::object();
  out.set("name", json::Value::string(result.name));
  out.set("passed", json::Value::boolean(result.differences.empty()));
  out.set("outcome", json::Value::string(result.outcome));
  out.set("status", json::Value::number(result.status));
  if (!result.code.empty()) out.set("code", json::Value::string(result.code));
  if (!result.rule.empty()) out.set("rule", json::Value::string(result.rule));
  json::Value differences = json::Value::array();
  for (const PolicyTestDifference& one : result.differences) {
    json::Value difference = json::Value::object();
    difference.set("what", json::Value::string(one.what));
    difference.set("expected", json::parse(one.expected).value());
    difference.set("got", json::parse(one.got).value());
    differences.push_back(std::move(difference));
  }
  out.set("differences", std::move(differences));
  return json::write(out);
}

}  // namespace postern
