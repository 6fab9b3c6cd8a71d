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

void parse_resource(ConfigReader& top, std::vector<IssuerSettings>& issuers, CredentialSettings& credentials,
                    std::optional<ResourceSettings>& out) {
  ConfigReader resource(top, "resource", "must be an object with the url that clients use");
  if (!resource) return;
  ResourceSettings& settings = out.emplace();
  resource.secure_url("url", settings.url, "is missing, e.g. \"https://agents.example/mcp\": what clients use");
  const std::string_view path = parse_url(settings.url).value_or(Url{}).rest;
  const bool has_path = path.size() > 1;
  settings.metadata_path = well_known;
  if (has_path) settings.metadata_path += path;
  settings.metadata_url = settings.url.substr(0, settings.url.size() - path.size()) + settings.metadata_path;

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
  bool unbound_allowed = false;
  resource.boolean("unbound_audience_allowed", unbound_allowed);
  if (!bound && !unbound_allowed) {
    resource.fail("url",
                  "is not among the `audience` of every issuer: tokens made for other services would pass (RFC 8707). Add it "
                  "there; where the issuer cannot make tokens for it, write \"unbound_audience_allowed\": true");
  }
  if (!bound) {
    top.context().warnings.emplace_back("UNBOUND AUDIENCE: tokens that were not made for resource.url are accepted here");
  }

  resource.strings("authorization_servers", servers, "is missing, and no issuer is configured that could stand there");
  for (const std::string& server : servers) resource.check_secure_url("authorization_servers", server);
  std::vector<std::string> scopes;
  std::string name;
  std::string documentation;
  resource.strings("scopes_supported", scopes);
  if (!std::all_of(scopes.begin(), scopes.end(), is_scope)) {
    resource.fail("scopes_supported", "must be a list of scopes, without spaces, quotes and backslashes");
  }
  resource.string("name", name);
  resource.secure_url("documentation", documentation);
  resource.done();

  json::Value metadata = json::Value::object();
  metadata.set("resource", json::Value::string(settings.url));
  metadata.set("authorization_servers", list_of(servers));
  metadata.set("bearer_methods_supported", list_of({"header"}));
  if (!scopes.empty()) metadata.set("scopes_supported", list_of(scopes));
  if (!name.empty()) metadata.set("resource_name", json::Value::string(name));
  if (!documentation.empty()) metadata.set("resource_documentation", json::Value::string(documentation));
  settings.metadata = json::write(metadata);
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
    Refusal refusal{Error::method_not_allowed};
    refusal.details().allow = "GET, HEAD, OPTIONS";
    out = refusal_reply(refusal);
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
