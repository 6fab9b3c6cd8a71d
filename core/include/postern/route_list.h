// The route table -> JSON, for people, docs and tests: what is routed, under which rule, and what each route takes.
#pragma once

#include <string>

namespace postern {

// A list with an object for each row of langgraph_routes(), in its order:
//   {method, path, resource, action, treatment, body: [name], query: [name], streams, why}
// `body` and `query` are what a client may send (upstream.allow_fields admits more fields); `why` is there for denied rows.
// GET rows answer HEAD too. A method and path without a row are refused (route_unknown, method_not_allowed).
[[nodiscard]] std::string route_list_json();

// The same for people: a line a row with method, path, resource:action and treatment, or why it is denied.
[[nodiscard]] std::string route_list_text();

}  // namespace postern
