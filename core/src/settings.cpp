#include "settings.h"

#include <algorithm>
#include <array>

#include "config_object.h"
#include "json.h"

namespace postern {
namespace {

bool is_header_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Fault parse_webhook_origins(const Object& upstream, UpstreamSettings& out) {
  if (auto fault = upstream.read_strings("webhook_origins", out.webhook_origins)) return fault;
  for (const std::string& origin : out.webhook_origins) {
    const auto url = parse_url(origin);
    if (!url || url->scheme != "https" || !url->rest.empty()) {
      return upstream.at("webhook_origins", "must hold https origins such as \"https://hooks.example.com\"");
    }
  }
  return std::nullopt;
}

Fault parse_open_routes(const Object& upstream, UpstreamSettings& out) {
  if (auto fault = upstream.read_strings("open_routes", out.open_routes)) return fault;
  for (const std::string& path : out.open_routes) {
    std::string known;
    bool found = false;
    for (const Route& route : langgraph_routes()) {
      if (route.treatment != Treatment::operators) continue;
      found = found || route.path == path;
      known += " " + std::string(route.path);
    }
    if (!found || out.api != Api::langgraph) {
      return upstream.at("open_routes", "may name these paths of a LangGraph server only:" + known);
    }
  }
  return std::nullopt;
}

Fault parse_allow_fields(const Object& upstream, UpstreamSettings& out) {
  const json::Value* member = upstream.find("allow_fields");
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) {
    return upstream.at("allow_fields", "must be an object such as {\"POST /threads/{thread_id}/runs\": [\"feedback_keys\"]}");
  }
  const Object fields(*member, "upstream.allow_fields");
  for (const json::Member& one : member->members()) {
    const auto routes = langgraph_routes();
    const auto row = std::find_if(routes.begin(), routes.end(), [&](const Route& route) {
      return std::string(route.method) + " " + std::string(route.path) == one.first;
    });
    if (row == routes.end() || !row->takes_body() || out.api != Api::langgraph) {
      return fields.at(one.first, "is no route with a body; write METHOD PATH as `postern routes` prints them");
    }
    AllowedFields allowed{std::string(row->method), std::string(row->path), {}};
    if (auto fault = fields.read_strings(one.first, allowed.fields)) return fault;
    for (const std::string& name : allowed.fields) {
      if (std::any_of(row->body.begin(), row->body.end(), [&](const Field& field) { return field.name == name; })) {
        return fields.at(one.first, printable_name(name) + " is accepted there anyhow");
      }
    }
    out.allow_fields.push_back(std::move(allowed));
  }
  return std::nullopt;
}

Fault parse_forward_headers(const Object& upstream, UpstreamSettings& out) {
  if (auto fault = upstream.read_strings("forward_headers", out.forward_headers)) return fault;
  // What says who is calling, where to, or how the message is framed is never the client's word.
  constexpr std::array<std::string_view, 17> reserved = {
      "authorization", "cookie",          "host",      "connection", "content-length", "transfer-encoding", "te",
      "trailer",       "upgrade",         "forwarded", "x-api-key",  "x-auth-scheme",  "x-user-id",         "content-type",
      "expect",        "accept-encoding", "keep-alive"};
  for (std::string& name : out.forward_headers) {
    for (char& c : name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    const bool refused = !is_header_name(name) || name.starts_with("x-user-") ||
                         std::find(reserved.begin(), reserved.end(), name) != reserved.end() ||
                         name.starts_with("x-forwarded-") || name.starts_with("proxy-");
    if (refused) return upstream.at("forward_headers", printable_name(name) + " is never taken from a client");
  }
  return std::nullopt;
}

bool is_place(std::string_view segment) { return segment.size() > 2 && segment.front() == '{' && segment.back() == '}'; }

// "/notes/{note_id}": literals and {places}; fills `places`.
bool parse_path_pattern(std::string_view path, std::vector<std::string>& places) {
  if (path == "/") return true;
  if (path.empty() || path.front() != '/') return false;
  std::string_view rest = path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    const bool place = is_place(segment);
    if (place) segment = segment.substr(1, segment.size() - 2);
    if (segment.empty() || segment == "." || segment == "..") return false;
    for (const char c : segment) {
      const bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' ||
                         (!place && (c == '.' || c == '~' || c == '@' || c == ':'));
      if (!plain) return false;
    }
    if (place) places.emplace_back(segment);
  }
  return true;
}

Fault parse_custom_route(const Object& object, CustomRoute& out) {
  if (auto fault = object.unknown_keys(
          {"method", "path", "access", "rule", "path_equals", "query", "body", "judge", "metadata", "streams"}))
    return fault;
  if (auto fault = object.read_string("method", out.method)) return fault;
  constexpr std::array<std::string_view, 5> methods = {"GET", "POST", "PUT", "PATCH", "DELETE"};
  if (std::find(methods.begin(), methods.end(), out.method) == methods.end()) {
    return object.at("method", "must be GET (which answers HEAD too), POST, PUT, PATCH or DELETE");
  }
  if (auto fault = object.read_string("path", out.path)) return fault;
  std::vector<std::string> places;
  if (!parse_path_pattern(out.path, places)) {
    return object.at("path", "must be a path such as \"/notes/{note_id}\": segments of letters, digits and -_.~@:, or {name}");
  }

  std::string access;
  std::string rule;
  if (auto fault = object.read_string("access", access)) return fault;
  if (auto fault = object.read_string("rule", rule)) return fault;
  if (access == "open" || access == "authenticated") {
    if (!rule.empty()) return object.at("access", "stands against `rule`; keep one of them");
    out.access = access == "open" ? CustomRoute::Access::open : CustomRoute::Access::authenticated;
  } else if (!access.empty()) {
    return object.at("access", "must be \"open\" (anybody) or \"authenticated\" (any user); for the policy name a `rule`");
  } else {
    const std::size_t colon = rule.find(':');
    const auto is_word = [](std::string_view text) {
      return !text.empty() && std::all_of(text.begin(), text.end(),
                                          [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
    };
    if (colon == std::string::npos || !is_word(std::string_view(rule).substr(0, colon)) ||
        !is_word(std::string_view(rule).substr(colon + 1))) {
      return object.at("rule", "must be RESOURCE:ACTION in small letters, such as \"notes:read\"; the policy says who may");
    }
    out.resource = rule.substr(0, colon);
    out.action = rule.substr(colon + 1);
  }

  if (const json::Value* equals = object.find("path_equals")) {
    if (!equals->is_object()) return object.at("path_equals", "must be an object such as {\"user_id\": \"$user.identity\"}");
    for (const json::Member& one : equals->members()) {
      const std::string& text = one.second.as_string();
      const bool known = std::find(places.begin(), places.end(), one.first) != places.end();
      if (!known || text.empty() || (is_user_reference(text) && !is_known_user_reference(text))) {
        return object.at("path_equals", "names a {place} of the path and a $user reference or text that it must equal");
      }
      if (out.access == CustomRoute::Access::open) return object.at("path_equals", "needs a user; the route is open");
      out.path_equals.emplace_back(one.first, text);
    }
  }
  if (const json::Value* query = object.find("query"); query != nullptr && query->is_string() && query->as_string() == "any") {
    out.any_query = true;
  } else if (auto fault = object.read_strings("query", out.query)) {
    return fault;
  }
  std::string body = out.method == "GET" || out.method == "DELETE" ? "none" : "json";
  if (auto fault = object.read_string("body", body)) return fault;
  if (body == "none") {
    out.body = CustomRoute::Body::none;
  } else if (body == "json") {
    out.body = CustomRoute::Body::json;
  } else if (body == "any") {
    out.body = CustomRoute::Body::any;
  } else {
    return object.at("body", "must be \"none\", \"json\" (parsed strictly) or \"any\" (passed as it is)");
  }
  std::string judge;
  if (auto fault = object.read_string("judge", judge)) return fault;
  if (judge == "object") {
    out.judged = CustomRoute::Judged::object;
  } else if (judge == "list") {
    out.judged = CustomRoute::Judged::list;
  } else if (!judge.empty()) {
    return object.at("judge", "must be \"object\" or \"list\": what of the reply the rule's filter looks at");
  }
  if (out.judged != CustomRoute::Judged::nothing && out.access != CustomRoute::Access::rule) {
    return object.at("judge", "needs a `rule` with a filter");
  }
  if (auto fault = object.read_string("metadata", out.metadata)) return fault;
  if (auto fault = object.read_boolean("streams", out.streams)) return fault;
  if (out.streams && out.judged != CustomRoute::Judged::nothing)
    return object.at("streams", "stands against `judge`; a stream is not read");
  out.row = Route{out.method, out.path, Resource::custom, Action::custom, Treatment::custom, {}, {}, out.streams, {}};
  return std::nullopt;
}

Fault parse_custom_routes(const Object& upstream, UpstreamSettings& out) {
  const json::Value* list = upstream.find("routes");
  if (list == nullptr) {
    if (out.api == Api::generic) return upstream.at("routes", "is missing: with \"api\": \"generic\" every route is listed");
    return std::nullopt;
  }
  if (!list->is_array() || list->items().empty()) return upstream.at("routes", "must be a non-empty list of routes");
  for (std::size_t i = 0; i < list->items().size(); ++i) {
    const json::Value& item = list->items()[i];
    const std::string path = "upstream.routes[" + std::to_string(i) + "]";
    if (!item.is_object()) return json::ParseFault{item.offset(), path + ": must be an object with method and path"};
    auto route = std::make_unique<CustomRoute>();
    const Object object(item, path);
    if (auto fault = parse_custom_route(object, *route)) return fault;
    if (out.api == Api::langgraph) {
      for (const Route& row : langgraph_routes()) {
        if (row.method == route->method && row.path == route->path) return object.at("path", "is a route of LangGraph's own");
      }
    }
    for (const auto& other : out.routes) {
      if (other->method == route->method && other->path == route->path)
        return object.at("path", "is listed twice with this method");
    }
    out.routes.push_back(std::move(route));
  }
  return std::nullopt;
}

Fault parse_cors(const Object& top, CorsSettings& out) {
  const json::Value* member = top.find("cors");
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) return top.at("cors", "must be an object with origins");
  const Object cors(*member, "cors");
  if (auto fault = cors.unknown_keys({"origins", "headers", "exposed_headers", "max_age_seconds"})) return fault;
  if (auto fault = cors.read_strings("origins", out.origins)) return fault;
  if (out.origins.empty()) return cors.at("origins", "is missing, e.g. [\"https://app.example.com\"] or \"*\"");
  for (const std::string& origin : out.origins) {
    if (origin == "*" && out.origins.size() == 1) continue;
    const auto url = parse_url(origin);
    if (!url || !url->rest.empty())
      return cors.at("origins", "must hold origins such as \"https://app.example.com\", or \"*\" alone");
  }
  if (auto fault = cors.read_strings("headers", out.headers)) return fault;
  if (auto fault = cors.read_strings("exposed_headers", out.exposed_headers)) return fault;
  for (const auto& [key, names] : {std::pair("headers", &out.headers), std::pair("exposed_headers", &out.exposed_headers)}) {
    for (const std::string& name : *names) {
      if (!is_header_name(name)) return cors.at(key, printable_name(name) + " is no header name");
    }
  }
  return cors.read_integer("max_age_seconds", 0, 86'400, out.max_age_seconds);
}

// A filter that no part of a route could keep is found at start, not at the first request.
Fault check_custom_rules(const Object& top, const Settings& settings) {
  for (const auto& route : settings.upstream.routes) {
    if (route->access != CustomRoute::Access::rule) continue;
    const Rule* rule = settings.policy.find_rule(route->resource, route->action);
    if (rule == nullptr || !rule->allowed || !rule->filter || route->keeps_filter()) continue;
    const bool unread = route->body == CustomRoute::Body::any && route->writes();
    return top.at("policy", "the rule " + rule->key + " has a filter, which " + route->method + " " + route->path +
                                " cannot keep: give the route " + (unread ? "`\"body\": \"json\"`" : "`judge`") +
                                " or `path_equals`, or a rule without filter");
  }
  return std::nullopt;
}

Fault parse_upstream(const Object& top, const Environment& environment, Settings& out) {
  const json::Value* member = top.find("upstream");
  if (member == nullptr || !member->is_object()) return top.at("upstream", "must be an object with the agent server's url");
  const Object upstream(*member, "upstream");
  if (auto fault = upstream.unknown_keys({"url", "api", "headers", "graphs", "webhook_origins", "open_routes", "allow_fields",
                                          "forward_headers", "routes", "identity"})) {
    return fault;
  }
  if (auto fault = upstream.read_string("url", out.upstream.url)) return fault;
  if (out.upstream.url.empty()) return upstream.at("url", "is missing, e.g. \"http://127.0.0.1:2024\"");
  const auto url = parse_url(out.upstream.url);
  if (!url) return upstream.at("url", "must be a URL such as http://127.0.0.1:2024, without query, fragment or user");
  if (url->scheme == "http" && !is_loopback_host(url->host)) {
    out.warnings.push_back("upstream.url is plain http to another host: use it only inside a trusted network");
  }
  out.upstream.url = without_trailing_slash(out.upstream.url);

  std::string api = "langgraph";
  if (auto fault = upstream.read_string("api", api)) return fault;
  if (api != "langgraph" && api != "generic") return upstream.at("api", "must be \"langgraph\" or \"generic\"");
  out.upstream.api = api == "langgraph" ? Api::langgraph : Api::generic;
  if (auto fault = upstream.read_strings("graphs", out.upstream.graphs)) return fault;
  if (auto fault = parse_webhook_origins(upstream, out.upstream)) return fault;
  if (auto fault = parse_open_routes(upstream, out.upstream)) return fault;
  if (auto fault = parse_allow_fields(upstream, out.upstream)) return fault;
  if (auto fault = parse_forward_headers(upstream, out.upstream)) return fault;
  if (auto fault = parse_custom_routes(upstream, out.upstream)) return fault;
  if (auto fault = parse_handover(upstream, environment, out.upstream.url, out.upstream.identity)) return fault;

  if (const json::Value* headers = upstream.find("headers")) {
    if (!headers->is_object()) return upstream.at("headers", "must be an object of header names and values");
    const Object object(*headers, "upstream.headers");
    for (const json::Member& header : headers->members()) {
      if (!is_header_name(header.first)) return upstream.at("headers", printable_name(header.first) + " is no header name");
      std::string value;
      if (auto fault = object.read_string(header.first, value)) return fault;
      if (auto fault = resolve_secret(object, header.first, environment, value)) return fault;
      for (const char c : value) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return object.at(header.first, "has a control character");
      }
      std::string name = header.first;
      for (char& c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
      }
      const auto same = [&](const Header& other) { return other.name == name; };
      if (std::any_of(out.upstream.headers.begin(), out.upstream.headers.end(), same)) {
        return object.at(header.first, "is named twice; case does not tell header names apart");
      }
      out.upstream.headers.push_back({std::move(name), std::move(value)});
    }
  }
  return std::nullopt;
}

Fault parse_limits(const Object& top, Settings& out) {
  const json::Value* member = top.find("limits");
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) return top.at("limits", "must be an object");
  const Object limits(*member, "limits");
  constexpr std::int64_t mebibyte = 1024 * 1024;
  if (auto fault = limits.unknown_keys({"body_bytes_max", "reply_bytes_max", "upstream_time_limit_ms", "table_bytes_max"}))
    return fault;
  if (auto fault = limits.read_integer("body_bytes_max", 1024, 256 * mebibyte, out.limits.body_bytes_max)) return fault;
  if (auto fault = limits.read_integer("reply_bytes_max", 1024, 256 * mebibyte, out.limits.reply_bytes_max)) return fault;
  if (auto fault = limits.read_integer("table_bytes_max", 0, 256 * mebibyte, out.limits.table_bytes_max)) return fault;
  return limits.read_integer("upstream_time_limit_ms", 100, 3'600'000, out.limits.upstream_time_limit_ms);
}

Fault parse_verifier(const Object& top, Settings& out) {
  std::string name = "own";
  if (auto fault = top.read_string("verifier", name)) return fault;
  if (name != "own" && name != "portable") return top.at("verifier", "must be \"own\" or \"portable\"");
  out.verifier = name == "portable" ? Verifier::portable : Verifier::own;
  return std::nullopt;
}

Fault parse_token_cache(const Object& top, TokenCacheSettings& out) {
  const json::Value* member = top.find("token_cache");
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) return top.at("token_cache", "must be an object, such as {\"bytes_max\": 8388608}");
  const Object cache(*member, "token_cache");
  if (auto fault = cache.unknown_keys({"bytes_max"})) return fault;
  return cache.read_integer("bytes_max", 0, std::int64_t{2} << 30U, out.bytes_max);
}

