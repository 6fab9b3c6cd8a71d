// What is asked once a gate, a key fetch or a start: making a gate, its keys as text, its denylist, the list of errors.
//
// Exports like those of exports.cpp, whose words and buffers these share. What comes in is configuration text and text that a
// second-level cache or a denylist kept.
#include <emscripten/emscripten.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "abi.h"
#include "instance.h"
#include "message.h"
#include "postern/config.h"
#include "postern/environment.h"
#include "postern/error.h"
#include "postern/gate.h"

namespace postern {
namespace {

using abi::Answer;

std::uint32_t fault(const ConfigError& error) {
  writer().word(error.line);
  writer().word(error.column);
  writer().text(error.path);
  writer().text(error.message);
  return answer(Answer::fault);
}

std::uint32_t given(std::string_view text) {
  writer().text(text);
  return answer(Answer::given);
}

// The Texts that came in; nothing when the message is none. They are views into the input.
std::vector<std::string_view> texts_in(std::uint32_t words, std::uint32_t text_bytes) {
  writer().begin();
  Reader reader(instance().input, words, text_bytes, 0);
  std::vector<std::string_view> texts = reader.texts();
  if (!reader.whole()) texts.clear();
  return texts;
}

// [name, value, name, value, ...] from `first` on.
Environment environment_of(const std::vector<std::string_view>& texts, std::size_t first) {
  Environment out;
  for (std::size_t i = first; i + 1 < texts.size(); i += 2) out.emplace_back(texts[i], texts[i + 1]);
  return out;
}

bool is_time(double now) { return now >= 0 && now <= 9.0e15; }

}  // namespace

extern "C" {

// Every error in the order of its number, a line each: code, status and sentence, with tabs between. Gives one text.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_errors() {
  writer().begin();
  return given(
#define X(code, http, text) #code "\t" #http "\t" text "\n"
      POSTERN_ERRORS(X)
#undef X
  );
}

// Takes the configuration, then names and values of the environment. `handlers` are HostHandlers: 1 authenticate, 2 on.
// Gives handle upstream_url:text warnings:Texts.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_create_gate(std::uint32_t words, std::uint32_t text_bytes, std::uint32_t handlers) {
  const std::vector<std::string_view> texts = texts_in(words, text_bytes);
  if (texts.empty()) return answer(Answer::unknown);
  if (instance().gates.full()) {
    return fault({0, 0, "", "too many gates are open in this program: close one with gate.close()"});
  }
  Result<Gate, ConfigError> made = Gate::create(texts[0], environment_of(texts, 1), {(handlers & 1) != 0, (handlers & 2) != 0});
  if (!made) return fault(made.error());
  auto gate = std::make_unique<Gate>(std::move(made).value());
  const Gate& kept = *gate;
  writer().word(instance().gates.add(std::move(gate)));
  writer().text(kept.upstream_url());
  writer().texts(kept.warnings());
  return answer(Answer::given);
}

// The names that postern_environment_config looks at. Gives Texts.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_environment_names() {
  writer().begin();
  writer().word(environment_config_names().size());
  for (const std::string_view name : environment_config_names()) writer().text(name);
  return answer(Answer::given);
}

// config_from_environment. Takes names and values, gives one text.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_environment_config(std::uint32_t words, std::uint32_t text_bytes) {
  const auto text = config_from_environment(environment_of(texts_in(words, text_bytes), 0));
  return text ? given(text.value()) : fault(text.error());
}

EMSCRIPTEN_KEEPALIVE void postern_close_gate(std::uint32_t gate) { instance().close_gate(gate); }

// Gate::use_host_verifier. Takes the algorithms.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_use_host_verifier(std::uint32_t gate_handle, std::uint32_t words,
                                                             std::uint32_t text_bytes) {
  const std::vector<std::string_view> algorithms = texts_in(words, text_bytes);
  Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr) return answer(Answer::unknown);
  gate->use_host_verifier({algorithms.begin(), algorithms.end()});
  return answer(Answer::given);
}

// Gate::key_jwk. Gives one text.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_key_jwk(std::uint32_t gate_handle, std::uint64_t key_handle) {
  writer().begin();
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr ? answer(Answer::unknown) : given(gate->key_jwk(key_handle));
}

// Gate::export_keys. Gives one text.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_export_keys(std::uint32_t gate_handle) {
  writer().begin();
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr ? answer(Answer::unknown) : given(gate->export_keys());
}

// Gate::import_keys. Takes one text. Returns how many issuers' keys were taken: none for an unknown handle or a time that is
// none.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_import_keys(std::uint32_t gate_handle, std::uint32_t words, std::uint32_t text_bytes,
                                                       double now) {
  const std::vector<std::string_view> texts = texts_in(words, text_bytes);
  Gate* gate = instance().gates.find(gate_handle);
  const bool asked = gate != nullptr && texts.size() == 1 && is_time(now);
  const std::size_t taken = asked ? gate->import_keys(texts[0], Time{static_cast<std::int64_t>(now)}) : 0;
  trim_input();
  return static_cast<std::uint32_t>(taken);
}

// Gate::keys_version, exact up to 2^53 fetches; 0 for an unknown handle.
EMSCRIPTEN_KEEPALIVE double postern_keys_version(std::uint32_t gate_handle) {
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr ? 0 : static_cast<double>(gate->keys_version());
}

// Gate::key_faults. Gives Texts.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_key_faults(std::uint32_t gate_handle) {
  writer().begin();
  const Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr) return answer(Answer::unknown);
  writer().texts(gate->key_faults());
  return answer(Answer::given);
}

// Gate::set_denylist. Takes one text, gives the number of entries.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_set_denylist(std::uint32_t gate_handle, std::uint32_t words,
                                                        std::uint32_t text_bytes) {
  const std::vector<std::string_view> texts = texts_in(words, text_bytes);
  Gate* gate = instance().gates.find(gate_handle);
  if (gate == nullptr || texts.size() != 1) return answer(Answer::unknown);
  const auto entries = gate->set_denylist(texts[0]);
  if (!entries) return fault(entries.error());
  writer().word(entries.value());
  return answer(Answer::given);
}

// Gate::is_denied. Takes one text. Returns 1, for an unknown handle too, or 0.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_is_denied(std::uint32_t gate_handle, std::uint32_t words, std::uint32_t text_bytes) {
  const std::vector<std::string_view> texts = texts_in(words, text_bytes);
  const Gate* gate = instance().gates.find(gate_handle);
  return gate == nullptr || texts.size() != 1 || gate->is_denied(texts[0]) ? 1 : 0;
}

}  // extern "C"
}  // namespace postern
