#include "credential_settings.h"

#include <algorithm>
#include <string_view>

#include "base64url.h"
#include "claims.h"

namespace postern {
namespace {

// Whose users a source's identities are, for the check of invariant one-identity-space.
struct IdentitySpace {
  std::string path;  // of the source in the configuration
  std::size_t offset = 0;
  std::string prefix;
};

bool all_of(std::string_view text, bool (*allowed)(char)) {
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), allowed);
}

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_id_char(char c) { return is_lower_or_digit(c) || c == '-'; }
bool is_field_char(char c) { return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '_'; }
// RFC 9110 section 5.6.2, of a cookie's name (RFC 6265 section 4.1.1) the common part
bool is_cookie_name_char(char c) { return is_field_char(c) || c == '-' || c == '.'; }

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

// A literal that somebody would not want to find in a repository: a name that says so, a well-known beginning, or a long
// run without a space that mixes letters and digits.
bool looks_secret(std::string_view name, std::string_view value) {
  std::string lower(name);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  for (const std::string_view word : {"token", "secret", "password", "passwd", "credential", "apikey", "api_key", "private"}) {
    if (lower.find(word) != std::string::npos) return true;
  }
  if (lower == "key" || lower.ends_with("_key")) return true;
  for (const std::string_view beginning : {"ghp_", "gho_", "github_pat_", "glpat-", "sk-", "sk_", "pk_", "xox", "eyJ", "AKIA",
                                           "lsv2_", "-----BEGIN", "Bearer ", "Basic "}) {
    if (value.starts_with(beginning)) return true;
  }
  if (value.size() < 20 || value.find(' ') != std::string_view::npos) return false;
  const auto has = [&](char low, char high) {
    return std::any_of(value.begin(), value.end(), [=](char c) { return c >= low && c <= high; });
  };
  return has('0', '9') && (has('a', 'z') || has('A', 'Z'));
}

// A custom field of a user in the configuration: "$NAME" is a secret, anything else stands there for all to read.
Fault parse_field(const Object& fields, const json::Member& field, const Environment& environment, User& user,
                  json::Value& open) {
  const std::string& name = field.first;
  if (!all_of(name, is_field_char)) return fields.at(name, "a field's name has letters, digits and _, 64 at most");
  if (name == "identity" || name == "display_name" || name == "permissions" || name == "is_authenticated") {
    return fields.at(name, "is LangGraph's own; write it beside `fields`");
  }
  const json::Value* value = &field.second;
  bool said_public = false;
  if (value->is_object()) {
    const Object object(*value, fields.path_of(name));
    if (auto fault = object.unknown_keys({"public"})) return fault;
    value = object.find("public");
    if (value == nullptr) return fields.at(name, "must be \"$NAME\", a plain value, or {\"public\": value}");
    said_public = true;
  }
  if (!value->is_string() && !value->is_number() && !value->is_boolean()) {
    return fields.at(name, "must be a string, a number, true or false");
  }
  const std::string& text = value->as_string();
  if (value->is_string() && text.starts_with('$') && !said_public) {
    std::string secret = text;
    if (auto fault = resolve_secret(fields, name, environment, secret)) return fault;
    user.secret_fields.emplace_back(name, std::move(secret));
    return std::nullopt;
  }
  if (value->is_string() && !said_public && looks_secret(name, text)) {
    return fields.at(
        name,
        "looks like a secret; write \"$NAME\" and put it into the environment, or {\"public\": …} if everybody may read it");
  }
  open.set(name, *value);
  return std::nullopt;
}

