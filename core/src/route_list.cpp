#include "postern/route_list.h"

#include <string_view>

#include "json.h"
#include "route.h"

namespace postern {
namespace {

std::string_view name(Treatment treatment) {
  switch (treatment) {
    case Treatment::open:
      return "open";
    case Treatment::operators:
      return "operators";
    case Treatment::denied:
      return "denied";
    case Treatment::create:
      return "create";
    case Treatment::search:
      return "search";
    case Treatment::count:
      return "count";
    case Treatment::object:
      return "object";
    case Treatment::read_object:
      return "read_object";
    case Treatment::create_run:
      return "create_run";
    case Treatment::create_runs:
      return "create_runs";
    case Treatment::cancel_runs:
      return "cancel_runs";
    case Treatment::prune_threads:
      return "prune_threads";
    case Treatment::copy_thread:
      return "copy_thread";
    case Treatment::command:
      return "command";
    case Treatment::assistant_versions:
      return "assistant_versions";
    case Treatment::assistant_latest:
      return "assistant_latest";
    case Treatment::create_cron:
      return "create_cron";
    case Treatment::store_item:
      return "store_item";
    case Treatment::store_search:
      return "store_search";
    case Treatment::store_namespaces:
      return "store_namespaces";
    case Treatment::custom:
      return "custom";
  }
  return "unknown";
}

json::Value text(std::string_view value) { return json::Value::string(value); }

}  // namespace

std::string route_list_json() {
  json::Value list = json::Value::array();
  for (const Route& route : langgraph_routes()) {
    json::Value row = json::Value::object();
    row.set("method", text(route.method));
    row.set("path", text(route.path));
    row.set("resource", text(name(route.resource)));
    row.set("action", text(name(route.action)));
    row.set("treatment", text(name(route.treatment)));
    json::Value body = json::Value::array();
    for (const Field& field : route.body) body.push_back(text(field.name));
    row.set("body", std::move(body));
    json::Value query = json::Value::array();
    for (const QueryParameter& parameter : route.query) query.push_back(text(parameter.name));
    row.set("query", std::move(query));
    row.set("streams", json::Value::boolean(route.streams));
    if (!route.why.empty()) row.set("why", text(route.why));
    list.push_back(std::move(row));
  }
  return json::write(list);
}

std::string route_list_text() {
  std::string out;
  const auto column = [&](std::string_view value, std::size_t width) {
    out += value;
    out.append(value.size() < width ? width - value.size() : 1, ' ');
  };
  for (const Route& route : langgraph_routes()) {
    column(route.method, 8);
    column(route.path, 56);
    const bool ruled = route.treatment != Treatment::open && route.treatment != Treatment::operators && route.why.empty();
    column(ruled ? std::string(name(route.resource)) + ":" + std::string(name(route.action)) : "-", 26);
    out += name(route.treatment);
    if (!route.why.empty()) out += ": " + std::string(route.why);
    out += '\n';
  }
  return out;
}

}  // namespace postern
