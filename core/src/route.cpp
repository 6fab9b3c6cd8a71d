#include "route.h"

#include <algorithm>
#include <array>
#include <optional>

#include "escape.h"
#include "json.h"
#include "text.h"

namespace postern {
namespace {

using enum FieldKind;

// What the SDKs and RemoteGraph send (LangGraph API, both servers), less what a client may not decide: checkpoint and
// checkpoint_id on runs (their thread_id overrides the path's in the Python server), langsmith_tracer and feedback_keys.
// upstream.allow_fields admits more.
constexpr std::array thread_create_fields = {
    Field{"thread_id", uuid}, Field{"metadata", metadata},     Field{"if_exists", string},
    Field{"ttl", any},        Field{"supersteps", supersteps},
};
constexpr std::array thread_search_fields = {
    Field{"metadata", metadata}, Field{"ids", ids},        Field{"values", object},  Field{"status", string},
    Field{"limit", integer},     Field{"offset", integer}, Field{"sort_by", string}, Field{"sort_order", string},
    Field{"select", select},     Field{"extract", object},
};
constexpr std::array thread_count_fields = {
    Field{"metadata", metadata},
    Field{"values", object},
    Field{"status", string},
};
constexpr std::array thread_prune_fields = {Field{"thread_ids", ids}, Field{"strategy", string}};
constexpr std::array thread_update_fields = {Field{"metadata", metadata}, Field{"ttl", any}};
constexpr std::array state_update_fields = {
    Field{"values", any},
    Field{"as_node", string},
    Field{"checkpoint", checkpoint},
};
constexpr std::array state_checkpoint_fields = {
    Field{"checkpoint", checkpoint},
    Field{"subgraphs", boolean},
    Field{"select", string_or_array},
};
constexpr std::array history_fields = {
    Field{"limit", integer},         Field{"before", checkpoint},      Field{"metadata", object},
    Field{"checkpoint", checkpoint}, Field{"select", string_or_array},
};
constexpr std::array event_stream_fields = {
    Field{"channels", strings},
    Field{"namespaces", any},
    Field{"depth", integer},
    Field{"since", integer},
};
// The parameters are in protocol_methods (enforcement.cpp), by method.
constexpr std::array protocol_command_fields = {Field{"id", integer}, Field{"method", string}, Field{"params", object}};
constexpr std::array run_fields = {
    Field{"assistant_id", assistant},
    Field{"input", any},
    Field{"command", command},
    Field{"metadata", metadata},
    Field{"config", config},
    Field{"context", context},
    Field{"webhook", webhook},
    Field{"stream_mode", string_or_array},
    Field{"stream_subgraphs", boolean},
    Field{"stream_resumable", boolean},
    Field{"interrupt_before", string_or_array},
    Field{"interrupt_after", string_or_array},
    Field{"multitask_strategy", string},
    Field{"if_not_exists", string},
    Field{"on_completion", string},
    Field{"on_disconnect", string},
    Field{"after_seconds", any},
    Field{"durability", string},
    Field{"checkpoint_during", boolean},
    Field{"strict_resume", boolean},
};
constexpr std::array run_cancel_fields = {Field{"thread_id", uuid}, Field{"run_ids", ids}};
constexpr std::array cron_fields = {
    Field{"schedule", string},
    Field{"timezone", string},
    Field{"end_time", string},
    Field{"assistant_id", assistant},
    Field{"input", any},
    Field{"metadata", metadata},
    Field{"config", config},
    Field{"context", context},
    Field{"webhook", webhook},
    Field{"interrupt_before", string_or_array},
    Field{"interrupt_after", string_or_array},
    Field{"multitask_strategy", string},
    Field{"on_run_completed", string},
    Field{"enabled", boolean},
    Field{"stream_mode", string_or_array},
    Field{"stream_subgraphs", boolean},
    Field{"stream_resumable", boolean},
    Field{"durability", string},
};
constexpr std::array cron_update_fields = {
    Field{"schedule", string},
    Field{"timezone", string},
    Field{"end_time", string},
    Field{"input", any},
    Field{"metadata", metadata},
    Field{"config", config},
    Field{"context", context},
    Field{"webhook", webhook},
    Field{"interrupt_before", string_or_array},
    Field{"interrupt_after", string_or_array},
    Field{"on_run_completed", string},
    Field{"enabled", boolean},
    Field{"stream_mode", string_or_array},
    Field{"stream_subgraphs", boolean},
    Field{"stream_resumable", boolean},
    Field{"durability", string},
};
constexpr std::array cron_search_fields = {
    Field{"assistant_id", string}, Field{"thread_id", uuid},    Field{"enabled", boolean},
    Field{"metadata", metadata},   Field{"limit", integer},     Field{"offset", integer},
    Field{"sort_by", string},      Field{"sort_order", string}, Field{"select", select},
};
constexpr std::array cron_count_fields = {
    Field{"assistant_id", string},
    Field{"thread_id", uuid},
    Field{"metadata", metadata},
};
constexpr std::array assistant_create_fields = {
    Field{"assistant_id", uuid}, Field{"graph_id", graph},   Field{"config", config}, Field{"context", context},
    Field{"metadata", metadata}, Field{"if_exists", string}, Field{"name", string},   Field{"description", string},
};
constexpr std::array assistant_update_fields = {
    Field{"graph_id", graph},    Field{"config", config}, Field{"context", context},
    Field{"metadata", metadata}, Field{"name", string},   Field{"description", string},
};
constexpr std::array assistant_search_fields = {
    Field{"metadata", metadata}, Field{"graph_id", string}, Field{"name", string},       Field{"limit", integer},
    Field{"offset", integer},    Field{"sort_by", string},  Field{"sort_order", string}, Field{"select", select},
};
constexpr std::array assistant_count_fields = {
    Field{"metadata", metadata},
    Field{"graph_id", string},
    Field{"name", string},
};
constexpr std::array assistant_versions_fields = {
    Field{"metadata", metadata},
    Field{"limit", integer},
    Field{"offset", integer},
};
constexpr std::array assistant_latest_fields = {Field{"version", integer}};
constexpr std::array store_put_fields = {
    Field{"namespace", labels}, Field{"key", string}, Field{"value", object}, Field{"index", any}, Field{"ttl", number},
};
constexpr std::array store_delete_fields = {Field{"namespace", labels}, Field{"key", string}};
constexpr std::array store_search_fields = {
    Field{"namespace_prefix", labels}, Field{"filter", object}, Field{"limit", integer},
    Field{"offset", integer},          Field{"query", string},  Field{"refresh_ttl", boolean},
};
constexpr std::array store_namespaces_fields = {
    Field{"prefix", labels}, Field{"suffix", labels},  Field{"max_depth", integer},
    Field{"limit", integer}, Field{"offset", integer},
};

constexpr std::array ok_query = {QueryParameter{"check_db", QueryKind::boolean}};
constexpr std::array metrics_query = {QueryParameter{"format", QueryKind::word}};
constexpr std::array thread_query = {QueryParameter{"include", QueryKind::words}};
constexpr std::array state_query = {QueryParameter{"subgraphs", QueryKind::boolean}, QueryParameter{"select", QueryKind::words}};
constexpr std::array history_query = {QueryParameter{"limit", QueryKind::integer}, QueryParameter{"before", QueryKind::word}};
constexpr std::array thread_stream_query = {QueryParameter{"stream_modes", QueryKind::words},
                                            QueryParameter{"stream_mode", QueryKind::words}};
constexpr std::array run_list_query = {
    QueryParameter{"limit", QueryKind::integer},
    QueryParameter{"offset", QueryKind::integer},
    QueryParameter{"status", QueryKind::word},
    QueryParameter{"select", QueryKind::words},
};
constexpr std::array join_query = {
    QueryParameter{"cancel_on_disconnect", QueryKind::boolean},
};
constexpr std::array run_stream_query = {
    QueryParameter{"cancel_on_disconnect", QueryKind::boolean},
    QueryParameter{"stream_mode", QueryKind::words},
};
constexpr std::array cancel_query = {
    QueryParameter{"wait", QueryKind::boolean},
    QueryParameter{"action", QueryKind::word},
};
constexpr std::array cancel_many_query = {QueryParameter{"action", QueryKind::word}};
constexpr std::array graph_query = {QueryParameter{"xray", QueryKind::word}};
constexpr std::array subgraphs_query = {QueryParameter{"recurse", QueryKind::boolean}};
// It removes threads by their assistant, whoever owns them. The JS SDK says false when it is not asked for.
constexpr std::array assistant_delete_query = {QueryParameter{"delete_threads", QueryKind::only_false}};
constexpr std::array store_get_query = {
    QueryParameter{"namespace", QueryKind::namespace_},
    QueryParameter{"key", QueryKind::text},
    QueryParameter{"refresh_ttl", QueryKind::boolean},
};

constexpr std::string_view why_run_alone = "a run without its thread cannot be told whose it is; use the thread's route";
constexpr std::string_view why_websocket =
    "a socket's messages are not judged one by one; use POST on the same path, and commands";
constexpr std::string_view why_other_protocol = "this protocol runs any assistant under names of its own, past the policy";
constexpr std::string_view why_internal = "the server's own; it is not for clients";

using R = Resource;
using A = Action;
using T = Treatment;

constexpr std::array routes = {
    // clang-format off
    Route{"GET", "/ok", R::threads, A::read, T::open, {}, ok_query},
    Route{"GET", "/info", R::threads, A::read, T::open},
    Route{"GET", "/", R::threads, A::read, T::operators},
    Route{"GET", "/docs", R::threads, A::read, T::operators},
    Route{"GET", "/openapi.json", R::threads, A::read, T::operators},
    Route{"GET", "/metrics", R::threads, A::read, T::operators, {}, metrics_query},
    Route{"GET", "/ui/{graph_id}/{file}", R::threads, A::read, T::operators},
    Route{"POST", "/ui/{graph_id}", R::threads, A::read, T::denied, {}, {}, false, why_internal},

    Route{"POST", "/threads", R::threads, A::create, T::create, thread_create_fields},
    Route{"POST", "/threads/search", R::threads, A::search, T::search, thread_search_fields},
    Route{"POST", "/threads/count", R::threads, A::search, T::count, thread_count_fields},
    Route{"POST", "/threads/prune", R::threads, A::delete_, T::prune_threads, thread_prune_fields},
    Route{"GET", "/threads/{thread_id}", R::threads, A::read, T::object, {}, thread_query},
    Route{"PATCH", "/threads/{thread_id}", R::threads, A::update, T::object, thread_update_fields},
    Route{"DELETE", "/threads/{thread_id}", R::threads, A::delete_, T::object},
    Route{"POST", "/threads/{thread_id}/copy", R::threads, A::create, T::copy_thread},
    Route{"GET", "/threads/{thread_id}/storage", R::threads, A::read, T::object},
    Route{"GET", "/threads/{thread_id}/state", R::threads, A::read, T::object, {}, state_query},
    Route{"POST", "/threads/{thread_id}/state", R::threads, A::update, T::object, state_update_fields},
    Route{"POST", "/threads/{thread_id}/state/checkpoint", R::threads, A::read, T::object, state_checkpoint_fields},
    Route{"GET", "/threads/{thread_id}/state/{checkpoint_id}", R::threads, A::read, T::object, {}, state_query},
    Route{"GET", "/threads/{thread_id}/history", R::threads, A::read, T::object, {}, history_query},
    Route{"POST", "/threads/{thread_id}/history", R::threads, A::read, T::object, history_fields},
    Route{"GET", "/threads/{thread_id}/stream", R::threads, A::read, T::object, {}, thread_stream_query, true},
    Route{"POST", "/threads/{thread_id}/stream/events", R::threads, A::read, T::object, event_stream_fields, {}, true},
    Route{"GET", "/threads/{thread_id}/stream/events", R::threads, A::read, T::denied, {}, {}, false, why_websocket},
    Route{"POST", "/threads/{thread_id}/commands", R::threads, A::create_run, T::command, protocol_command_fields, {}, true},

    Route{"POST", "/threads/{thread_id}/runs", R::threads, A::create_run, T::create_run, run_fields},
    Route{"POST", "/threads/{thread_id}/runs/wait", R::threads, A::create_run, T::create_run, run_fields, {}, true},
    Route{"POST", "/threads/{thread_id}/runs/stream", R::threads, A::create_run, T::create_run, run_fields, {}, true},
    Route{"GET", "/threads/{thread_id}/runs", R::threads, A::read, T::object, {}, run_list_query},
    Route{"GET", "/threads/{thread_id}/runs/{run_id}", R::threads, A::read, T::object},
    Route{"DELETE", "/threads/{thread_id}/runs/{run_id}", R::threads, A::delete_, T::object},
    Route{"GET", "/threads/{thread_id}/runs/{run_id}/join", R::threads, A::read, T::object, {}, join_query, true},
    Route{"GET", "/threads/{thread_id}/runs/{run_id}/stream", R::threads, A::read, T::object, {}, run_stream_query, true},
    Route{"POST", "/threads/{thread_id}/runs/{run_id}/cancel", R::threads, A::update, T::object, {}, cancel_query, true},
    Route{"POST", "/runs", R::threads, A::create_run, T::create_run, run_fields},
    Route{"POST", "/runs/wait", R::threads, A::create_run, T::create_run, run_fields, {}, true},
    Route{"POST", "/runs/stream", R::threads, A::create_run, T::create_run, run_fields, {}, true},
    Route{"POST", "/runs/batch", R::threads, A::create_run, T::create_runs, run_fields},
    Route{"POST", "/runs/cancel", R::threads, A::update, T::cancel_runs, run_cancel_fields, cancel_many_query},
    Route{"GET", "/runs/{run_id}/stream", R::threads, A::read, T::denied, {}, {}, false, why_run_alone},

    Route{"POST", "/runs/crons", R::crons, A::create, T::create_cron, cron_fields},
    Route{"POST", "/threads/{thread_id}/runs/crons", R::crons, A::create, T::create_cron, cron_fields},
    Route{"POST", "/runs/crons/search", R::crons, A::search, T::search, cron_search_fields},
    Route{"POST", "/runs/crons/count", R::crons, A::search, T::count, cron_count_fields},
    Route{"GET", "/runs/crons/{cron_id}", R::crons, A::read, T::read_object},
    Route{"PATCH", "/runs/crons/{cron_id}", R::crons, A::update, T::object, cron_update_fields},
    Route{"DELETE", "/runs/crons/{cron_id}", R::crons, A::delete_, T::object},

    Route{"POST", "/assistants", R::assistants, A::create, T::create, assistant_create_fields},
    Route{"POST", "/assistants/search", R::assistants, A::search, T::search, assistant_search_fields},
    Route{"POST", "/assistants/count", R::assistants, A::search, T::count, assistant_count_fields},
    Route{"GET", "/assistants/{assistant_id}", R::assistants, A::read, T::read_object},
    Route{"PATCH", "/assistants/{assistant_id}", R::assistants, A::update, T::object, assistant_update_fields},
    Route{"DELETE", "/assistants/{assistant_id}", R::assistants, A::delete_, T::object, {}, assistant_delete_query},
    Route{"GET", "/assistants/{assistant_id}/graph", R::assistants, A::read, T::object, {}, graph_query},
    Route{"GET", "/assistants/{assistant_id}/schemas", R::assistants, A::read, T::object},
    Route{"GET", "/assistants/{assistant_id}/subgraphs", R::assistants, A::read, T::object, {}, subgraphs_query},
    Route{"GET", "/assistants/{assistant_id}/subgraphs/{namespace}", R::assistants, A::read, T::object, {}, subgraphs_query},
    Route{"POST", "/assistants/{assistant_id}/versions", R::assistants, A::read, T::assistant_versions, assistant_versions_fields},
    Route{"POST", "/assistants/{assistant_id}/latest", R::assistants, A::update, T::assistant_latest, assistant_latest_fields},

    Route{"PUT", "/store/items", R::store, A::put, T::store_item, store_put_fields},
    Route{"GET", "/store/items", R::store, A::get, T::store_item, {}, store_get_query},
    Route{"DELETE", "/store/items", R::store, A::delete_, T::store_item, store_delete_fields},
    Route{"POST", "/store/items/search", R::store, A::search, T::store_search, store_search_fields},
    Route{"POST", "/store/namespaces", R::store, A::list_namespaces, T::store_namespaces, store_namespaces_fields},

    Route{"GET", "/mcp", R::threads, A::create_run, T::denied, {}, {}, false, why_other_protocol},
    Route{"POST", "/mcp", R::threads, A::create_run, T::denied, {}, {}, false, why_other_protocol},
    Route{"DELETE", "/mcp", R::threads, A::create_run, T::denied, {}, {}, false, why_other_protocol},
    Route{"POST", "/a2a/{assistant_id}", R::threads, A::create_run, T::denied, {}, {}, false, why_other_protocol},
    Route{"GET", "/a2a/{assistant_id}", R::threads, A::create_run, T::denied, {}, {}, false, why_other_protocol},
    Route{"DELETE", "/a2a/{assistant_id}", R::threads, A::create_run, T::denied, {}, {}, false, why_other_protocol},
    Route{"GET", "/a2a/{assistant_id}/.well-known/agent-card.json", R::assistants, A::read, T::denied, {}, {}, false, why_other_protocol},
    Route{"GET", "/a2a/{assistant_id}/.well-known/agent.json", R::assistants, A::read, T::denied, {}, {}, false, why_other_protocol},
    Route{"GET", "/.well-known/agent-card.json", R::assistants, A::read, T::denied, {}, {}, false, why_other_protocol},
    Route{"GET", "/profile", R::threads, A::read, T::denied, {}, {}, false, why_internal},
    Route{"POST", "/internal/truncate", R::threads, A::delete_, T::denied, {}, {}, false, why_internal},
    Route{"GET", "/internal/debug/thread/{thread_id}", R::threads, A::read, T::denied, {}, {}, false, why_internal},
    Route{"GET", "/deploy", R::threads, A::read, T::denied, {}, {}, false, why_internal},
    Route{"POST", "/deploy", R::threads, A::create, T::denied, {}, {}, false, why_internal},
    Route{"GET", "/deploy/{operation_id}/stream", R::threads, A::read, T::denied, {}, {}, false, why_internal},
    // clang-format on
};

// A target longer than this is no LangGraph call; Node's own limit for a whole head is 16 KiB.
constexpr std::size_t target_bytes_max = 4096;
constexpr std::size_t word_bytes_max = 128;
constexpr std::size_t repeats_max = 16;
constexpr std::size_t text_bytes_max = 1024;

// What a character may stand in, one look at a table: every character of every path is asked about, some of them thrice.
enum Place : std::uint8_t { in_path = 1, in_uuid = 2, in_word = 4, in_name = 8 };
constexpr std::array<std::uint8_t, 256> places_of_characters = [] {
  std::array<std::uint8_t, 256> places{};
  for (std::size_t i = 0; i < places.size(); ++i) {
    const char c = static_cast<char>(i);
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool in_names = letter || is_digit(c) || c == '_' || c == '-' || c == '.';
    if (i > ' ' && i < 0x7f && c != '%' && c != '\\' && c != ';' && c != '#') places[i] |= in_path;
    if (is_digit(c) || (c >= 'a' && c <= 'f')) places[i] |= in_uuid;
    if (in_names || c == ',') places[i] |= in_word;
    if (in_names) places[i] |= in_name;
  }
  return places;
}();
bool is(char c, Place place) { return (places_of_characters[static_cast<unsigned char>(c)] & place) != 0; }
bool is_word_char(char c) { return is(c, in_word); }

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t at = text.find(separator);
    parts.push_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + 1);
  }
}

