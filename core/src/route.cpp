#include "route.h"

#include <algorithm>
#include <array>
#include <optional>

namespace postern {
namespace {

using enum FieldKind;

// What the SDKs and RemoteGraph send (LangGraph API, both servers), less what a client may not decide:
// webhook (a relative one makes the server call itself past the gate), checkpoint and checkpoint_id on
// runs (their thread_id overrides the path's in the Python server), langsmith_tracer and feedback_keys.
constexpr std::array thread_create_fields = {
    Field{"thread_id", uuid},
    Field{"metadata", metadata},
    Field{"if_exists", string},
    Field{"ttl", any},
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
constexpr std::array run_fields = {
    Field{"assistant_id", assistant},
    Field{"input", any},
    Field{"command", command},
    Field{"metadata", metadata},
    Field{"config", config},
    Field{"context", context},
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
constexpr std::array assistant_search_fields = {
    Field{"metadata", metadata}, Field{"graph_id", string}, Field{"name", string},       Field{"limit", integer},
    Field{"offset", integer},    Field{"sort_by", string},  Field{"sort_order", string}, Field{"select", select},
};
constexpr std::array assistant_count_fields = {
    Field{"metadata", metadata},
    Field{"graph_id", string},
    Field{"name", string},
};
constexpr std::span<const Field> no_fields;

constexpr std::array thread_query = {QueryParameter{"include", QueryKind::words}};
constexpr std::array state_query = {QueryParameter{"subgraphs", QueryKind::boolean}, QueryParameter{"select", QueryKind::words}};
constexpr std::array history_query = {QueryParameter{"limit", QueryKind::integer}, QueryParameter{"before", QueryKind::word}};
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
constexpr std::array graph_query = {QueryParameter{"xray", QueryKind::word}};
constexpr std::array subgraphs_query = {QueryParameter{"recurse", QueryKind::boolean}};
constexpr std::span<const QueryParameter> no_query;

constexpr std::array routes = {
    // clang-format off
    Route{"GET", "/ok", Resource::threads, Action::read, Treatment::open, false, no_fields, no_query},
    Route{"GET", "/info", Resource::threads, Action::read, Treatment::open, false, no_fields, no_query},

    Route{"POST", "/threads", Resource::threads, Action::create, Treatment::create_thread, false, thread_create_fields, no_query},
    Route{"POST", "/threads/search", Resource::threads, Action::search, Treatment::search, false, thread_search_fields, no_query},
    Route{"POST", "/threads/count", Resource::threads, Action::search, Treatment::count, false, thread_count_fields, no_query},
    Route{"GET", "/threads/{thread_id}", Resource::threads, Action::read, Treatment::thread_first, false, no_fields, thread_query},
    Route{"PATCH", "/threads/{thread_id}", Resource::threads, Action::update, Treatment::thread_first, false, thread_update_fields, no_query},
    Route{"DELETE", "/threads/{thread_id}", Resource::threads, Action::delete_, Treatment::thread_first, false, no_fields, no_query},
    Route{"GET", "/threads/{thread_id}/state", Resource::threads, Action::read, Treatment::thread_first, false, no_fields, state_query},
    Route{"POST", "/threads/{thread_id}/state", Resource::threads, Action::update, Treatment::thread_first, false, state_update_fields, no_query},
    Route{"POST", "/threads/{thread_id}/state/checkpoint", Resource::threads, Action::read, Treatment::thread_first, false, state_checkpoint_fields, no_query},
    Route{"GET", "/threads/{thread_id}/state/{checkpoint_id}", Resource::threads, Action::read, Treatment::thread_first, false, no_fields, state_query},
    Route{"GET", "/threads/{thread_id}/history", Resource::threads, Action::read, Treatment::thread_first, false, no_fields, history_query},
    Route{"POST", "/threads/{thread_id}/history", Resource::threads, Action::read, Treatment::thread_first, false, history_fields, no_query},

    Route{"POST", "/threads/{thread_id}/runs", Resource::threads, Action::create_run, Treatment::create_run, false, run_fields, no_query},
    Route{"POST", "/threads/{thread_id}/runs/wait", Resource::threads, Action::create_run, Treatment::create_run, true, run_fields, no_query},
    Route{"POST", "/threads/{thread_id}/runs/stream", Resource::threads, Action::create_run, Treatment::create_run, true, run_fields, no_query},
    Route{"GET", "/threads/{thread_id}/runs", Resource::threads, Action::read, Treatment::thread_first, false, no_fields, run_list_query},
    Route{"GET", "/threads/{thread_id}/runs/{run_id}", Resource::threads, Action::read, Treatment::thread_first, false, no_fields, no_query},
    Route{"DELETE", "/threads/{thread_id}/runs/{run_id}", Resource::threads, Action::delete_, Treatment::thread_first, false, no_fields, no_query},
    Route{"GET", "/threads/{thread_id}/runs/{run_id}/join", Resource::threads, Action::read, Treatment::thread_first, true, no_fields, join_query},
    Route{"GET", "/threads/{thread_id}/runs/{run_id}/stream", Resource::threads, Action::read, Treatment::thread_first, true, no_fields, run_stream_query},
    Route{"POST", "/threads/{thread_id}/runs/{run_id}/cancel", Resource::threads, Action::update, Treatment::thread_first, true, no_fields, cancel_query},

    Route{"POST", "/assistants/search", Resource::assistants, Action::search, Treatment::search, false, assistant_search_fields, no_query},
    Route{"POST", "/assistants/count", Resource::assistants, Action::search, Treatment::count, false, assistant_count_fields, no_query},
    Route{"GET", "/assistants/{assistant_id}", Resource::assistants, Action::read, Treatment::read_object, false, no_fields, no_query},
    Route{"GET", "/assistants/{assistant_id}/graph", Resource::assistants, Action::read, Treatment::assistant_first, false, no_fields, graph_query},
    Route{"GET", "/assistants/{assistant_id}/schemas", Resource::assistants, Action::read, Treatment::assistant_first, false, no_fields, no_query},
    Route{"GET", "/assistants/{assistant_id}/subgraphs", Resource::assistants, Action::read, Treatment::assistant_first, false, no_fields, subgraphs_query},
    // clang-format on
};

// A target longer than this is no LangGraph call; Node's own limit for a whole head is 16 KiB.
constexpr std::size_t target_bytes_max = 4096;
constexpr std::size_t word_bytes_max = 128;
constexpr std::size_t repeats_max = 16;

bool is_hex_lower(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }
bool is_alnum(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_word_char(char c) { return is_alnum(c) || c == '_' || c == '-' || c == '.' || c == ','; }

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
  for (const char c : path) {
    if (c <= ' ' || c >= 0x7f || c == '%' || c == '\\' || c == ';' || c == '#') return false;
  }
  if (path == "/") return true;
  for (const std::string_view segment : split(path.substr(1), '/')) {
    if (segment.empty() || segment == "." || segment == "..") return false;
  }
  return true;
}

// Whether the segments fit the row; fills the ids.
bool fits(const Route& route, const std::vector<std::string_view>& segments, RouteMatch& match) {
  const auto wanted = split(route.path.substr(1), '/');
  if (wanted.size() != segments.size()) return false;
  std::string thread_id;
  std::string run_id;
  std::string assistant_id;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i] == "{thread_id}") {
      if (!is_uuid(segments[i])) return false;
      thread_id = segments[i];
    } else if (wanted[i] == "{run_id}") {
      if (!is_uuid(segments[i])) return false;
      run_id = segments[i];
    } else if (wanted[i] == "{checkpoint_id}") {
      if (!is_uuid(segments[i])) return false;
    } else if (wanted[i] == "{assistant_id}") {
      if (!is_uuid(segments[i]) && !is_graph_name(segments[i])) return false;
      assistant_id = segments[i];
    } else if (wanted[i] != segments[i]) {
      return false;
    }
  }
  match.thread_id = std::move(thread_id);
  match.run_id = std::move(run_id);
  match.assistant_id = std::move(assistant_id);
  return true;
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
    case QueryKind::word:
    case QueryKind::words:
      return true;
  }
  return false;
}