Fault parse_known_user(const Object& row, const Environment& environment, std::string_view prefix, KnownUser& out) {
  std::string digest;
  if (auto fault = row.read_string("sha256", digest)) return fault;
  const auto bytes = parse_digest(digest);
  if (!bytes) {
    return row.at("sha256",
                  "must be the SHA-256 of the token, 64 hexadecimal digits or 43 characters of base64url; "
                  "`postern hash-token` makes it");
  }
  out.digest = *bytes;

  std::string identity = out.key_id;
  if (auto fault = row.read_string("identity", identity)) return fault;
  if (identity.empty()) return row.at("identity", "is missing; write who shows this token");
  if (!is_identity(identity)) {
    return row.at("identity", "must have at most 256 bytes and no control character");
  }
  out.user.identity = std::string(prefix) + identity;
  out.user.display_name = identity;
  if (auto fault = row.read_string("display_name", out.user.display_name)) return fault;
  if (row.find("permissions") != nullptr && row.find("permissions")->is_array() && row.find("permissions")->items().empty()) {
    // None: said, not forgotten.
  } else if (auto fault = row.read_strings("permissions", out.user.permissions)) {
    return fault;
  }
  out.user.claims_json = "{}";
  out.user.credential.subject = identity;
  out.user.credential.api_key = out.key_id;

  const json::Value* list = row.find("fields");
  if (list == nullptr) return std::nullopt;
  if (!list->is_object()) return row.at("fields", "must be an object of the user's own fields");
  const Object fields(*list, row.path_of("fields"));
  json::Value open = json::Value::object();
  for (const json::Member& field : list->members()) {
    if (auto fault = parse_field(fields, field, environment, out.user, open)) return fault;
  }
  out.user.fields_json = json::write(open);
  return std::nullopt;
}

// The rows of `tokens` or `keys`.
template <typename ReadRow>
Fault parse_rows(const Object& source, std::string_view member, std::vector<KnownUser>& out, ReadRow read_row) {
  const json::Value* list = source.find(member);
  if (list == nullptr || !list->is_array() || list->items().empty()) return source.at(member, "must be a non-empty list");
  if (list->items().size() > known_users_max)
    return source.at(member, "holds more than 1000; users in such numbers need an issuer");
  for (std::size_t i = 0; i < list->items().size(); ++i) {
    const std::string path = source.path_of(member) + "[" + std::to_string(i) + "]";
    const json::Value& item = list->items()[i];
    if (!item.is_object()) return json::ParseFault{item.offset(), path + ": must be an object"};
    const Object row(item, path);
    KnownUser user;
    if (auto fault = read_row(row, user)) return fault;
    for (const KnownUser& other : out) {
      if (other.digest == user.digest) return row.at("sha256", "is there twice; each token is one user");
      if (!user.key_id.empty() && other.key_id == user.key_id) return row.at("id", "is there twice; each key has its own id");
    }
    out.push_back(std::move(user));
  }
  return std::nullopt;
}

Fault parse_static_tokens(const Object& source, const Environment& environment, std::string_view prefix, CredentialSource& out) {
  if (auto fault = source.unknown_keys({"kind", "identity_prefix", "tokens"})) return fault;
  StaticTokens tokens;
  auto fault = parse_rows(source, "tokens", tokens.users, [&](const Object& row, KnownUser& user) -> Fault {
    if (auto unknown = row.unknown_keys({"sha256", "identity", "display_name", "permissions", "fields"})) return unknown;
    return parse_known_user(row, environment, prefix, user);
  });
  out = std::move(tokens);
  return fault;
}

Fault parse_api_keys(const Object& source, const Environment& environment, std::string_view prefix, CredentialSource& out) {
  if (auto fault = source.unknown_keys({"kind", "identity_prefix", "header", "prefix", "studio", "keys"})) return fault;
  ApiKeys keys;
  if (auto fault = source.read_string("header", keys.header)) return fault;
  for (char& c : keys.header) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (!all_of(keys.header, is_id_char)) return source.at("header", "must be a header's name, such as x-api-key");
  for (const std::string_view taken : {"authorization", "cookie", "host", "origin", "accept", "user-agent", "last-event-id",
                                       "content-type", "content-length", "connection", "transfer-encoding"}) {
    if (keys.header == taken) return source.at("header", "has another meaning in HTTP; use a name such as x-api-key");
  }
  if (auto fault = source.read_boolean("studio", keys.studio)) return fault;
  if (auto fault = source.read_string("prefix", keys.prefix)) return fault;
  if (!all_of(keys.prefix, is_lower_or_digit) || keys.prefix.size() > 16) {
    return source.at("prefix", "has small letters and digits, 16 at most");
  }
  auto fault = parse_rows(source, "keys", keys.users, [&](const Object& row, KnownUser& user) -> Fault {
    if (auto unknown = row.unknown_keys({"id", "sha256", "identity", "display_name", "permissions", "fields"})) return unknown;
    if (auto wrong = row.read_string("id", user.key_id)) return wrong;
    if (!all_of(user.key_id, is_id_char)) {
      return row.at("id", "must be the key's public part: small letters, digits and -, 64 at most");
    }
    return parse_known_user(row, environment, prefix, user);
  });
  out = std::move(keys);
  return fault;
}

