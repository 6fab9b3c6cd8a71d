// Method + request target -> Route: the LangGraph API as a table, closed by default.
//
// A route that has no row does not exist for a client. Each row lists the body fields and query
// parameters it accepts (invariant known-fields); what upstream gets is rebuilt from the parsed parts
// (invariant one-path), so no encoding, dot segment or second spelling of a path can reach it.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy.h"
#include "postern/result.h"
#include "refusal.h"

namespace postern {

// How the gate enforces a row's decision.
enum class Treatment : std::uint8_t {
  open,             // no credential: liveness only
  create_thread,    // stamp; the upstream's own atomic create decides about a taken id
  search,           // the filter goes into the upstream's search, and the reply is filtered once more
  count,            // the filter goes into the upstream's count
  read_object,      // forward, then compare the object in the reply
  thread_first,     // look whether the thread is the caller's, then forward
  assistant_first,  // look whether the assistant is visible, then forward
  create_run,       // thread_first, the assistant looked at, config sanitised, metadata stamped
};

enum class FieldKind : std::uint8_t {
  any,
  string,
  integer,
  boolean,
  object,
  string_or_array,
  uuid,
  metadata,    // object; stamped keys belong to the gate
  ids,         // list of UUIDs
  select,      // list of strings; the gate adds what it needs to judge the reply, and takes it out again
  assistant,   // a graph's name or an assistant's UUID
  config,      // object with its own table of keys
  context,     // object without reserved keys
  command,     // object with its own table of keys
  checkpoint,  // object or string; a thread_id inside must be the path's
};

struct Field {
  std::string_view name;
  FieldKind kind;
};

enum class QueryKind : std::uint8_t { integer, boolean, word, words };  // words: may be repeated

struct QueryParameter {
  std::string_view name;
  QueryKind kind;
};

struct Route {
  std::string_view method;  // GET rows answer HEAD too
  std::string_view path;    // segments; {thread_id}, {run_id}, {checkpoint_id}, {assistant_id}
  Resource resource;
  Action action;
  Treatment treatment;
  bool streams;  // no time limit to the first byte: the reply waits for the graph
  std::span<const Field> body;
  std::span<const QueryParameter> query;
  [[nodiscard]] bool takes_body() const { return method == "POST" || method == "PUT" || method == "PATCH"; }
};

struct RouteMatch {
  const Route* route = nullptr;
  std::string path;   // rebuilt
  std::string query;  // rebuilt, with its "?"; "" when none
  std::string thread_id;
  std::string run_id;
  std::string assistant_id;
  bool head = false;
};

// Refuses anything but origin form with visible ASCII: no %, \, ;, # in the path, no empty, "." or ".."
// segment, no upper-case or undashed UUID (Python's server takes those as the same object), no unlisted or
// repeated query parameter.
[[nodiscard]] Result<RouteMatch, Refusal> match_route(std::string_view method, std::string_view target);

// The whole table, for docs and tests.
[[nodiscard]] std::span<const Route> langgraph_routes();

[[nodiscard]] bool is_uuid(std::string_view text);  // 36 characters, lower case, dashed
// A graph's name: letters, digits, '_', '-', '.', at most 128, and nothing that Python's UUID() would take for an id.
[[nodiscard]] bool is_graph_name(std::string_view text);

}  // namespace postern
