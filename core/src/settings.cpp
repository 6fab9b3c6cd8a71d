#include "settings.h"

#include <algorithm>

#include "config_object.h"
#include "json.h"

namespace postern {
namespace {

bool is_header_name(std::string_view text) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
  });
}

Fault parse_upstream(const Object& top, const Environment& environment, Settings& out) {
  const json::Value* member = top.find("upstream");
  if (member == nullptr || !member->is_object()) return top.at("upstream", "must be an object with the agent server's url");
  const Object upstream(*member, "upstream");
  if (auto fault = upstream.unknown_keys({"url", "api", "headers", "graphs"})) return fault;
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
  if (api != "langgraph") return upstream.at("api", "must be \"langgraph\"");
  if (auto fault = upstream.read_strings("graphs", out.upstream.graphs)) return fault;

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

Fault parse_top(const Object& top, const Environment& environment, Settings& out) {
  if (auto fault = top.unknown_keys({"$schema", "issuers", "shared_identities", "upstream", "policy", "limits", "verifier"}))
    return fault;
  if (auto fault = parse_issuers(top, environment, out.issuers, out.warnings)) return fault;
  if (auto fault = parse_upstream(top, environment, out)) return fault;
  if (auto fault = parse_limits(top, out)) return fault;
  if (auto fault = parse_verifier(top, out)) return fault;
  if (const json::Value* policy = top.find("policy")) {
    auto parsed = Policy::parse(*policy);
    if (!parsed) return json::ParseFault{parsed.error().offset, "policy: " + parsed.error().what};
    out.policy = std::move(parsed).value();
    for (std::string& warning : out.policy.warnings()) out.warnings.push_back(std::move(warning));
  } else {
    out.policy = Policy::owner_default();
  }
  return std::nullopt;
}

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

}  // namespace

std::string ConfigError::text() const {
  std::string out;
  if (line != 0) out = std::to_string(line) + ":" + std::to_string(column) + ": ";
  if (!path.empty()) out += path + ": ";
  return out + message;
}

Result<Settings, ConfigError> parse_settings(std::string_view text, const Environment& environment) {
  auto parsed = json::parse(text, {}, json::Comments::skip);
  if (!parsed) return config_error(text, parsed.error());
  if (!parsed->is_object()) return config_error(text, {0, "the configuration must be a JSON object"});
  Settings settings;
  if (auto fault = parse_top(Object(parsed.value(), ""), environment, settings)) return config_error(text, *fault);
  return settings;
}

}  // namespace postern
