#include "settings.h"

#include <algorithm>
#include <array>
#include <initializer_list>
#include <limits>
#include <optional>

#include "json.h"
#include "preset.h"
#include "refusal.h"

namespace postern {
namespace {

// One place of the text at fault; unwinds through std::optional returns.
using Fault = std::optional<json::ParseFault>;

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

// The path of a member for messages, and a reader of its parts that remembers what was read.
class Object {
 public:
  Object(const json::Value& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }
  [[nodiscard]] const json::Value* find(std::string_view key) const { return value_->find(key); }
  [[nodiscard]] const json::Value& value() const { return *value_; }

  [[nodiscard]] Fault unknown_keys(std::initializer_list<std::string_view> known) const {
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

  [[nodiscard]] json::ParseFault at(std::string_view key, std::string_view what) const {
    const json::Value* member = value_->find(key);
    return {(member == nullptr ? *value_ : *member).offset(), path_of(key) + ": " + std::string(what)};
  }

  [[nodiscard]] Fault read_string(std::string_view key, std::string& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    if (!member->is_string() || member->as_string().empty()) return at(key, "must be a non-empty string");
    out = member->as_string();
    return std::nullopt;
  }

  [[nodiscard]] Fault read_strings(std::string_view key, std::vector<std::string>& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    out.clear();
    if (member->is_string() && !member->as_string().empty()) {
      out.push_back(member->as_string());
      return std::nullopt;
    }
    if (!member->is_array() || member->items().empty()) return at(key, "must be a string or a non-empty list of strings");
    for (const json::Value& item : member->items()) {
      if (!item.is_string() || item.as_string().empty()) return at(key, "must hold non-empty strings");
      out.push_back(item.as_string());
    }
    return std::nullopt;
  }

  [[nodiscard]] Fault read_boolean(std::string_view key, bool& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    if (!member->is_boolean()) return at(key, "must be true or false");
    out = member->as_boolean();
    return std::nullopt;
  }

  template <typename Integer>
  [[nodiscard]] Fault read_integer(std::string_view key, std::int64_t min, std::int64_t max, Integer& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    const auto number = member->as_integer();
    if (!number || *number < min || *number > max) {
      return at(key, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
    out = static_cast<Integer>(*number);
    return std::nullopt;
  }

 private:
  const json::Value* value_;
  std::string path_;
};

bool is_loopback_host(std::string_view host) { return host == "127.0.0.1" || host == "localhost" || host == "[::1]"; }

struct Url {
  std::string_view scheme;
  std::string_view host;
  std::string_view rest;  // path
};

// scheme://host[:port][/path]: no user, query, fragment or odd character.
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

// Keys decide who gets in: they travel over TLS, or never leave this machine.
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

// "$NAME" is looked up in the environment; anything else stands for itself.
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

Fault parse_symmetric_keys(const Object& issuer, const Environment& environment, IssuerSettings& out) {
  const json::Value* list = issuer.find("symmetric_keys");
  if (list == nullptr) return std::nullopt;
  if (!list->is_array() || list->items().empty()) return issuer.at("symmetric_keys", "must be a non-empty list");
  for (std::size_t i = 0; i < list->items().size(); ++i) {
    const std::string path = issuer.path_of("symmetric_keys") + "[" + std::to_string(i) + "]";
    const json::Value& item = list->items()[i];
    if (!item.is_object()) return json::ParseFault{item.offset(), path + ": must be an object with alg and secret"};
    const Object key(item, path);
    std::string alg_name;
    std::string secret;
    std::string kid;
    if (auto fault = key.unknown_keys({"alg", "secret", "kid"})) return fault;
    if (auto fault = key.read_string("alg", alg_name)) return fault;
    if (auto fault = key.read_string("secret", secret)) return fault;
    if (auto fault = key.read_string("kid", kid)) return fault;
    const Jwa* alg = find_jwa(alg_name);
    if (alg == nullptr || alg->scheme != Scheme::hmac) return key.at("alg", "must be HS256, HS384 or HS512");
    if (secret.empty()) return key.at("secret", "is missing; write \"$NAME\" to take it from the environment");
    if (auto fault = resolve_secret(key, "secret", environment, secret)) return fault;
    auto jwk = make_symmetric_jwk(kid, *alg, secret);
    if (!jwk) return key.at("secret", jwk.error().what);
    out.static_keys.push_back(std::move(jwk).value());
  }
  return std::nullopt;
}

Fault parse_static_keys(const Object& issuer, IssuerSettings& out) {
  const json::Value* keys = issuer.find("keys");
  if (keys == nullptr) return std::nullopt;
  if (!keys->is_object()) return issuer.at("keys", "must be a JWK Set such as {\"keys\": [...]}");
  auto set = parse_jwk_set(json::write(*keys));
  if (!set) return issuer.at("keys", "key " + std::to_string(set.error().index) + ": " + set.error().what);
  if (!set->skipped.empty()) {
    const JwkFault& first = set->skipped.front();
    return issuer.at("keys", "key " + std::to_string(first.index) + ": " + first.what);
  }
  if (set->keys.empty()) return issuer.at("keys", "holds no key");
  for (Jwk& key : set->keys) out.static_keys.push_back(std::move(key));
  return std::nullopt;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const std::size_t space = text.find(' ');
    out.push_back(text.substr(0, space));
    text = space == std::string_view::npos ? std::string_view{} : text.substr(space + 1);
  }
  return out;
}

// Presets fill in what the provider's documentation fixes; anything spelled out beside them wins.
Fault apply_preset(const Object& issuer, const Preset*& preset, IssuerSettings& out) {
  std::string name;
  std::string url;
  if (auto fault = issuer.read_string("preset", name)) return fault;
  if (auto fault = issuer.read_string("url", url)) return fault;
  if (name.empty()) {
    if (!url.empty()) return issuer.at("url", "belongs to a preset; without one write \"issuer\"");
    return std::nullopt;
  }
  preset = find_preset(name);
  if (preset == nullptr) {
    std::string known;
    for (const Preset& one : presets()) known += " " + std::string(one.name);
    return issuer.at("preset", "unknown preset; known:" + known);
  }
  const std::string example = "; the preset needs one such as " + std::string(preset->url_example);
  if (url.empty()) return issuer.at("url", "is missing" + example);
  if (auto fault = check_secure_url(issuer, "url", url)) return fault;
  url = without_trailing_slash(url);
  for (const std::string_view shared : {"/common/", "/organizations/", "/consumers/"}) {
    if (name == "entra" && url.find(shared) != std::string::npos) return issuer.at("url", "must name one tenant" + example);
  }
  out.claims.issuer = url + std::string(preset->issuer_suffix);
  if (preset->jwks_suffix.starts_with("https://")) {
    out.keys.jwks_uri = preset->jwks_suffix;
  } else {
    if (!url.ends_with(preset->jwks_url_cut)) return issuer.at("url", "does not end as it should" + example);
    url.resize(url.size() - preset->jwks_url_cut.size());
    out.keys.jwks_uri = url + std::string(preset->jwks_suffix);
  }
  if (!preset->audience.empty()) out.claims.audiences = {std::string(preset->audience)};
  for (const std::string_view pair : words(preset->required)) {
    const std::size_t equals = pair.find('=');
    out.claims.required.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  for (const std::string_view claim : words(preset->required_any)) out.claims.required_any.emplace_back(claim);
  for (const std::string_view pair : words(preset->only)) {
    const std::size_t equals = pair.find('=');
    out.claims.only.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
  for (const std::string_view alg : words(preset->algorithms)) {
    if (const Jwa* row = find_jwa(alg)) out.algorithms.push_back(row);
  }
  out.claims.id_tokens = preset->id_tokens ? IdTokens::accept : IdTokens::refuse;
  return std::nullopt;
}

// Whom a token is for. Some providers say it in another claim than `aud` and leave `aud` out.
Fault read_audience(const Object& issuer, const Preset* preset, IssuerSettings& out, std::vector<std::string>& warnings) {
  if (auto fault = issuer.read_strings("audience", out.claims.audiences)) return fault;
  if (auto fault = issuer.read_boolean("any_audience", out.claims.any_audience)) return fault;
  if (out.claims.any_audience) {
    if (issuer.find("audience") != nullptr) return issuer.at("any_audience", "stands against `audience`; keep one of them");
    out.claims.audiences.clear();
    warnings.push_back("ANY AUDIENCE: tokens that this issuer made for other services are accepted here (" + issuer.path() +
                       ".any_audience)");
    return std::nullopt;
  }
  if (out.claims.audiences.empty()) {
    return issuer.at("audience", "is missing; without it a token made for another service would pass");
  }
  if (preset != nullptr && preset->audience_claim != "aud") {
    const std::string claim(preset->audience_claim);
    if (out.claims.audiences.size() != 1) return issuer.at("audience", "must be one string: this provider puts it into " + claim);
    out.claims.required.emplace_back(claim, out.claims.audiences.front());
    out.claims.audiences.clear();
    out.claims.audience_absent = true;
  }
  if (preset != nullptr && !preset->audience_refused.empty()) {
    for (const std::string& audience : out.claims.audiences) {
      if (audience == preset->audience_refused) {
        return issuer.at("audience", "is in every token of this provider; name a client, or one that an audience mapper adds");
      }
    }
  }
  return std::nullopt;
}

Fault parse_required_claims(const Object& issuer, IssuerSettings& out) {
  const json::Value* require = issuer.find("require");
  if (require == nullptr) return std::nullopt;
  if (!require->is_object()) return issuer.at("require", "must be an object of claim names and string values");
  for (const json::Member& member : require->members()) {
    if (!member.second.is_string() || member.second.as_string().empty()) {
      return issuer.at("require", "values must be non-empty strings");
    }
    std::erase_if(out.claims.required, [&](const auto& pair) { return pair.first == member.first; });
    out.claims.required.emplace_back(member.first, member.second.as_string());
  }
  return std::nullopt;
}

Fault parse_issuer(const Object& issuer, const Environment& environment, IssuerSettings& out,
                   std::vector<std::string>& warnings) {
  if (auto fault = issuer.unknown_keys({"preset", "url", "issuer", "audience", "any_audience", "jwks_uri", "jwks_origins", "keys",
                                        "symmetric_keys", "algorithms", "types", "type_required", "require", "identity_claim",
                                        "identity_prefix", "leeway_seconds", "max_age_seconds", "stale_seconds_max"})) {
    return fault;
  }
  const Preset* preset = nullptr;
  if (auto fault = apply_preset(issuer, preset, out)) return fault;
  if (auto fault = issuer.read_string("issuer", out.claims.issuer)) return fault;
  if (out.claims.issuer.empty()) return issuer.at("issuer", "is missing; write the exact `iss` of the tokens");

  if (auto fault = read_audience(issuer, preset, out, warnings)) return fault;

  if (auto fault = parse_static_keys(issuer, out)) return fault;
  if (auto fault = parse_symmetric_keys(issuer, environment, out)) return fault;
  if (auto fault = issuer.read_string("jwks_uri", out.keys.jwks_uri)) return fault;
  if (auto fault = issuer.read_strings("jwks_origins", out.keys.jwks_origins)) return fault;
  out.fetches_keys = preset != nullptr || issuer.find("jwks_uri") != nullptr || out.static_keys.empty();
  if (out.fetches_keys) {
    const bool discovers = out.keys.jwks_uri.empty();
    const std::string& url = discovers ? out.claims.issuer : out.keys.jwks_uri;
    if (auto fault = check_secure_url(issuer, discovers ? "issuer" : "jwks_uri", url)) return fault;
  }
  out.keys.issuer = out.claims.issuer;

  std::vector<std::string> names;
  if (auto fault = issuer.read_strings("algorithms", names)) return fault;
  if (!names.empty()) out.algorithms.clear();
  for (const std::string& name : names) {
    const Jwa* alg = find_jwa(name);
    if (alg == nullptr) return issuer.at("algorithms", printable_name(name) + " is not a supported signature algorithm");
    if (alg->scheme == Scheme::hmac) {
      return issuer.at("algorithms",
                       printable_name(name) + " is symmetric; name the secret under `symmetric_keys`, which allows its alg");
    }
    out.algorithms.push_back(alg);
  }
  if (names.empty() && out.algorithms.empty() && (out.fetches_keys || issuer.find("keys") != nullptr)) {
    for (const std::string_view name :
         {"ES256", "RS256", "PS256", "ES384", "RS384", "PS384", "ES512", "RS512", "PS512", "EdDSA", "Ed25519"}) {
      if (const Jwa* alg = find_jwa(name)) out.algorithms.push_back(alg);
    }
  }
  for (const Jwk& key : out.static_keys) {
    const bool listed = std::find(out.algorithms.begin(), out.algorithms.end(), key.alg) != out.algorithms.end();
    if (key.alg != nullptr && key.alg->scheme == Scheme::hmac && !listed) out.algorithms.push_back(key.alg);
  }

  if (auto fault = issuer.read_strings("types", out.claims.types)) return fault;
  if (auto fault = issuer.read_boolean("type_required", out.claims.type_required)) return fault;
  if (auto fault = parse_required_claims(issuer, out)) return fault;
  if (auto fault = issuer.read_string("identity_claim", out.claims.identity_claim)) return fault;
  if (auto fault = issuer.read_string("identity_prefix", out.identity_prefix)) return fault;
  if (out.identity_prefix.size() > identity_prefix_bytes_max) return issuer.at("identity_prefix", "must have at most 64 bytes");
  // 300 s: more than that is not clock skew but a longer token life.
  if (auto fault = issuer.read_integer("leeway_seconds", 0, 300, out.claims.leeway_seconds)) return fault;
  if (auto fault = issuer.read_integer("max_age_seconds", 30, 86'400, out.keys.max_age_seconds)) return fault;
  if (auto fault = issuer.read_integer("stale_seconds_max", 0, 86'400, out.keys.stale_seconds_max)) return fault;
  return std::nullopt;
}

Fault parse_issuers(const Object& top, const Environment& environment, Settings& out) {
  const json::Value* list = top.find("issuers");
  if (list == nullptr || !list->is_array() || list->items().empty()) {
    return top.at("issuers", "must be a non-empty list, e.g. [{\"issuer\": \"https://...\", \"audience\": \"...\"}]");
  }
  for (std::size_t i = 0; i < list->items().size(); ++i) {
    const std::string path = "issuers[" + std::to_string(i) + "]";
    const json::Value& item = list->items()[i];
    if (!item.is_object()) return json::ParseFault{item.offset(), path + ": must be an object"};
    IssuerSettings issuer;
    const Object object(item, path);
    if (auto fault = parse_issuer(object, environment, issuer, out.warnings)) return fault;
    for (const IssuerSettings& other : out.issuers) {
      if (other.claims.issuer == issuer.claims.issuer) return object.at("issuer", "is configured twice");
    }
    out.issuers.push_back(std::move(issuer));
  }
  bool shared = false;
  if (auto fault = top.read_boolean("shared_identities", shared)) return fault;
  if (shared || out.issuers.size() < 2) return std::nullopt;
  // Invariant one-identity-space: the same `sub` from two issuers must not be one person by accident. A prefix that
  // begins another would let "a" + "bc" meet "ab" + "c".
  for (std::size_t i = 0; i < out.issuers.size(); ++i) {
    for (std::size_t j = 0; j < out.issuers.size(); ++j) {
      if (i == j || !out.issuers[j].identity_prefix.starts_with(out.issuers[i].identity_prefix)) continue;
      return json::ParseFault{
          list->items()[i].offset(),
          "issuers[" + std::to_string(i) +
              "].identity_prefix: with several issuers each needs a prefix that no other begins with; or write "
              "\"shared_identities\": true if the same identity means the same person everywhere"};
    }
  }
  return std::nullopt;
}

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
  if (auto fault = limits.unknown_keys({"body_bytes_max", "reply_bytes_max", "upstream_time_limit_ms"})) return fault;
  if (auto fault = limits.read_integer("body_bytes_max", 1024, 256 * mebibyte, out.limits.body_bytes_max)) return fault;
  if (auto fault = limits.read_integer("reply_bytes_max", 1024, 256 * mebibyte, out.limits.reply_bytes_max)) return fault;
  return limits.read_integer("upstream_time_limit_ms", 100, 3'600'000, out.limits.upstream_time_limit_ms);
}

Fault parse_top(const Object& top, const Environment& environment, Settings& out) {
  if (auto fault = top.unknown_keys({"$schema", "issuers", "shared_identities", "upstream", "policy", "limits"})) return fault;
  if (auto fault = parse_issuers(top, environment, out)) return fault;
  if (auto fault = parse_upstream(top, environment, out)) return fault;
  if (auto fault = parse_limits(top, out)) return fault;
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
