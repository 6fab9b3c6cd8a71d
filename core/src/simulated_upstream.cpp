#include "simulated_upstream.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include "text.h"

namespace postern {
namespace {

// What a search gives when it is asked for no number.
constexpr std::int64_t search_limit = 10;

IncomingResponse reply(int status, const json::Value& body) {
  IncomingResponse out;
  out.status = status;
  out.headers.push_back({"content-type", "application/json"});
  out.body = json::write(body);
  return out;
}

IncomingResponse no_content() {
  IncomingResponse out;
  out.status = 204;
  return out;
}

IncomingResponse detail(int status, std::string_view text) {
  json::Value body = json::Value::object();
  body.set("detail", json::Value::string(text));
  return reply(status, body);
}

std::int64_t number_of(const json::Value& body, std::string_view name, std::int64_t otherwise) {
  const json::Value* value = body.find(name);
  return value == nullptr ? otherwise : value->as_integer().value_or(otherwise);
}

std::string_view text_of(const json::Value& body, std::string_view name) {
  const json::Value* value = body.find(name);
  return value == nullptr ? std::string_view{} : std::string_view(value->as_string());
}

bool begins_with(const std::vector<json::Value>& labels, const std::vector<json::Value>& prefix) {
  return labels.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), labels.begin(), json::equal);
}

// "a.b" -> ["a","b"], as GET /store/items writes a namespace.
json::Value split_labels(std::string_view dotted) {
  json::Value out = json::Value::array();
  while (!dotted.empty()) {
    const std::size_t dot = dotted.find('.');
    out.push_back(json::Value::string(dotted.substr(0, dot)));
    dotted = dot == std::string_view::npos ? std::string_view{} : dotted.substr(dot + 1);
  }
  return out;
}

// The value of one query parameter, percent-decoded; "" when it is not there.
std::string query_value(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const std::size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    std::string out;
    for (std::size_t i = equals + 1; i < pair.size(); ++i) {
      const bool encoded = pair[i] == '%' && i + 2 < pair.size() && hex_digit(pair[i + 1]) >= 0 && hex_digit(pair[i + 2]) >= 0;
      out += encoded ? static_cast<char>(hex_digit(pair[i + 1]) * 16 + hex_digit(pair[i + 2])) : pair[i];
      if (encoded) i += 2;
    }
    return out;
  }
  return {};
}

}  // namespace

bool contains(const json::Value& a, const json::Value& b) {
  if (b.is_object()) {
    return a.is_object() && std::all_of(b.members().begin(), b.members().end(), [&](const json::Member& member) {
             const json::Value* value = a.find(member.first);
             return value != nullptr && contains(*value, member.second);
           });
  }
  if (b.is_array()) {
    return a.is_array() && std::all_of(b.items().begin(), b.items().end(), [&](const json::Value& wanted) {
             return std::any_of(a.items().begin(), a.items().end(),
                                [&](const json::Value& item) { return contains(item, wanted); });
           });
  }
  return json::equal(a, b);
}

void SimulatedUpstream::add(std::string_view kind, const json::Value& object) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> id_fields = {
      {{"threads", "thread_id"}, {"assistants", "assistant_id"}, {"crons", "cron_id"}}};
  Object made;
  json::Value value = json::Value::object();
  for (const auto& [name, id_field] : id_fields) {
    if (name != kind) continue;
    made.kind = name;
    value.set(id_field, *object.find("id"));
  }
  // What the server itself adds, so that a search may sort by it.
  value.set("created_at", json::Value::string("2026-01-01T00:00:00Z"));
  value.set("updated_at", json::Value::string("2026-01-01T00:00:00Z"));
  value.set("metadata", json::Value::object());
  for (const json::Member& member : object.members()) {
    if (member.first != "id") value.set(member.first, member.second);
  }
  made.id = object.find("id")->as_string();
  made.value = std::move(value);
  objects_.push_back(std::move(made));
}

SimulatedUpstream::Object* SimulatedUpstream::find(const Kind& kind, std::string_view id) {
  for (Object& object : objects_) {
    if (object.kind == kind.name && object.id == id) return &object;
  }
  return nullptr;
}

json::Value SimulatedUpstream::search(const Kind& kind, const json::Value& body, bool paged) const {
  const json::Value* ids = body.find("ids");
  const json::Value* metadata = body.find("metadata");
  std::int64_t skip = paged ? number_of(body, "offset", 0) : 0;
  std::int64_t left = paged ? number_of(body, "limit", search_limit) : static_cast<std::int64_t>(objects_.size());
  json::Value found = json::Value::array();
  for (const Object& object : objects_) {
    if (object.kind != kind.name) continue;
    const auto same = [&](const json::Value& id) { return id.as_string() == object.id; };
    if (ids != nullptr && std::none_of(ids->items().begin(), ids->items().end(), same)) continue;
    if (metadata != nullptr && metadata->is_object() && !contains(*object.value.find("metadata"), *metadata)) continue;
    if (skip-- > 0) continue;
    if (left-- <= 0) break;
    found.push_back(object.value);
  }
  return found;
}

IncomingResponse SimulatedUpstream::create(const Kind& kind, const json::Value& body) {
  std::string id(text_of(body, kind.id_field));
  if (id.empty()) {
    char text[40];
    std::snprintf(text, sizeof text, "00000000-0000-4000-8000-%012u", ++made_);
    id = text;
  }
  if (Object* taken = find(kind, id)) {
    return text_of(body, "if_exists") == "do_nothing" ? reply(200, taken->value) : detail(409, "already exists");
  }
  json::Value object = json::Value::object();
  object.set("id", json::Value::string(id));
  if (const json::Value* metadata = body.find("metadata"); metadata != nullptr && metadata->is_object())
    object.set("metadata", *metadata);
  add(kind.name, object);
  return reply(200, objects_.back().value);
}