Fault parse_top(const Object& top, const Environment& environment, Settings& out) {
  if (auto fault =
          top.unknown_keys({"$schema", "issuers", "credentials", "cookie", "shared_identities", "denylist", "resource",
                            "upstream", "policy", "limits", "verifier", "token_cache", "cors", "user_writable_claims_allowed"}))
    return fault;
  if (auto fault = parse_credentials(top, environment, out.handlers, out.issuers, out.credentials, out.warnings)) return fault;
  if (auto fault = parse_resource(top, out.issuers, out.credentials, out.resource, out.warnings)) return fault;
  if (auto fault = parse_upstream(top, environment, out)) return fault;
  for (const CredentialSource& source : out.credentials.chain) {
    const auto* keys = std::get_if<ApiKeys>(&source);
    const auto& forwarded = out.upstream.forward_headers;
    if (keys != nullptr && std::find(forwarded.begin(), forwarded.end(), keys->header) != forwarded.end()) {
      return top.at("upstream", "forward_headers holds " + printable_name(keys->header) +
                                    ", in which API keys travel: they are for the gate alone");
    }
  }
  if (const json::Value* list = top.find("denylist")) {
    auto denylist = Denylist::parse(*list);
    if (!denylist) return json::ParseFault{denylist.error().offset, "denylist: " + denylist.error().what};
    out.denylist = std::move(denylist).value();
  }
  if (auto fault = parse_limits(top, out)) return fault;
  if (auto fault = parse_verifier(top, out)) return fault;
  if (auto fault = parse_token_cache(top, out.token_cache)) return fault;
  if (auto fault = parse_cors(top, out.cors)) return fault;
  if (const json::Value* policy = top.find("policy")) {
    RuleWords words;
    for (const auto& route : out.upstream.routes) {
      if (route->access != CustomRoute::Access::rule) continue;
      words.resources.push_back(route->resource);
      words.actions.push_back(route->action);
    }
    std::vector<std::string> user_writable;
    if (auto fault = top.read_strings("user_writable_claims_allowed", user_writable)) return fault;
    auto parsed = Policy::parse(*policy, words, user_writable);
    if (!parsed) return json::ParseFault{parsed.error().offset, "policy: " + parsed.error().what};
    out.policy = std::move(parsed).value();
    for (std::string& warning : out.policy.warnings()) out.warnings.push_back(std::move(warning));
  } else {
    out.policy = out.handlers.on ? Policy::open() : Policy::owner_default();
  }
  return check_custom_rules(top, out);
}

}  // namespace

