#include "resource.h"

#include <algorithm>

#include "json.h"
#include "reply.h"

namespace postern {
namespace {

// RFC 9728 section 3
constexpr std::string_view well_known = "/.well-known/oauth-protected-resource";

json::Value list_of(const std::vector<std::string>& texts) {
  json::Value out = json::Value::array();
  for (const std::string& text : texts) out.push_back(json::Value::string(text));
  return out;
}

// RFC 6749 section 3.3; a challenge quotes them as they are.
bool is_scope(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
}

// Whether only tokens for the resource pass, or at least may be asked for. A URL without path has two spellings (RFC 3986 section
// 6.2.3), and URL libraries write the one with the slash whatever they were given: both are this resource.
bool bind_audience(const std::string& url, bool has_path, std::vector<std::string>& audiences) {
  std::vector<std::string> spellings = {url};
  if (!has_path) spellings = {without_trailing_slash(url), without_trailing_slash(url) + "/"};
  const auto is_listed = [&](const std::string& one) {
    return std::find(audiences.begin(), audiences.end(), one) != audiences.end();
  };
  if (std::none_of(spellings.begin(), spellings.end(), is_listed)) return false;
  for (const std::string& one : spellings) {
    if (!is_listed(one)) audiences.push_back(one);
  }
  return true;
}

}  // namespace

Fault parse_resource(const Object& top, std::vector<IssuerSettings>& issuers, CredentialSettings& credentials,
                     std::optional<ResourceSettings>& out, std::vector<std::string>& warnings) {
  const json::Value* member = top.find("resource");
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) return top.at("resource", "must be an object with the url that clients use");
  const Object resource(*member, "resource");
  if (auto fault = resource.unknown_keys(
          {"url", "authorization_servers", "scopes_supported", "name", "documentation", "unbound_audience_allowed"})) {
    return fault;
  }
  ResourceSettings settings;
  if (auto fault = resource.read_string("url", settings.url)) return fault;
  if (settings.url.empty()) return resource.at("url", "is missing, e.g. \"https://agents.example/mcp\": what clients use");
  if (auto fault = check_secure_url(resource, "url", settings.url)) return fault;
  const std::string_view path = parse_url(settings.url)->rest;
  const bool has_path = path.size() > 1;
  settings.metadata_path = std::string(well_known) + (has_path ? std::string(path) : std::string());
  settings.metadata_url = settings.url.substr(0, settings.url.size() - path.size()) + settings.metadata_path;

  bool unbound_allowed = false;
  if (auto fault = resource.read_boolean("unbound_audience_allowed", unbound_allowed)) return fault;
  std::vector<std::string> servers;
  bool bound = true;
  const auto take = [&](const std::string& issuer, std::vector<std::string>& audiences) {
    if (!issuer.empty()) servers.push_back(issuer);
    bound = bind_audience(settings.url, has_path, audiences) && bound;
  };
  for (IssuerSettings& issuer : issuers) take(issuer.claims.issuer, issuer.claims.audiences);
  for (CredentialSource& source : credentials.chain) {
    if (auto* check = std::get_if<OnlineCheckSettings>(&source)) take(check->issuer, check->audiences);
  }
  if (!bound && !unbound_allowed) {
    return resource.at(
        "url",
        "is not among the `audience` of every issuer: tokens made for other services would pass (RFC 8707). Add it "
        "there; where the issuer cannot make tokens for it, write \"unbound_audience_allowed\": true");
  }
  if (!bound) warnings.push_back("UNBOUND AUDIENCE: tokens that were not made for resource.url are accepted here");

  if (auto fault = resource.read_strings("authorization_servers", servers)) return fault;
  if (servers.empty()) {
    return resource.at("authorization_servers", "is missing, and no issuer is configured that could stand there");
  }
  for (const std::string& server : servers) {
    if (auto fault = check_secure_url(resource, "authorization_servers", server)) return fault;
  }
  std::vector<std::string> scopes;
  if (auto fault = resource.read_strings("scopes_supported", scopes)) return fault;
  if (!std::all_of(scopes.begin(), scopes.end(), is_scope)) {
    return resource.at("scopes_supported", "must be a list of scopes, without spaces, quotes and backslashes");
  }
  std::string name;
  std::string documentation;
  if (auto fault = resource.read_string("name", name)) return fault;
  if (auto fault = resource.read_string("documentation", documentation)) return fault;
  if (!documentation.empty()) {
    if (auto fault = check_secure_url(resource, "documentation", documentation)) return fault;
  }

  json::Value metadata = json::Value::object();
  metadata.set("resource", json::Value::string(settings.url));
  metadata.set("authorization_servers", list_of(servers));
  metadata.set("bearer_methods_supported", list_of({"header"}));
  if (!scopes.empty()) metadata.set("scopes_supported", list_of(scopes));
  if (!name.empty()) metadata.set("resource_name", json::Value::string(name));
  if (!documentation.empty()) metadata.set("resource_documentation", json::Value::string(documentation));
  settings.metadata = json::write(metadata);
  out = std::move(settings);
  return std::nullopt;
}

std::optional<Respond> metadata_reply(const ResourceSettings& resource, const RequestHead& head) {
  const std::string_view path = head.target.substr(0, head.target.find('?'));
  // Also without the path, where clients look that were given no challenge (MCP's fallback).
  if (path != resource.metadata_path && path != well_known) return std::nullopt;
  Respond out;
  if (head.method == "GET" || head.method == "HEAD") {
    out.status = 200;
    out.headers = {{"content-type", "application/json"}, {"cache-control", "max-age=300"}};
    out.body = resource.metadata;
  } else if (head.method == "OPTIONS") {
    // Agents in browsers send headers of their own along (MCP-Protocol-Version), which makes browsers ask first.
    out.status = 204;
    out.headers = {
        {"access-control-allow-methods", "GET, HEAD"}, {"access-control-allow-headers", "*"}, {"access-control-max-age", "600"}};
  } else {
    out = refusal_reply({Error::method_not_allowed, {}, "GET, HEAD, OPTIONS"});
  }
  // Public, and the same for everybody.
  out.headers.push_back({"access-control-allow-origin", "*"});
  return out;
}

void add_metadata_url(const ResourceSettings& resource, Respond& refusal) {
  for (Header& header : refusal.headers) {
    if (header.name != "www-authenticate") continue;
    header.value += header.value == "Bearer" ? " " : ", ";
    header.value += "resource_metadata=\"" + resource.metadata_url + "\"";
  }
}

}  // namespace postern