bool is_plain_path(std::string_view path) {
  if (path.empty() || path.front() != '/') return false;
  if (path == "/") return true;
  std::size_t segment = 0;  // so many characters of the one that is being read
  bool dots = true;         // and nothing but dots
  for (const char c : path.substr(1)) {
    if (!is(c, in_path)) return false;
    if (c != '/') {
      ++segment;
      dots = dots && c == '.';
      continue;
    }
    if (segment == 0 || (dots && segment <= 2)) return false;
    segment = 0;
    dots = true;
  }
  return segment != 0 && !(dots && segment <= 2);
}

// The first segment of a path, which is left without it. Precondition: it begins with "/".
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const std::string_view segment = path.substr(0, path.find('/'));
  path.remove_prefix(segment.size());
  return segment;
}

bool is_plain_word(std::string_view text) {
  return !text.empty() && text.size() <= word_bytes_max && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), is_word_char);
}

// One segment of a row's path that stands for something; where its value goes.
bool fits_place(std::string_view place, std::string_view segment, RouteMatch& match) {
  if (place == "{thread_id}") return is_uuid(segment) && (match.thread_id = segment, true);
  if (place == "{run_id}") return is_uuid(segment) && (match.run_id = segment, true);
  if (place == "{cron_id}") return is_uuid(segment) && (match.cron_id = segment, true);
  if (place == "{checkpoint_id}") return is_uuid(segment);
  if (place == "{assistant_id}") return (is_uuid(segment) || is_graph_name(segment)) && (match.assistant_id = segment, true);
  if (place == "{graph_id}") return is_graph_name(segment);
  if (place == "{namespace}" || place == "{file}" || place == "{operation_id}") return is_plain_word(segment);
  return false;
}