std::optional<Refusal> rebuild_query(std::string_view query, RouteMatch& match) {
  if (query.empty()) return std::nullopt;
  std::vector<std::string_view> seen;
  for (const std::string_view pair : split(query, '&')) {
    const std::size_t equals = pair.find('=');
    const std::string_view key = pair.substr(0, equals);
    const auto& listed = match.route->query;
    const auto row = std::find_if(listed.begin(), listed.end(), [&](const QueryParameter& p) { return p.name == key; });
    if (row == listed.end() || equals == std::string_view::npos) {
      return Refusal{Error::query_not_accepted, "the query parameter " + printable_name(key) + " is not accepted here", {}};
    }
    if (row->kind != QueryKind::words && std::find(seen.begin(), seen.end(), key) != seen.end()) {
      return Refusal{Error::query_not_accepted, "the query parameter " + printable_name(key) + " is given twice", {}};
    }
    if (seen.size() >= repeats_max) return Refusal{Error::query_not_accepted, "too many query parameters", {}};
    seen.push_back(key);
    // Python's join_stream sends "stream_mode=" for "none".
    if (row->kind == QueryKind::words && pair.size() == equals + 1) continue;
    const auto value = decode_query_word(pair.substr(equals + 1));
    if (!value || !fits(row->kind, *value)) {
      return Refusal{
          Error::query_not_accepted, "the query parameter " + printable_name(key) + " has a value of the wrong form", {}};
    }
    match.query += match.query.empty() ? '?' : '&';
    match.query += row->name;
    match.query += '=';
    match.query += *value;
  }
  return std::nullopt;
}

}  // namespace

