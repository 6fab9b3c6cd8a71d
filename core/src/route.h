// Method + request target -> Route: an API as a table, closed by default.
//
// A route that has no row does not exist for a client. Each row lists the body fields and query
// parameters it accepts (invariant known-fields); what upstream gets is rebuilt from the parsed parts
// (invariant one-path), so no encoding, dot segment or second spelling of a path can reach it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "policy.h"
#include "postern/result.h"
#include "refusal.h"

namespace postern {

// How the gate enforces a row's decision: enforcement.cpp has one flow for each.
enum class Treatment : std::uint8_t {
  open,                // no credential: liveness
  operators,           // nobody's, unless the configuration opens it (upstream.open_routes): then as `open`
  denied,              // known and refused; the row says why
  create,              // a thread or an assistant: stamp; the upstream's own atomic create decides about a taken id
  search,              // the filter goes into the upstream's search, or the search is done in parts; the reply is judged
  count,               // the filter goes into the upstream's count, or what matches is counted
  object,              // look whether the object in the path is the caller's, then forward
  read_object,         // forward, then judge the object in the reply
  create_run,          // the thread and the assistant looked at, config checked, metadata stamped
  create_runs,         // a list of such, without a thread
  cancel_runs,         // the thread and each run looked at
  prune_threads,       // every thread looked at
  copy_thread,         // the source looked at, and whether its metadata may be a creation of the caller's
  command,             // protocol v2: the method in the body says which action
  assistant_versions,  // the assistant looked at, then the versions judged
  assistant_latest,    // the assistant looked at, and the version that is to come back
  create_cron,         // as create_run, for later
  store_item,          // the namespace in the body or query
  store_search,        // the namespace prefix, and every item in the reply
  store_namespaces,    // the prefix, and every namespace in the reply
  custom,              // a route of the configuration
};

enum class FieldKind : std::uint8_t {
  any,
  string,
  number,
  integer,
  boolean,
  object,
  strings,
  string_or_array,
  uuid,
  metadata,    // object; stamped keys belong to the gate
  ids,         // list of UUIDs
  select,      // list of strings; the gate adds what it needs to judge the reply, and takes it out again
  assistant,   // a graph's name or an assistant's UUID
  graph,       // a graph's name
  config,      // object with its own table of keys
  context,     // object without reserved keys
  command,     // object with its own table of keys
  checkpoint,  // object or string; a thread_id inside must be the path's
  supersteps,  // list of {updates: [{values, command, as_node}]}
  webhook,     // URL on an origin that the configuration lists
  labels,      // list of store labels
};

struct Field {
  std::string_view name;
  FieldKind kind;
};

enum class QueryKind : std::uint8_t {
  integer,
  boolean,
  only_false,  // what SDKs send unasked, and nobody may switch on
  word,
  words,      // may be repeated
  text,       // any text; sent on percent-encoded
  namespace_  // store labels joined with "."
};

struct QueryParameter {
  std::string_view name;
  QueryKind kind;
};

struct Route {
  std::string_view method;  // GET rows answer HEAD too
  std::string_view path;  // segments; {thread_id}, {run_id}, {checkpoint_id}, {assistant_id}, {cron_id}, {graph_id}, {namespace},
                          // {file}, {operation_id}
  Resource resource;
  Action action;
  Treatment treatment;
  std::span<const Field> body = {};
  std::span<const QueryParameter> query = {};
  bool streams = false;       // no time limit to the first byte: the reply waits for the graph
  std::string_view why = {};  // why a denied row is denied
  [[nodiscard]] bool takes_body() const {
    return (method == "POST" || method == "PUT" || method == "PATCH" || !body.empty()) && treatment != Treatment::open &&
           treatment != Treatment::operators;
  }
};

// A route of the configuration (upstream.routes): the operator's own paths beside LangGraph's, or a whole other API.
struct CustomRoute {
  enum class Access : std::uint8_t { rule, authenticated, open };
  enum class Judged : std::uint8_t { nothing, object, list };
  enum class Body : std::uint8_t { none, json, any };
  std::string method;
  std::string path;  // segments; {name} stands for one segment of letters, digits, '_', '-', '.', '~', '@' and ':'
  Access access = Access::rule;
  std::string resource;  // of `rule`: RESOURCE:ACTION
  std::string action;
  std::vector<std::pair<std::string, std::string>> path_equals;  // parameter, literal or $user reference
  bool any_query = false;
  std::vector<std::string> query;
  Body body = Body::none;
  Judged judged = Judged::nothing;    // where the rule's filter looks: the reply's object, or the items of its list
  std::string metadata = "metadata";  // the member of an object that the filter looks at and the stamp is written to
  bool streams = false;
  Route row = {};  // what match_route gives; its views point into the strings above

  // Whether the body may say whose an object is: what is made, and what is changed after a look at it.
  [[nodiscard]] bool writes() const;
  // Whether a rule's filter can be kept here: by the path, by a look at objects, or in the metadata of what is made. Not where
  // it would have to be written into a body that is not read.
  [[nodiscard]] bool keeps_filter() const;
};
using CustomRoutes = std::vector<std::unique_ptr<CustomRoute>>;

struct RouteMatch {
  const Route* route = nullptr;
  const CustomRoute* custom = nullptr;  // where the row is the configuration's
  std::string path;                     // rebuilt
  std::string query;                    // rebuilt, with its "?"; "" when none
  std::string thread_id;
  std::string run_id;
  std::string assistant_id;
  std::string cron_id;
  std::vector<std::pair<std::string, std::string>> parameters;  // of a custom path; and decoded text of the query
  bool head = false;

  [[nodiscard]] const std::string* parameter(std::string_view name) const;
};

enum class Api : std::uint8_t { langgraph, generic };

// Refuses anything but origin form with visible ASCII: no %, \, ;, # in the path, no empty, "." or ".."
// segment, no upper-case or undashed UUID (Python's server takes those as the same object), no unlisted or
// repeated query parameter. The configuration's routes come after the table's, and cannot replace one.
[[nodiscard]] Result<RouteMatch, Refusal> match_route(std::string_view method, std::string_view target, Api api = Api::langgraph,
                                                      const CustomRoutes& custom = {});

// The whole table, for docs and tests.
[[nodiscard]] std::span<const Route> langgraph_routes();

[[nodiscard]] bool is_uuid(std::string_view text);  // 36 characters, lower case, dashed
// A graph's name: letters, digits, '_', '-', '.', at most 128, and nothing that Python's UUID() would take for an id.
[[nodiscard]] bool is_graph_name(std::string_view text);

}  // namespace postern