ConfigError config_error(std::string_view text, const json::ParseFault& fault) {
  const json::Place place = json::place_of(text, fault.offset);
  const std::size_t colon = fault.what.find(": ");
  ConfigError error;
  error.line = place.line;
  error.column = place.column;
  if (colon != std::string::npos && fault.what.find(' ') > colon) {
    error.path = fault.what.substr(0, colon);
    error.message = fault.what.substr(colon + 2);
  } else {
    error.message = fault.what;
  }
  // Names stand in it as they are written; it must stay one line of text whatever they hold.
  for (std::string* part : {&error.path, &error.message}) {
    std::replace_if(
        part->begin(), part->end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }, '?');
  }
  return error;
}

std::string ConfigError::text() const {
  std::string out;
  if (line != 0) out = std::to_string(line) + ":" + std::to_string(column) + ": ";
  if (!path.empty()) out += path + ": ";
  return out + message;
}

Result<Settings, ConfigError> parse_settings(std::string_view text, const Environment& environment, HostHandlers handlers) {
  auto parsed = json::parse(text, {}, json::Comments::skip);
  if (!parsed) return config_error(text, parsed.error());
  if (!parsed->is_object()) return config_error(text, {0, "the configuration must be a JSON object"});
  Settings settings;
  settings.handlers = handlers;
  if (auto fault = parse_top(Object(parsed.value(), ""), environment, settings)) return config_error(text, *fault);
  return settings;
}

Result<Denylist, ConfigError> parse_denylist(std::string_view text) {
  if (text.size() > denylist_bytes_max) return config_error({}, {0, "the denylist is larger than 16 MiB"});
  auto parsed = json::parse(text, {.depth_max = 4, .values_max = 4 * denylist_entries_max + 1}, json::Comments::skip);
  if (!parsed) return config_error(text, parsed.error());
  auto denylist = Denylist::parse(parsed.value());
  if (!denylist) return config_error(text, {denylist.error().offset, "the denylist: " + denylist.error().what});
  return std::move(denylist).value();
}

}  // namespace postern