std::span<const Route> langgraph_routes() { return routes; }

bool is_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : !is_hex_lower(text[i])) return false;
  }
  return true;
}

bool is_graph_name(std::string_view text) {
  if (text.empty() || text.size() > 128 || text.front() == '.') return false;
  // Characters Python's int(..., 16) takes, once UUID() has dropped the dashes: digits, underscores and a 0x in front.
  std::size_t hex_like = 0;
  std::size_t dashes = 0;
  for (const char c : text) {
    if (!is_alnum(c) && c != '_' && c != '-' && c != '.') return false;
    if (c == '-') ++dashes;
    if (is_hex_lower(c) || (c >= 'A' && c <= 'F') || c == '_' || c == 'x' || c == 'X') ++hex_like;
  }
  return !(hex_like == 32 && hex_like + dashes == text.size());
}

Result<RouteMatch, Refusal> match_route(std::string_view method, std::string_view target) {
  if (target.size() > target_bytes_max) return Refusal{Error::target_malformed, "the request target is too long", {}};
  const std::size_t question = target.find('?');
  const std::string_view path = target.substr(0, question);
  const std::string_view query = question == std::string_view::npos ? std::string_view{} : target.substr(question + 1);
  if (!is_plain_path(path)) return Refusal{Error::target_malformed, {}, {}};

  RouteMatch match;
  match.head = method == "HEAD";
  const std::string_view looked_for = match.head ? std::string_view("GET") : method;
  const auto segments = split(path.substr(1), '/');
  std::string allow;
  for (const Route& route : routes) {
    if (!fits(route, segments, match)) continue;
    if (route.method == looked_for) {
      match.route = &route;
      break;
    }
    if (!allow.empty()) allow += ", ";
    allow += route.method;
    if (route.method == "GET") allow += ", HEAD";
  }
  if (match.route == nullptr) {
    if (!allow.empty()) return Refusal{Error::method_not_allowed, {}, allow};
    return Refusal{Error::route_unknown, {}, {}};
  }
  match.path = path;  // every segment was matched against a literal or an exact id grammar
  if (auto refusal = rebuild_query(query, match)) return *refusal;
  return match;
}

}  // namespace postern