// Whether the path has the row's segments, whatever stands at its places: what `fits` asks first, for all rows at a glance.
bool has_shape(std::string_view wanted, std::string_view path) {
  const char* at = path.data();
  const char* const end = at + path.size();
  for (const char* w = wanted.data(); w != wanted.data() + wanted.size();) {
    if (at == end) return false;
    if (*w == '{') {
      while (*w++ != '}') {
      }
      while (at != end && *at != '/') ++at;
    } else if (*w++ != *at++) {
      return false;
    }
  }
  return at == end;
}

// Whether the path fits the row; fills the ids.
bool fits(const Route& route, std::string_view path, RouteMatch& match) {
  std::string_view wanted = route.path;
  if (wanted == "/" || path == "/") return wanted == path;
  for (std::string* id : {&match.thread_id, &match.run_id, &match.assistant_id, &match.cron_id}) id->clear();
  while (!wanted.empty() && !path.empty()) {
    const std::string_view place = take_segment(wanted);
    const std::string_view segment = take_segment(path);
    if (place.starts_with('{') ? !fits_place(place, segment, match) : place != segment) return false;
  }
  return wanted.empty() && path.empty();
}

// Whether the path fits a route of the configuration; fills the parameters.
bool fits(const CustomRoute& route, std::string_view path, RouteMatch& match) {
  std::string_view wanted = route.path;
  if (wanted == "/" || path == "/") return wanted == path;
  match.parameters.clear();
  while (!wanted.empty() && !path.empty()) {
    const std::string_view place = take_segment(wanted);
    const std::string_view segment = take_segment(path);
    if (!place.starts_with('{')) {
      if (place != segment) return false;
      continue;
    }
    const bool plain =
        std::all_of(segment.begin(), segment.end(), [](char c) { return is_word_char(c) || c == '~' || c == '@' || c == ':'; });
    if (!plain) return false;
    match.parameters.emplace_back(place.substr(1, place.size() - 2), segment);
  }
  return wanted.empty() && path.empty();
}

