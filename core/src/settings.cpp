#include "settings.h"

#include <algorithm>

#include "config_reader.h"
#include "json.h"
#include "reply.h"
#include "text.h"

namespace postern {
namespace {

bool is_header_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

void parse_webhook_origins(ConfigReader& upstream, UpstreamSettings& out) {
  upstream.strings("webhook_origins", out.webhook_origins);
  for (const std::string& origin : out.webhook_origins) {
    const auto url = parse_url(origin);
    if (!url || url->scheme != "https" || !url->rest.empty()) {
      upstream.fail("webhook_origins", "must hold https origins such as \"https://hooks.example.com\"");
    }
  }
}

void parse_open_routes(ConfigReader& upstream, UpstreamSettings& out) {
  upstream.strings("open_routes", out.open_routes);
  for (const std::string& path : out.open_routes) {
    std::string known;
    bool found = false;
    for (const Route& route : langgraph_routes()) {
      if (route.treatment != Treatment::operators) continue;
      found = found || route.path == path;
      known.append(" ").append(route.path);
    }
    if (!found || out.api != Api::langgraph) {
      upstream.fail("open_routes", {"may name these paths of a LangGraph server only:", known});
    }
  }
}

void parse_allow_fields(ConfigReader& upstream, UpstreamSettings& out) {
  const ConfigReader rows(upstream, "allow_fields",
                          "must be an object such as {\"POST /threads/{thread_id}/runs\": [\"feedback_keys\"]}");
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ConfigReader fields(rows, i);
    const auto routes = langgraph_routes();
    const auto row = std::find_if(routes.begin(), routes.end(), [&](const Route& route) {
      return std::string(route.method).append(" ").append(route.path) == fields.name();
    });
    if (row == routes.end() || !row->takes_body() || out.api != Api::langgraph) {
      return fields.fail(ConfigReader::itself, "is no route with a body; write METHOD PATH as `postern routes` prints them");
    }
    AllowedFields& allowed = out.allow_fields.emplace_back();
    allowed.method = row->method;
    allowed.path = row->path;
    fields.strings(ConfigReader::itself, allowed.fields);
    for (const std::string& name : allowed.fields) {
      if (std::any_of(row->body.begin(), row->body.end(), [&](const Field& field) { return field.name == name; })) {
        fields.fail(ConfigReader::itself, {printable_name(name), " is accepted there anyhow"});
      }
    }
  }
}

void parse_forward_headers(ConfigReader& upstream, UpstreamSettings& out) {
  upstream.strings("forward_headers", out.forward_headers);
  for (std::string& name : out.forward_headers) {
    name = lower_case(name);
    // What says who is calling, where to, or how the message is framed is never the client's word.
    const bool refused = !is_header_name(name) || name.starts_with("x-user-") || name.starts_with("x-forwarded-") ||
                         name.starts_with("proxy-") ||
                         find_word(
                             "authorization cookie host connection content-length transfer-encoding te trailer upgrade "
                             "forwarded x-api-key x-auth-scheme x-user-id content-type expect accept-encoding keep-alive",
                             name);
    if (refused) upstream.fail("forward_headers", {printable_name(name), " is never taken from a client"});
  }
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

bool is_rule_word(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; });
}

// Who may use a custom route: everybody, every user, or whom the policy lets.
void parse_access(ConfigReader& route, CustomRoute& out) {
  std::string rule;
  route.string("rule", rule);
  if (route.find("access") != nullptr) {
    const std::size_t access =
        route.choice("access", "open authenticated", 0,
                     "must be \"open\" (anybody) or \"authenticated\" (any user); for the policy name a `rule`");
    out.access = access == 0 ? CustomRoute::Access::open : CustomRoute::Access::authenticated;
    if (!rule.empty()) route.fail("access", "stands against `rule`; keep one of them");
    return;
  }
  const std::size_t colon = std::min(rule.find(':'), rule.size());
  out.resource = rule.substr(0, colon);
  out.action = rule.substr(std::min(colon + 1, rule.size()));
  if (!is_rule_word(out.resource) || !is_rule_word(out.action)) {
    route.fail("rule", "must be RESOURCE:ACTION in small letters, such as \"notes:read\"; the policy says who may");
  }
}