// What both kinds of online check have.
Fault parse_check_rules(const Object& source, OnlineCheckSettings& out) {
  if (auto fault = source.read_string("identity_claim", out.identity_claim)) return fault;
  if (auto fault = parse_user_mapping(source, out.identity_claim, out.mapping)) return fault;
  // An hour: a user who was banned stays in for as long.
  if (auto fault = source.read_integer("cache_seconds", 1, 3600, out.cache_seconds)) return fault;
  if (auto fault = source.read_integer("negative_cache_seconds", 1, 300, out.negative_cache_seconds)) return fault;
  return source.read_integer("time_limit_ms", 100, 60'000, out.time_limit_ms);
}

Fault parse_supabase(const Object& source, const Environment& environment, OnlineCheckSettings& out) {
  if (auto fault = source.unknown_keys({"kind", "identity_prefix", "url", "apikey", "identity_claim", "display_name_claim",
                                        "permission_claims", "fields", "user_writable_claims_allowed", "cache_seconds",
                                        "negative_cache_seconds", "time_limit_ms"})) {
    return fault;
  }
  out.kind = OnlineCheckSettings::Kind::supabase;
  std::string url;
  if (auto fault = source.read_string("url", url)) return fault;
  if (url.empty()) return source.at("url", "is missing, e.g. \"https://PROJECT.supabase.co\"");
  if (auto fault = check_secure_url(source, "url", url)) return fault;
  url = without_trailing_slash(url);
  out.url = url + "/auth/v1/user";
  out.issuer = url + "/auth/v1";
  if (auto fault = source.read_string("apikey", out.apikey)) return fault;
  if (out.apikey.empty()) {
    return source.at("apikey", "is missing; Supabase wants the project's anon key with every call: \"$SUPABASE_ANON_KEY\"");
  }
  if (auto fault = resolve_secret(source, "apikey", environment, out.apikey)) return fault;
  if (has_control(out.apikey)) return source.at("apikey", "has a control character");
  // The reply is GoTrue's user object, not a claim set: `id` is the token's `sub`.
  out.identity_claim = "id";
  out.mapping.display_name_claim = "email";
  out.mapping.permission_claims.clear();
  out.mapping.fields = {{"email", "email"}};
  return parse_check_rules(source, out);
}

Fault parse_introspection(const Object& source, const Environment& environment, OnlineCheckSettings& out,
                          std::vector<std::string>& warnings) {
  if (auto fault =
          source.unknown_keys({"kind", "identity_prefix", "url", "client_id", "client_secret", "issuer", "audience",
                               "any_audience", "identity_claim", "display_name_claim", "permission_claims", "fields",
                               "user_writable_claims_allowed", "cache_seconds", "negative_cache_seconds", "time_limit_ms"})) {
    return fault;
  }
  out.kind = OnlineCheckSettings::Kind::introspection;
  if (auto fault = source.read_string("url", out.url)) return fault;
  if (out.url.empty()) return source.at("url", "is missing; write the authority's introspection endpoint (RFC 7662)");
  if (auto fault = check_secure_url(source, "url", out.url)) return fault;
  if (auto fault = source.read_string("client_id", out.client_id)) return fault;
  if (auto fault = source.read_string("client_secret", out.client_secret)) return fault;
  if (out.client_id.empty()) {
    return source.at("client_id", "is missing; the authority answers only to those it knows (RFC 7662 section 2.1)");
  }
  if (out.client_secret.empty()) return source.at("client_secret", "is missing; write \"$NAME\" to take it from the environment");
  if (auto fault = resolve_secret(source, "client_secret", environment, out.client_secret)) return fault;
  if (auto fault = source.read_string("issuer", out.issuer)) return fault;
  bool any_audience = false;
  if (auto fault = source.read_strings("audience", out.audiences)) return fault;
  if (auto fault = source.read_boolean("any_audience", any_audience)) return fault;
  if (any_audience && !out.audiences.empty()) return source.at("any_audience", "stands against `audience`; keep one of them");
  if (!any_audience && out.audiences.empty()) {
    return source.at("audience",
                     "is missing; without it a token made for another service would pass; or write \"any_audience\": true");
  }
  if (any_audience) {
    warnings.push_back("ANY AUDIENCE: tokens made for other services are accepted here (" + source.path() + ".any_audience)");
  }
  return parse_check_rules(source, out);
}

Fault parse_source(const Object& source, const Environment& environment, std::string_view kind, std::string_view prefix,
                   CredentialSource& out, std::vector<std::string>& warnings) {
  if (kind == "static_tokens") return parse_static_tokens(source, environment, prefix, out);
  if (kind == "api_keys") return parse_api_keys(source, environment, prefix, out);
  if (kind == "supabase" || kind == "introspection") {
    OnlineCheckSettings check;
    check.identity_prefix = prefix;
    auto fault = kind == "supabase" ? parse_supabase(source, environment, check)
                                    : parse_introspection(source, environment, check, warnings);
    out = std::move(check);
    return fault;
  }
  return source.at("kind", "must be jwt, static_tokens, api_keys, supabase, introspection or handler");
}

Fault parse_cookie(const Object& top, CredentialSettings& out) {
  const json::Value* member = top.find("cookie");
  if (member == nullptr) return std::nullopt;
  if (!member->is_object()) return top.at("cookie", "must be an object with name and origins");
  const Object cookie(*member, "cookie");
  if (auto fault = cookie.unknown_keys({"name", "origins"})) return fault;
  CookieSettings settings;
  if (auto fault = cookie.read_string("name", settings.name)) return fault;
  if (!all_of(settings.name, is_cookie_name_char)) return cookie.at("name", "must be the cookie's name");
  if (auto fault = cookie.read_strings("origins", settings.origins)) return fault;
  if (settings.origins.empty()) {
    return cookie.at("origins", "is missing; name the pages that may act for the user, e.g. [\"https://app.example\"]");
  }
  for (const std::string& origin : settings.origins) {
    const auto url = parse_url(origin);
    if (!url || !url->rest.empty()) return cookie.at("origins", "must be origins such as https://app.example, without a path");
  }
  out.cookie = std::move(settings);
  return std::nullopt;
}

// Invariant one-identity-space: the same name from two sources must not be one person by accident. A prefix that begins
// another would let "a" + "bc" meet "ab" + "c".
Fault check_identity_spaces(const std::vector<IdentitySpace>& spaces) {
  for (const IdentitySpace& one : spaces) {
    for (const IdentitySpace& other : spaces) {
      if (&one == &other || !other.prefix.starts_with(one.prefix)) continue;
      return json::ParseFault{one.offset,
                              one.path +
                                  ".identity_prefix: with several sources of identities each needs a prefix that no "
                                  "other begins with; or write \"shared_identities\": true if the same identity means "
                                  "the same person everywhere"};
    }
  }
  return std::nullopt;
}

}  // namespace