// application/x-www-form-urlencoded, as both SDKs write it. Refuses broken escapes, control characters and what is not
// UTF-8 (by writing and parsing it as JSON).
std::optional<std::string> decode_query_text(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      i += 2;
    } else if (c == '+') {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    out += c;
  }
  if (out.empty() || out.size() > text_bytes_max) return std::nullopt;
  std::string quoted;
  json::write_string(quoted, out);
  return json::parse(quoted) ? std::optional(std::move(out)) : std::nullopt;
}

std::optional<std::string> decode_query_word(std::string_view text) {
  // SDKs encode the comma of a list; nothing else in these values needs an escape.
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && text[i + 1] == '2' && (text[i + 2] == 'C' || text[i + 2] == 'c')) {
      out += ',';
      i += 2;
    } else if (is_word_char(text[i])) {
      out += text[i];
    } else {
      return std::nullopt;
    }
  }
  if (out.empty() || out.size() > word_bytes_max) return std::nullopt;
  return out;
}

bool fits(QueryKind kind, std::string_view value) {
  switch (kind) {
    case QueryKind::integer:
      return value.size() <= 9 && std::all_of(value.begin(), value.end(), [](char c) { return c >= '0' && c <= '9'; });
    case QueryKind::boolean:
      return value == "true" || value == "false" || value == "1" || value == "0" || value == "True" || value == "False";
    case QueryKind::only_false:
      return value == "false" || value == "False" || value == "0";
    case QueryKind::word:
    case QueryKind::words:
    case QueryKind::text:
    case QueryKind::namespace_:
      return true;
  }
  return false;
}

