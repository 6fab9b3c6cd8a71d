// The cold path of the wasm build, by Embind: making a gate, its keys as text, explaining, the list of errors.
//
// Strings cost 5 to 9 us a call here, which is why the request path has exports of its own. What comes in is
// configuration text, keys that a second-level cache kept and, for explain, a request a person is asking about.
#include <emscripten/bind.h>
#include <emscripten/val.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "abi.h"
#include "instance.h"
#include "postern/config.h"
#include "postern/environment.h"
#include "postern/error.h"
#include "postern/gate.h"
#include "postern/policy_test.h"
#include "postern/route_list.h"

namespace postern {
namespace {

using emscripten::val;

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

// {handle, upstreamUrl, warnings}, or {error: {line, column, path, message}}.
val create_gate(const std::string& config, const val& environment) {
  Instance& here = instance();
  if (here.gates.full()) {
    return refusal({0, 0, "", "too many gates are open in this program: close one with gate.close()"});
  }
  Result<Gate, ConfigError> made = Gate::create(config, pairs(environment));
  if (!made) return refusal(made.error());
  auto gate = std::make_unique<Gate>(std::move(made).value());
  val warnings = val::array();
  for (const std::string& warning : gate->warnings()) warnings.call<void>("push", warning);
  val out = val::object();
  out.set("upstreamUrl", gate->upstream_url());
  out.set("warnings", warnings);
  out.set("handle", here.gates.add(std::move(gate)));
  return out;
}

// Gate::use_host_verifier; the handle of a closed gate is ignored.
void use_host_verifier(std::uint32_t gate_handle, const val& algorithms) {
  if (Gate* gate = instance().gates.find(gate_handle))
    gate->use_host_verifier(emscripten::vecFromJSArray<std::string>(algorithms));
}

// Gate::key_jwk; empty when the gate's handle is unknown too.
std::string key_jwk(std::uint32_t gate_handle, std::uint64_t key_handle) {
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr ? std::string() : gate->key_jwk(key_handle);
}

// {text} of config_from_environment, or {error}.
val environment_config(const val& environment) {
  const auto text = config_from_environment(pairs(environment));
  if (!text) return refusal(text.error());
  val out = val::object();
  out.set("text", text.value());
  return out;
}

// The names that it reads.
val environment_names() {
  val list = val::array();
  for (const std::string_view name : environment_config_names()) list.call<void>("push", std::string(name));
  return list;
}

void close_gate(std::uint32_t gate) { instance().close_gate(gate); }

bool is_time(double now) { return now >= 0 && now <= 9.0e15; }

// Gate::export_keys; empty when the handle is unknown too.
std::string export_keys(std::uint32_t gate_handle) {
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr ? std::string() : gate->export_keys();
}

// Gate::import_keys; 0 for an unknown handle or a time that is none.
std::uint32_t import_keys(std::uint32_t gate_handle, const std::string& text, double now) {
  Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr || !is_time(now)) return 0;
  return static_cast<std::uint32_t>(gate->import_keys(text, Time{static_cast<std::int64_t>(now)}));
}

// Gate::keys_version, exact up to 2^53 fetches; 0 for an unknown handle.
double keys_version(std::uint32_t gate_handle) {
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr ? 0 : static_cast<double>(gate->keys_version());
}

val key_faults(std::uint32_t gate_handle) {
  val list = val::array();
  const Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr) return list;
  for (const std::string& fault : gate->key_faults()) list.call<void>("push", fault);
  return list;
}

// {entries} of Gate::set_denylist, or {error}.
val set_denylist(std::uint32_t gate_handle, const std::string& text) {
  Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr) return refusal({0, 0, "", "the gate is closed"});
  const auto entries = gate->set_denylist(text);
  if (!entries) return refusal(entries.error());
  val out = val::object();
  out.set("entries", entries.value());
  return out;
}

// Gate::is_denied; true for an unknown handle.
bool is_denied(std::uint32_t gate_handle, const std::string& credential) {
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr || gate->is_denied(credential);
}

// The JSON text of Gate::explain; empty when the handle is unknown.
std::string explain(std::uint32_t gate_handle, const std::string& method, const std::string& target, const val& headers,
                    const std::string& body, double now) {
  Gate* gate = instance().gates.find(gate_handle);
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
  const Gate* gate = instance().gates.find(gate_handle);
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
  const Gate* gate = instance().gates.find(gate_handle);
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

// Every error in the order of its number, a line each: code, status and sentence, with tabs between.
std::string errors() {
  return
#define X(code, http, text) #code "\t" #http "\t" text "\n"
      POSTERN_ERRORS(X)
#undef X
          ;
}

}  // namespace
}  // namespace postern

EMSCRIPTEN_BINDINGS(postern) {
  emscripten::function("createGate", &postern::create_gate);
  emscripten::function("useHostVerifier", &postern::use_host_verifier);
  emscripten::function("keyJwk", &postern::key_jwk);
  emscripten::function("environmentConfig", &postern::environment_config);
  emscripten::function("environmentNames", &postern::environment_names);
  emscripten::function("closeGate", &postern::close_gate);
  emscripten::function("exportKeys", &postern::export_keys);
  emscripten::function("importKeys", &postern::import_keys);
  emscripten::function("keysVersion", &postern::keys_version);
  emscripten::function("keyFaults", &postern::key_faults);
  emscripten::function("setDenylist", &postern::set_denylist);
  emscripten::function("isDenied", &postern::is_denied);
  emscripten::function("explain", &postern::explain);
  emscripten::function("filterFor", &postern::filter_for);
  emscripten::function("filterMatches", &postern::filter_matches);
  emscripten::function("testPolicy", &postern::play_policy_tests);
  emscripten::function("errors", &postern::errors);
  emscripten::function("routeList", &postern::route_list_json);
}
