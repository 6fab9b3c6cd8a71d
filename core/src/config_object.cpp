#include "config_object.h"

#include <algorithm>

namespace postern {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

Fault Object::unknown_keys(std::initializer_list<std::string_view> known) const {
  for (const json::Member& member : value_->members()) {
    if (std::find(known.begin(), known.end(), member.first) != known.end()) continue;
    std::string what = printable_name(member.first) + " is not known here";
    std::string_view nearest;
    std::size_t distance = 3;  // further than two edits is a guess, not a hint
    for (const std::string_view candidate : known) {
      const std::size_t d = edit_distance(member.first, candidate);
      if (d < distance) {
        distance = d;
        nearest = candidate;
      }
    }
    if (!nearest.empty()) {
      what += "; did you mean \"" + std::string(nearest) + "\"?";
    } else {
      what += "; known:";
      for (const std::string_view candidate : known) what += " " + std::string(candidate);
    }
    return json::ParseFault{member.second.offset(), path_of(member.first) + ": " + what};
  }
  return std::nullopt;
}

bool is_loopback_host(std::string_view host) { return host == "127.0.0.1" || host == "localhost" || host == "[::1]"; }

std::optional<Url> parse_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  Url url;
  url.scheme = text.substr(0, colon);
  if (url.scheme != "http" && url.scheme != "https") return std::nullopt;
  const std::string_view after = text.substr(colon + 3);
  const std::size_t slash = after.find('/');
  std::string_view authority = after.substr(0, slash);
  url.rest = slash == std::string_view::npos ? std::string_view{} : after.substr(slash);
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '@' || c == '\\' || c == '%' || c == '"') return std::nullopt;
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    url.host = authority.substr(0, close + 1);
    port = authority.substr(close + 1);
  } else {
    const std::size_t at = authority.find(':');
    url.host = authority.substr(0, at);
    port = at == std::string_view::npos ? std::string_view{} : authority.substr(at);
  }
  if (url.host.empty()) return std::nullopt;
  if (!port.empty()) {
    if (port.front() != ':' || port.size() < 2 || port.size() > 6) return std::nullopt;
    for (const char c : port.substr(1)) {
      if (c < '0' || c > '9') return std::nullopt;
    }
  }
  return url;
}

Fault check_secure_url(const Object& object, std::string_view key, std::string_view text) {
  const auto url = parse_url(text);
  if (!url) return object.at(key, "must be a URL such as https://host/path, without query, fragment or user");
  if (url->scheme == "http" && !is_loopback_host(url->host)) {
    return object.at(key, "must be https; http is accepted for 127.0.0.1, [::1] and localhost only");
  }
  return std::nullopt;
}

std::string without_trailing_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

Fault resolve_secret(const Object& object, std::string_view key, const Environment& environment, std::string& secret) {
  if (!secret.starts_with('$')) return std::nullopt;
  const std::string_view wanted = std::string_view(secret).substr(1);
  for (const auto& [name, value] : environment) {
    if (name != wanted) continue;
    if (value.empty()) return object.at(key, "the environment variable " + std::string(wanted) + " is empty");
    secret = value;
    return std::nullopt;
  }
  return object.at(key, "the environment variable " + printable_name(wanted) + " is not set");
}

}  // namespace postern