Refusal query_refusal(std::string_view key, std::string_view what) {
  return Refusal{Error::query_not_accepted, "the query parameter " + printable_name(key) + " " + std::string(what)};
}

void add_query(RouteMatch& match, std::string_view key, std::string_view encoded) {
  match.query += match.query.empty() ? '?' : '&';
  match.query += key;
  match.query += '=';
  match.query += encoded;
}

std::optional<Refusal> rebuild_query(std::string_view query, RouteMatch& match) {
  if (query.empty()) return std::nullopt;
  std::vector<std::string_view> seen;
  for (const std::string_view pair : split(query, '&')) {
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const auto& listed = match.route->query;
    const auto row = std::find_if(listed.begin(), listed.end(), [&](const QueryParameter& p) { return p.name == key; });
    if (row == listed.end() || equals == std::string_view::npos) return query_refusal(key, "is not accepted here");
    if (row->kind != QueryKind::words && std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return query_refusal(key, "is given twice");
    }
    if (seen.size() >= repeats_max) return Refusal{Error::query_not_accepted, "too many query parameters"};
    seen.push_back(key);
    const std::string_view encoded = pair.substr(equals + 1);
    if (row->kind == QueryKind::text || row->kind == QueryKind::namespace_) {
      auto text = decode_query_text(encoded);
      if (!text) return query_refusal(key, "has a value of the wrong form");
      // The namespace is written anew once it was judged.
      if (row->kind == QueryKind::text) add_query(match, row->name, percent_encode(*text));
      match.parameters.emplace_back(row->name, std::move(*text));
      continue;
    }
    // Python's join_stream sends "stream_mode=" for "none".
    if (row->kind == QueryKind::words && encoded.empty()) continue;
    const auto value = decode_query_word(encoded);
    if (!value || !fits(row->kind, *value)) return query_refusal(key, "has a value of the wrong form");
    add_query(match, row->name, *value);
    if (row->kind == QueryKind::word) match.parameters.emplace_back(row->name, *value);
  }
  return std::nullopt;
}