void parse_path_equals(ConfigReader& route, const std::vector<std::string>& places, CustomRoute& out) {
  const ConfigReader equals(route, "path_equals", "must be an object such as {\"user_id\": \"$user.identity\"}");
  for (std::size_t i = 0; i < equals.size(); ++i) {
    const ConfigReader one(equals, i);
    const std::string& text = one.value().as_string();
    const bool known = std::find(places.begin(), places.end(), one.name()) != places.end();
    if (!known || text.empty() || (is_user_reference(text) && !is_known_user_reference(text))) {
      route.fail("path_equals", "names a {place} of the path and a $user reference or text that it must equal");
    }
    if (out.access == CustomRoute::Access::open) route.fail("path_equals", "needs a user; the route is open");
    out.path_equals.emplace_back(one.name(), text);
  }
}

void parse_custom_route(ConfigReader& route, CustomRoute& out) {
  route.string("method", out.method);
  if (!find_word("GET POST PUT PATCH DELETE", out.method)) {
    route.fail("method", "must be GET (which answers HEAD too), POST, PUT, PATCH or DELETE");
  }
  route.string("path", out.path);
  std::vector<std::string> places;
  if (!parse_path_pattern(out.path, places)) {
    route.fail("path", "must be a path such as \"/notes/{note_id}\": segments of letters, digits and -_.~@:, or {name}");
  }
  parse_access(route, out);
  parse_path_equals(route, places, out);
  const json::Value* query = route.find("query");
  out.any_query = query != nullptr && query->as_string() == "any";
  if (!out.any_query) route.strings("query", out.query);
  using Body = CustomRoute::Body;
  constexpr Body bodies[] = {Body::none, Body::json, Body::any};
  out.body = bodies[route.choice("body", "none json any", out.method == "GET" || out.method == "DELETE" ? 0 : 1,
                                 "must be \"none\", \"json\" (parsed strictly) or \"any\" (passed as it is)")];
  using Judged = CustomRoute::Judged;
  constexpr Judged judgements[] = {Judged::object, Judged::list, Judged::nothing};
  out.judged = judgements[route.choice("judge", "object list", 2,
                                       "must be \"object\" or \"list\": what of the reply the rule's filter looks at")];
  if (out.judged != Judged::nothing && out.access != CustomRoute::Access::rule) {
    route.fail("judge", "needs a `rule` with a filter");
  }
  route.string("metadata", out.metadata);
  route.boolean("streams", out.streams);
  if (out.streams && out.judged != Judged::nothing) route.fail("streams", "stands against `judge`; a stream is not read");
  route.done();
  out.row = Route{out.method, out.path, Resource::custom, Action::custom, Treatment::custom, {}, {}, out.streams, {}};
}

void parse_custom_routes(ConfigReader& upstream, UpstreamSettings& out) {
  const std::size_t count = upstream.list("routes", "must be a non-empty list of routes");
  if (count == 0 && out.api == Api::generic) {
    upstream.fail("routes", "is missing: with \"api\": \"generic\" every route is listed");
  }
  for (std::size_t i = 0; i < count; ++i) {
    ConfigReader reader(upstream, "routes", i, "must be an object with method and path");
    auto route = std::make_unique<CustomRoute>();
    parse_custom_route(reader, *route);
    if (out.api == Api::langgraph) {
      for (const Route& row : langgraph_routes()) {
        if (row.method == route->method && row.path == route->path) reader.fail("path", "is a route of LangGraph's own");
      }
    }
    for (const auto& other : out.routes) {
      if (other->method == route->method && other->path == route->path) {
        reader.fail("path", "is listed twice with this method");
      }
    }
    out.routes.push_back(std::move(route));
  }
}