std::optional<Digest256> parse_digest(std::string_view text) {
  std::string bytes;
  if (text.size() == 64) {
    for (std::size_t i = 0; i < text.size(); i += 2) {
      unsigned value = 0;
      for (const char c : text.substr(i, 2)) {
        if (c >= '0' && c <= '9') {
          value = value * 16 + static_cast<unsigned>(c - '0');
        } else if (c >= 'a' && c <= 'f') {
          value = value * 16 + static_cast<unsigned>(c - 'a') + 10;
        } else {
          return std::nullopt;
        }
      }
      bytes.push_back(static_cast<char>(value));
    }
  } else if (text.size() == 43) {
    auto decoded = base64url::decode(text);
    if (!decoded) return std::nullopt;
    bytes = std::move(*decoded);
  }
  Digest256 digest{};
  if (bytes.size() != digest.size()) return std::nullopt;
  std::transform(bytes.begin(), bytes.end(), digest.begin(), [](char c) { return static_cast<std::uint8_t>(c); });
  return digest;
}

Fault parse_credentials(const Object& top, const Environment& environment, HostHandlers handlers,
                        std::vector<IssuerSettings>& issuers, CredentialSettings& out, std::vector<std::string>& warnings) {
  const json::Value* list = top.find("credentials");
  if (list == nullptr && handlers.authenticate) {
    if (top.find("issuers") != nullptr) {
      return top.at("issuers",
                    "stand beside an authenticate handler; say which is tried first: \"credentials\": [{\"kind\": \"jwt\"}, "
                    "{\"kind\": \"handler\"}]");
    }
    out.chain = {HandlerSource{}};
    return parse_cookie(top, out);
  }
  if (list == nullptr || top.find("issuers") != nullptr) {
    if (auto fault = parse_issuers(top, environment, issuers, warnings)) return fault;
  }
  std::vector<IdentitySpace> spaces;
  for (std::size_t i = 0; i < issuers.size(); ++i) {
    spaces.push_back(
        {"issuers[" + std::to_string(i) + "]", top.find("issuers")->items()[i].offset(), issuers[i].identity_prefix});
  }
  if (list != nullptr) {
    if (!list->is_array() || list->items().empty()) {
      return top.at("credentials", "must be a non-empty list, e.g. [{\"kind\": \"jwt\"}]; the first that applies decides");
    }
    out.chain.clear();
    bool has_jwt = false;
    bool has_handler = false;
    for (std::size_t i = 0; i < list->items().size(); ++i) {
      const std::string path = "credentials[" + std::to_string(i) + "]";
      const json::Value& item = list->items()[i];
      if (!item.is_object()) return json::ParseFault{item.offset(), path + ": must be an object with a kind"};
      const Object source(item, path);
      std::string kind;
      if (auto fault = source.read_string("kind", kind)) return fault;
      if (kind == "jwt") {
        if (auto fault = source.unknown_keys({"kind"})) return fault;
        if (issuers.empty()) return source.at("kind", "needs `issuers`: whose tokens are believed");
        if (has_jwt) return source.at("kind", "is there twice; all `issuers` are one source");
        has_jwt = true;
        out.chain.emplace_back(JwtSource{});
        continue;
      }
      std::string prefix;
      if (auto fault = source.read_string("identity_prefix", prefix)) return fault;
      if (prefix.size() > identity_prefix_bytes_max || has_control(prefix)) {
        return source.at("identity_prefix", "must have at most 64 bytes and no control character");
      }
      if (kind == "handler") {
        if (auto fault = source.unknown_keys({"kind", "identity_prefix"})) return fault;
        if (!handlers.authenticate) {
          return source.at("kind",
                           "needs a program that brings the function, as Gate.create({ authenticate }) does; none is here");
        }
        if (i + 1 != list->items().size()) return source.at("kind", "must come last: a handler decides about every request");
        has_handler = true;
        out.chain.emplace_back(HandlerSource{prefix});
        spaces.push_back({path, item.offset(), std::move(prefix)});
        continue;
      }
      CredentialSource parsed;
      if (auto fault = parse_source(source, environment, kind, prefix, parsed, warnings)) return fault;
      if (const auto* keys = std::get_if<ApiKeys>(&parsed)) {
        out.studio = out.studio || keys->studio;
        for (const CredentialSource& other : out.chain) {
          const auto* others = std::get_if<ApiKeys>(&other);
          if (others != nullptr && others->header == keys->header) return source.at("header", "is another source's already");
        }
      }
      out.chain.push_back(std::move(parsed));
      spaces.push_back({path, item.offset(), std::move(prefix)});
    }
    if (handlers.authenticate && !has_handler) {
      return top.at("credentials", "leaves the program's authenticate handler out; add {\"kind\": \"handler\"} at the end");
    }
    if (!issuers.empty() && !has_jwt) {
      return top.at("credentials",
                    "leaves `issuers` out; add {\"kind\": \"jwt\"} where their tokens are to be tried, or remove `issuers`");
    }
  }
  if (auto fault = parse_cookie(top, out)) return fault;
  bool shared = false;
  if (auto fault = top.read_boolean("shared_identities", shared)) return fault;
  return shared ? std::nullopt : check_identity_spaces(spaces);
}

}  // namespace postern