// A route of the configuration says which parameters it takes; what they hold is the upstream's business.
std::optional<Refusal> rebuild_custom_query(std::string_view query, RouteMatch& match) {
  if (query.empty()) return std::nullopt;
  std::vector<std::string_view> seen;
  for (const std::string_view pair : split(query, '&')) {
    const std::size_t equals = pair.find('=');
    const auto key = decode_query_text(pair.substr(0, equals));
    if (!key || equals == std::string_view::npos) return query_refusal("", "has a name of the wrong form");
    const auto& listed = match.custom->query;
    if (!match.custom->any_query && std::find(listed.begin(), listed.end(), *key) == listed.end()) {
      return query_refusal(*key, "is not accepted here");
    }
    if (std::find(seen.begin(), seen.end(), pair.substr(0, equals)) != seen.end()) return query_refusal(*key, "is given twice");
    seen.push_back(pair.substr(0, equals));
    const std::string_view encoded = pair.substr(equals + 1);
    const auto value = encoded.empty() ? std::optional<std::string>("") : decode_query_text(encoded);
    if (!value) return query_refusal(*key, "has a value of the wrong form");
    add_query(match, percent_encode(*key), percent_encode(*value));
  }
  return std::nullopt;
}

}  // namespace

std::span<const Route> langgraph_routes() { return routes; }

