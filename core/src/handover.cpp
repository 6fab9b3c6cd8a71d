#include "handover.h"

#include <algorithm>

#include "escape.h"
#include "reply.h"
#include "text.h"

namespace postern {
namespace {

constexpr std::string_view user_id_header = "x-user-id";
constexpr std::string_view user_name_header = "x-user-name";
constexpr std::string_view user_permissions_header = "x-user-permissions";

bool sets_header(ConfigReader& upstream, std::string_view name) {
  const json::Value* headers = upstream.find("headers");
  if (headers == nullptr) return false;
  return std::any_of(headers->members().begin(), headers->members().end(),
                     [name](const json::Member& header) { return lower_case(header.first) == name; });
}

// What a header can hold everywhere: visible ASCII. Everything else as %XX, and % itself.
std::string header_text(std::string_view text) {
  return escaped(text, '%', [](char c) { return c > ' ' && c < 0x7f && c != '%'; });
}

// The path of an absolute URL, without its query.
std::string_view path_of(std::string_view url) {
  const std::size_t slash = url.find('/', url.find("://") + 3);
  if (slash == std::string_view::npos) return "/";
  const std::string_view target = url.substr(slash);
  return target.substr(0, target.find('?'));
}

json::Value permissions_json(const User& user) {
  json::Value out = json::Value::array();
  for (const std::string& permission : user.permissions) out.push_back(json::Value::string(permission));
  return out;
}

std::string assertion(const OutgoingRequest& request, const User& user, const HandoverSettings& settings, Time now) {
  const AssertionSettings& rules = *settings.assertion;
  const std::int64_t issued_at = now.unix_ms / 1000;
  json::Value claims = json::Value::object();
  claims.set("iss", json::Value::string("postern"));
  claims.set("aud", json::Value::string(rules.audience));
  claims.set("sub", json::Value::string(user.identity));
  claims.set("iat", json::Value::number(issued_at));
  claims.set("exp", json::Value::number(issued_at + rules.lifetime_seconds));
  claims.set("method", json::Value::string(request.method));
  claims.set("path", json::Value::string(path_of(request.url)));
  claims.set("user", user_json(user, settings.secret_fields));
  return sign_jws(rules.key, json::write(claims));
}

}  // namespace

void parse_handover(ConfigReader& upstream, const std::string& upstream_url, HandoverSettings& out) {
  ConfigReader identity(upstream, "identity", "must be an object with assertion, headers or configurable");
  identity.boolean("headers", out.headers);
  identity.boolean("configurable", out.configurable);
  identity.strings("secret_fields", out.secret_fields);
  if (!out.secret_fields.empty() && !out.configurable && identity.find("assertion") == nullptr) {
    identity.fail("secret_fields", "travel in the assertion or in configurable; configure one of them");
  }
  for (const std::string_view name : {user_id_header, user_name_header, user_permissions_header}) {
    if (out.headers && sets_header(upstream, name)) {
      identity.fail("headers", {name, " is set by upstream.headers too; keep one of them"});
    }
  }
  ConfigReader rules(identity, "assertion", "must be an object with a key");
  identity.done();
  const bool hmac = rules.choice("alg", "ES256 HS256", 0, "must be ES256 or HS256") == 1;
  std::string text;
  std::string audience(upstream_url);
  std::int64_t lifetime_seconds = assertion_seconds_max;
  rules.string("key", text);
  if (!text.starts_with('$')) rules.fail("key", "must be \"$NAME\": a private key has no place in a configuration file");
  rules.secret("key", text);
  rules.string("audience", audience);
  rules.integer("lifetime_seconds", 5, assertion_seconds_max, lifetime_seconds);
  rules.done();
  if (!rules.good()) return;
  auto key = SigningKey::import(*find_jwa(hmac ? "HS256" : "ES256"), text);
  if (!key) return rules.fail("key", key.error());
  if (sets_header(upstream, "authorization")) {
    rules.fail("key", "the assertion takes the Authorization header, which upstream.headers sets too; keep one of them");
  }
  out.assertion.emplace(AssertionSettings{std::move(key).value(), std::move(audience), lifetime_seconds});
}

json::Value user_json(const User& user, const std::vector<std::string>& secret_fields) {
  auto fields = json::parse(user.fields_json);
  json::Value out = json::Value::object();
  out.set("identity", json::Value::string(user.identity));
  out.set("display_name", json::Value::string(user.display_name));
  out.set("is_authenticated", json::Value::boolean(true));
  out.set("permissions", permissions_json(user));
  if (fields) {
    for (json::Member& field : fields->members()) out.set(field.first, std::move(field.second));
  }
  for (const auto& [name, value] : user.secret_fields) {
    const bool named = std::find(secret_fields.begin(), secret_fields.end(), name) != secret_fields.end();
    if (named) out.set(name, json::Value::string(value));
  }
  return out;
}

void add_identity(OutgoingRequest& request, const User& user, const HandoverSettings& settings, Time now) {
  if (user.identity.empty()) return;  // a route that is open to everybody
  if (settings.headers) {
    std::string permissions;
    for (const std::string& permission : user.permissions) {
      if (!permissions.empty()) permissions += ' ';
      permissions += header_text(permission);
    }
    request.headers.push_back({std::string(user_id_header), header_text(user.identity)});
    request.headers.push_back({std::string(user_name_header), header_text(user.display_name)});
    if (!permissions.empty()) request.headers.push_back({std::string(user_permissions_header), std::move(permissions)});
  }
  if (settings.assertion) request.headers.push_back({"authorization", "Bearer " + assertion(request, user, settings, now)});
}

void add_identity_to_run(json::Value& body, const User& user, const HandoverSettings& settings) {
  if (!settings.configurable || user.identity.empty()) return;
  const json::Value* sent = body.find("config");
  json::Value config = sent == nullptr ? json::Value::object() : *sent;
  const json::Value* inner = config.find("configurable");
  json::Value configurable = inner == nullptr ? json::Value::object() : *inner;
  configurable.set("langgraph_auth_user", user_json(user, settings.secret_fields));
  configurable.set("langgraph_auth_user_id", json::Value::string(user.identity));
  configurable.set("langgraph_auth_permissions", permissions_json(user));
  config.set("configurable", std::move(configurable));
  body.set("config", std::move(config));
}

}  // namespace postern