void parse_header_names(ConfigReader& cors, const char* key, std::vector<std::string>& out) {
  cors.strings(key, out);
  for (const std::string& name : out) {
    if (!is_header_name(name)) cors.fail(key, {printable_name(name), " is no header name"});
  }
}

void parse_cors(ConfigReader& top, CorsSettings& out) {
  ConfigReader cors(top, "cors", "must be an object with origins");
  cors.strings("origins", out.origins, "is missing, e.g. [\"https://app.example.com\"] or \"*\"");
  for (const std::string& origin : out.origins) {
    if (origin == "*" && out.origins.size() == 1) continue;
    const auto url = parse_url(origin);
    if (!url || !url->rest.empty()) {
      cors.fail("origins", "must hold origins such as \"https://app.example.com\", or \"*\" alone");
    }
  }
  parse_header_names(cors, "headers", out.headers);
  parse_header_names(cors, "exposed_headers", out.exposed_headers);
  cors.integer("max_age_seconds", 0, 86'400, out.max_age_seconds);
  cors.done();
}

// A filter that no part of a route could keep is found at start, not at the first request.
void check_custom_rules(ConfigReader& top, const Settings& settings) {
  for (const auto& route : settings.upstream.routes) {
    if (route->access != CustomRoute::Access::rule) continue;
    const Rule* rule = settings.policy.find_rule(route->resource, route->action);
    if (rule == nullptr || !rule->allowed || !rule->filter || route->keeps_filter()) continue;
    const bool unread = route->body == CustomRoute::Body::any && route->writes();
    top.fail("policy",
             {"the rule ", rule->key, " has a filter, which ", route->method, " ", route->path, " cannot keep: give the route ",
              unread ? "`\"body\": \"json\"`" : "`judge`", " or `path_equals`, or a rule without filter"});
  }
}

void parse_upstream_headers(ConfigReader& upstream, UpstreamSettings& out) {
  constexpr const char* itself = ConfigReader::itself;
  const ConfigReader headers(upstream, "headers", "must be an object of header names and values");
  for (std::size_t i = 0; i < headers.size(); ++i) {
    ConfigReader header(headers, i);
    if (!is_header_name(header.name())) upstream.fail("headers", {printable_name(header.name()), " is no header name"});
    Header read{lower_case(header.name()), {}};
    header.secret(itself, read.value);
    if (has_control(read.value)) header.fail(itself, "has a control character");
    const auto same = [&](const Header& other) { return other.name == read.name; };
    if (std::any_of(out.headers.begin(), out.headers.end(), same)) {
      header.fail(itself, "is named twice; case does not tell header names apart");
    }
    out.headers.push_back(std::move(read));
  }
}

void parse_upstream(ConfigReader& top, UpstreamSettings& out) {
  ConfigReader upstream(top, "upstream", "must be an object with the agent server's url", ConfigReader::Presence::required);
  upstream.string("url", out.url, "is missing, e.g. \"http://127.0.0.1:2024\"");
  const auto url = parse_url(out.url);
  if (!url) {
    upstream.fail("url", "must be a URL such as http://127.0.0.1:2024, without query, fragment or user");
  } else if (url->scheme == "http" && !is_loopback_host(url->host)) {
    top.context().warnings.emplace_back("upstream.url is plain http to another host: use it only inside a trusted network");
  }
  out.url = without_trailing_slash(out.url);
  const std::size_t api = upstream.choice("api", "langgraph generic", 0, "must be \"langgraph\" or \"generic\"");
  out.api = api == 0 ? Api::langgraph : Api::generic;
  upstream.strings("graphs", out.graphs);
  parse_webhook_origins(upstream, out);
  parse_open_routes(upstream, out);
  parse_allow_fields(upstream, out);
  parse_forward_headers(upstream, out);
  parse_custom_routes(upstream, out);
  parse_handover(upstream, out.url, out.identity);
  parse_upstream_headers(upstream, out);
  upstream.done();
}

// API keys are for the gate alone.
void check_forwarded_keys(ConfigReader& top, const Settings& settings) {
  const std::vector<std::string>& forwarded = settings.upstream.forward_headers;
  for (const CredentialSource& source : settings.credentials.chain) {
    const auto* keys = std::get_if<ApiKeys>(&source);
    if (keys == nullptr || std::find(forwarded.begin(), forwarded.end(), keys->header) == forwarded.end()) continue;
    top.fail("upstream",
             {"forward_headers holds ", printable_name(keys->header), ", in which API keys travel: they are for the gate alone"});
  }
}

void parse_limits(ConfigReader& top, LimitSettings& out) {
  ConfigReader limits(top, "limits", "must be an object");
  constexpr std::int64_t mebibyte = 1024 * 1024;
  limits.integer("body_bytes_max", 1024, 256 * mebibyte, out.body_bytes_max);
  limits.integer("reply_bytes_max", 1024, 256 * mebibyte, out.reply_bytes_max);
  limits.integer("upstream_time_limit_ms", 100, 3'600'000, out.upstream_time_limit_ms);
  limits.integer("table_bytes_max", 0, 256 * mebibyte, out.table_bytes_max);
  limits.done();
}

void parse_token_cache(ConfigReader& top, TokenCacheSettings& out) {
  ConfigReader cache(top, "token_cache", "must be an object, such as {\"bytes_max\": 8388608}");
  cache.integer("bytes_max", 0, std::int64_t{2} << 30U, out.bytes_max);
  cache.done();
}

void parse_policy(ConfigReader& top, Settings& out) {
  const bool written = top.find("policy") != nullptr;
  top.ignore("user_writable_claims_allowed");
  if (!written) {
    out.policy = out.handlers.on ? Policy::open() : Policy::owner_default();
    return;
  }
  RuleWords words;
  for (const auto& route : out.upstream.routes) {
    if (route->access != CustomRoute::Access::rule) continue;
    words.resources.push_back(route->resource);
    words.actions.push_back(route->action);
  }
  std::vector<std::string> user_writable;
  top.strings("user_writable_claims_allowed", user_writable);
  ConfigReader reader(top, "policy", "policy must be an object of rules");
  out.policy = Policy::parse(reader, words, user_writable);
  for (std::string& warning : out.policy.warnings()) top.context().warnings.push_back(std::move(warning));
}

void parse_top(ConfigReader& top, Settings& out) {
  top.ignore("$schema");
  parse_credentials(top, out.handlers, out.issuers, out.credentials);
  parse_resource(top, out.issuers, out.credentials, out.resource);
  parse_upstream(top, out.upstream);
  check_forwarded_keys(top, out);
  out.denylist = Denylist::parse(top, "denylist");
  parse_limits(top, out.limits);
  const std::size_t verifier = top.choice("verifier", "own portable", 0, "must be \"own\" or \"portable\"");
  out.verifier = verifier == 0 ? Verifier::own : Verifier::portable;
  parse_token_cache(top, out.token_cache);
  parse_cors(top, out.cors);
  parse_policy(top, out);
  check_custom_rules(top, out);
  top.done();
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
  ConfigContext context{environment};
  ConfigReader top(context, parsed.value());
  parse_top(top, settings);
  if (context.fault) return config_error(text, *context.fault);
  settings.warnings = std::move(context.warnings);
  return settings;
}

Result<Denylist, ConfigError> parse_denylist(std::string_view text) {
  if (text.size() > denylist_bytes_max) return config_error({}, {0, "the denylist is larger than 16 MiB"});
  auto parsed = json::parse(text, {.depth_max = 4, .values_max = 4 * denylist_entries_max + 1}, json::Comments::skip);
  if (!parsed) return config_error(text, parsed.error());
  const Environment none;
  ConfigContext context{none};
  ConfigReader reader(context, parsed.value(), "the denylist");
  Denylist denylist = Denylist::parse(reader, ConfigReader::itself);
  if (context.fault) return config_error(text, *context.fault);
  return denylist;
}

}  // namespace postern