bool is_uuid(std::string_view text) {
  if (text.size() != 36 || text[8] != '-' || text[13] != '-' || text[18] != '-' || text[23] != '-') return false;
  std::size_t digits = 0;
  for (const char c : text) digits += is(c, in_uuid) ? 1 : 0;
  return digits == 32;
}

bool is_graph_name(std::string_view text) {
  if (text.empty() || text.size() > 128 || text.front() == '.') return false;
  // Characters Python's int(..., 16) takes, once UUID() has dropped the dashes: digits, underscores and a 0x in front.
  std::size_t hex_like = 0;
  std::size_t dashes = 0;
  for (const char c : text) {
    if (!is(c, in_name)) return false;
    if (c == '-') ++dashes;
    if (is(c, in_uuid) || (c >= 'A' && c <= 'F') || c == '_' || c == 'x' || c == 'X') ++hex_like;
  }
  return !(hex_like == 32 && hex_like + dashes == text.size());
}

const std::string* RouteMatch::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return &value;
  }
  return nullptr;
}

namespace {

// Why nothing was found: the path has other methods, or there is no such path.
Refusal no_route(std::string_view path, std::span<const Route> table, const CustomRoutes& custom) {
  RouteMatch match;
  std::string allow;
  const auto add = [&](std::string_view method) {
    if (!allow.empty()) allow += ", ";
    allow += method;
    if (method == "GET") allow += ", HEAD";
  };
  for (const Route& route : table) {
    if (fits(route, path, match)) add(route.method);
  }
  for (const auto& route : custom) {
    if (fits(*route, path, match)) add(route->method);
  }
  if (allow.empty()) return Refusal{Error::route_unknown};
  Refusal refusal{Error::method_not_allowed};
  refusal.details().allow = std::move(allow);
  return refusal;
}

}  // namespace

