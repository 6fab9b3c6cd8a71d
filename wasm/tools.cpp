// The tools, by Embind, in a wasm of their own: what developers, tests and backends ask, never a request on its way through.
//
// A worker carries none of this. The gates here are others than those of the instance that judges requests, made of the same
// configuration; nothing said here lets anybody in.
#include <emscripten/bind.h>
#include <emscripten/val.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "abi.h"
#include "handles.h"
#include "postern/config.h"
#include "postern/gate.h"
#include "postern/policy_test.h"
#include "postern/route_list.h"

namespace postern {
namespace {

using emscripten::val;

// Made on first use, as everything of an instance.
Handles<Gate, abi::gates_max>& gates() {
  static Handles<Gate, abi::gates_max> all;
  return all;
}

// Pairs as one flat list: [name, value, name, value, ...].
std::vector<std::pair<std::string, std::string>> pairs(const val& list) {
  const std::vector<std::string> flat = emscripten::vecFromJSArray<std::string>(list);
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t i = 0; i + 1 < flat.size(); i += 2) out.emplace_back(flat[i], flat[i + 1]);
  return out;
}

val refusal(const ConfigError& error) {
  val fault = val::object();
  fault.set("line", error.line);
  fault.set("column", error.column);
  fault.set("path", error.path);
  fault.set("message", error.message);
  val out = val::object();
  out.set("error", fault);
  return out;
}

// {handle}, or {error: {line, column, path, message}}. The last two: HostHandlers.
val create_gate(const std::string& config, const val& environment, bool authenticate, bool on) {
  if (gates().full()) {
    return refusal({0, 0, "", "too many gates are open in this program: close one with gate.close()"});
  }
  Result<Gate, ConfigError> made = Gate::create(config, pairs(environment), {authenticate, on});
  if (!made) return refusal(made.error());
  auto gate = std::make_unique<Gate>(std::move(made).value());
  val out = val::object();
  out.set("handle", gates().add(std::move(gate)));
  return out;
}

void close_gate(std::uint32_t gate) { gates().remove(gate); }

bool is_time(double now) { return now >= 0 && now <= 9.0e15; }

// Gate::import_keys; 0 for an unknown handle or a time that is none.
std::uint32_t import_keys(std::uint32_t gate_handle, const std::string& text, double now) {
  Gate* gate = gates().find(gate_handle);
  if (gate == nullptr || !is_time(now)) return 0;
  return static_cast<std::uint32_t>(gate->import_keys(text, Time{static_cast<std::int64_t>(now)}));
}

// {entries} of Gate::set_denylist, or {error}.
val set_denylist(std::uint32_t gate_handle, const std::string& text) {
  Gate* gate = gates().find(gate_handle);
  if (gate == nullptr) return refusal({0, 0, "", "the gate is closed"});
  const auto entries = gate->set_denylist(text);
  if (!entries) return refusal(entries.error());
  val out = val::object();
  out.set("entries", entries.value());
  return out;
}

// The JSON text of Gate::explain; empty when the handle is unknown.
std::string explain(std::uint32_t gate_handle, const std::string& method, const std::string& target, const val& headers,
                    const std::string& body, double now) {
  Gate* gate = gates().find(gate_handle);
  if (gate == nullptr || !is_time(now)) return {};
  const auto owned = pairs(headers);
  std::vector<HeaderView> views;
  views.reserve(owned.size());
  for (const auto& [name, value] : owned) views.push_back({name, value});
  RequestHead head;
  head.method = method;
  head.target = target;
  head.headers = views.data();
  head.headers_size = views.size();
  return gate->explain(head, body, Time{static_cast<std::int64_t>(now)});
}

// {text} of Gate::filter_for, or {error}. The dialect is checked by the JavaScript that calls.
val filter_for(std::uint32_t gate_handle, const std::string& user, const std::string& resource, const std::string& action,
               bool sqlite, const std::string& column, const std::string& placeholder) {
  const Gate* gate = gates().find(gate_handle);
  if (gate == nullptr) return refusal({0, 0, "", "the gate is closed"});
  const FilterForm form{sqlite ? SqlDialect::sqlite : SqlDialect::postgres, column, placeholder};
  const auto text = gate->filter_for(user, resource, action, form);
  if (!text) return refusal(text.error());
  val out = val::object();
  out.set("text", text.value());
  return out;
}

// {matches} of Gate::filter_matches, or {error}.
val filter_matches(std::uint32_t gate_handle, const std::string& user, const std::string& resource, const std::string& action,
                   const std::string& metadata) {
  const Gate* gate = gates().find(gate_handle);
  if (gate == nullptr) return refusal({0, 0, "", "the gate is closed"});
  const auto matches = gate->filter_matches(user, resource, action, metadata);
  if (!matches) return refusal(matches.error());
  val out = val::object();
  out.set("matches", matches.value());
  return out;
}

// {results: [a line of JSON for each case]} of test_policy, or {error}.
val play_policy_tests(const std::string& tests, const std::string& config) {
  const auto report = test_policy(tests, config);
  if (!report) return refusal(report.error());
  val results = val::array();
  for (const PolicyTestResult& result : report->results) results.call<void>("push", to_json(result));
  val out = val::object();
  out.set("results", results);
  return out;
}

}  // namespace
}  // namespace postern

EMSCRIPTEN_BINDINGS(postern) {
  emscripten::function("createGate", &postern::create_gate);
  emscripten::function("closeGate", &postern::close_gate);
  emscripten::function("importKeys", &postern::import_keys);
  emscripten::function("setDenylist", &postern::set_denylist);
  emscripten::function("explain", &postern::explain);
  emscripten::function("filterFor", &postern::filter_for);
  emscripten::function("filterMatches", &postern::filter_matches);
  emscripten::function("testPolicy", &postern::play_policy_tests);
  emscripten::function("routeList", &postern::route_list_json);
}