IncomingResponse SimulatedUpstream::answer_kind(const Kind& kind, std::string_view method, std::string_view rest,
                                                const json::Value& body) {
  if (rest.empty()) return method == "POST" ? create(kind, body) : detail(405, "method not allowed");
  if (rest == "/search" && method == "POST") return reply(200, search(kind, body, true));
  if (rest == "/count" && method == "POST") {
    return reply(200, json::Value::number(static_cast<std::int64_t>(search(kind, body, false).items().size())));
  }
  if (rest == "/prune" && method == "POST") return reply(200, json::Value::object());
  const std::string_view id = rest.substr(1, rest.find('/', 1) - 1);
  const std::string_view below = rest.substr(1 + id.size());
  Object* object = find(kind, id);
  if (object == nullptr) return detail(404, "not found");
  if (below.empty()) {
    if (method == "DELETE") {
      std::erase_if(objects_, [&](const Object& one) { return &one == object; });
      return no_content();
    }
    const json::Value* changes = body.find("metadata");
    if (method == "PATCH" && changes != nullptr && changes->is_object()) {
      for (const json::Member& member : changes->members()) object->value.find("metadata")->set(member.first, member.second);
    }
    return reply(200, object->value);
  }
  if (below == "/copy") {
    json::Value copy = json::Value::object();
    copy.set("metadata", *object->value.find("metadata"));
    return create(kind, copy);
  }
  // The thread's runs, states and streams: there is nothing in them that a policy looks at.
  json::Value out = json::Value::object();
  if (below.starts_with("/runs/") && method == "GET")
    out.set("run_id", json::Value::string(below.substr(6, below.find('/', 6) - 6)));
  if (below.starts_with("/runs") && method == "POST")
    out.set("run_id", json::Value::string("00000000-0000-4000-8000-0000000000ff"));
  const bool list = below == "/history" || below == "/versions" || below == "/subgraphs" || (below == "/runs" && method == "GET");
  if (!list && kind.name == "threads") out.set("thread_id", json::Value::string(id));
  return reply(200, list ? json::Value::array() : out);
}

IncomingResponse SimulatedUpstream::answer_store(std::string_view method, std::string_view path, std::string_view query,
                                                 const json::Value& body) {
  json::Value labels = method == "GET" ? split_labels(query_value(query, "namespace")) : json::Value::array();
  if (const json::Value* given = body.find(path == "/store/items" ? "namespace" : "namespace_prefix")) labels = *given;
  if (!labels.is_array()) return detail(422, "namespace must be a list");
  if (path == "/store/items") {
    const std::string key = method == "GET" ? query_value(query, "key") : std::string(text_of(body, "key"));
    const auto same = [&](const json::Value& item) {
      return json::equal(*item.find("namespace"), labels) && text_of(item, "key") == key;
    };
    if (method == "GET") {
      const auto at = std::find_if(store_.begin(), store_.end(), same);
      return at == store_.end() ? detail(404, "not found") : reply(200, *at);
    }
    std::erase_if(store_, same);
    if (method == "PUT") {
      json::Value item = body;
      item.set("namespace", labels);
      store_.push_back(std::move(item));
    }
    return no_content();
  }
  json::Value found = json::Value::array();
  for (const json::Value& item : store_) {
    const json::Value& its = *item.find("namespace");
    if (!begins_with(its.items(), labels.items())) continue;
    found.push_back(path == "/store/namespaces" ? its : item);
  }
  json::Value out = json::Value::object();
  out.set(path == "/store/namespaces" ? "namespaces" : "items", std::move(found));
  return reply(200, out);
}

IncomingResponse SimulatedUpstream::answer(const OutgoingRequest& request) {
  std::string_view target = request.url;
  if (target.starts_with(url_)) target.remove_prefix(url_.size());
  const std::string_view path = target.substr(0, target.find('?'));
  const std::string_view query = path.size() < target.size() ? target.substr(path.size() + 1) : std::string_view{};
  json::Value body;
  if (auto parsed = json::parse(request.body)) body = std::move(parsed).value();

  json::Value asked = json::Value::object();
  asked.set("method", json::Value::string(request.method));
  asked.set("target", json::Value::string(target));
  asked.set("body", body);
  requests_.push_back(std::move(asked));

  for (const auto& [place, fixed] : replies_) {
    if (place == request.method + " " + std::string(path)) return reply(200, fixed);
  }
  // A run without a thread, before the crons, which live below the same path.
  constexpr std::array<Kind, 3> kinds = {
      {{"crons", "/runs/crons", "cron_id"}, {"threads", "/threads", "thread_id"}, {"assistants", "/assistants", "assistant_id"}}};
  if (path.starts_with("/threads/") && path.ends_with("/runs/crons")) return create(kinds[0], body);
  for (const Kind& kind : kinds) {
    if (path == kind.path || path.starts_with(std::string(kind.path) + "/")) {
      return answer_kind(kind, request.method, path.substr(kind.path.size()), body);
    }
  }
  if (path.starts_with("/store/")) return answer_store(request.method, path, query, body);
  json::Value out = json::Value::object();
  if (path.starts_with("/runs")) out.set("run_id", json::Value::string("00000000-0000-4000-8000-0000000000ff"));
  return reply(200, out);
}

}  // namespace postern