Result<RouteMatch, Refusal> match_route(std::string_view method, std::string_view target, Api api, const CustomRoutes& custom) {
  if (target.size() > target_bytes_max) return Refusal{Error::target_malformed, "the request target is too long"};
  const std::size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  const std::string_view query = question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
  if (!is_plain_path(path)) return Refusal{Error::target_malformed};

  RouteMatch match;
  match.head = method == "HEAD";
  const std::string_view looked_for = match.head ? std::string_view("GET") : method;
  const std::span<const Route> table = api == Api::langgraph ? std::span<const Route>(routes) : std::span<const Route>();
  for (const Route& route : table) {
    if (route.method != looked_for || !has_shape(route.path, path) || !fits(route, path, match)) continue;
    match.route = &route;
    break;
  }
  for (const auto& route : custom) {
    if (match.route != nullptr) break;
    if (route->method != looked_for || !fits(*route, path, match)) continue;
    match.route = &route->row;
    match.custom = route.get();
  }
  if (match.route == nullptr) return no_route(path, table, custom);
  match.path = path;  // every segment was matched against a literal or an exact grammar
  if (auto refusal = match.custom != nullptr ? rebuild_custom_query(query, match) : rebuild_query(query, match)) return *refusal;
  return match;
}

}  // namespace postern
