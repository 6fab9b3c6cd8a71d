#include "credential_settings.h"

#include <algorithm>
#include <string_view>

#include "base64url.h"
#include "claims.h"
#include "reply.h"
#include "text.h"

namespace postern {
namespace {

// Whose users a source's identities are, for the check of invariant one-identity-space.
struct IdentitySpace {
  const char* list;  // of the configuration, and the source's place in it
  std::size_t index;
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

// A literal that somebody would not want to find in a repository: a name that says so, a well-known beginning, or a long
// run without a space that mixes letters and digits.
bool looks_secret(std::string_view name, std::string_view value) {
  const std::string lower = lower_case(name);
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
void parse_field(ConfigReader& field, User& user, json::Value& open) {
  constexpr const char* itself = ConfigReader::itself;
  const std::string name(field.name());
  if (!all_of(name, is_field_char)) field.fail(itself, "a field's name has letters, digits and _, 64 at most");
  if (find_word("identity display_name permissions is_authenticated", name)) {
    field.fail(itself, "is LangGraph's own; write it beside `fields`");
  }
  const json::Value* value = &field.value();
  const bool said_public = value->is_object();
  if (said_public) {
    value = field.find("public");
    if (value == nullptr) field.fail(itself, "must be \"$NAME\", a plain value, or {\"public\": value}");
    field.done();
    if (!field.good()) return;
  }
  if (!value->is_string() && !value->is_number() && !value->is_boolean()) {
    field.fail(itself, "must be a string, a number, true or false");
  }
  const std::string& text = value->as_string();
  if (!said_public && text.starts_with('$')) {
    std::string secret;
    field.secret(itself, secret);
    user.secret_fields.emplace_back(name, std::move(secret));
    return;
  }
  if (!said_public && value->is_string() && looks_secret(name, text)) {
    field.fail(
        itself,
        "looks like a secret; write \"$NAME\" and put it into the environment, or {\"public\": …} if everybody may read it");
  }
  open.set(name, *value);
}

void parse_known_user(ConfigReader& row, std::string_view prefix, KnownUser& out) {
  std::string digest;
  row.string("sha256", digest);
  const auto bytes = parse_digest(digest);
  if (!bytes) {
    row.fail("sha256",
             "must be the SHA-256 of the token, 64 hexadecimal digits or 43 characters of base64url; "
             "`postern hash-token` makes it");
  }
  out.digest = bytes.value_or(Digest256{});

  std::string identity = out.key_id;
  row.string("identity", identity, "is missing; write who shows this token");
  if (!is_identity(identity)) row.fail("identity", "must have at most 256 bytes and no control character");
  out.user.identity = std::string(prefix) + identity;
  out.user.display_name = identity;
  row.string("display_name", out.user.display_name);
  const json::Value* permissions = row.find("permissions");
  // An empty list: none, said, not forgotten.
  if (permissions != nullptr && !(permissions->is_array() && permissions->items().empty())) {
    row.strings("permissions", out.user.permissions);
  }
  out.user.claims_json = "{}";
  out.user.credential.subject = identity;
  out.user.credential.api_key = out.key_id;

  const ConfigReader fields(row, "fields", "must be an object of the user's own fields");
  json::Value open = json::Value::object();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    ConfigReader field(fields, i);
    parse_field(field, out.user, open);
  }
  if (fields) out.user.fields_json = json::write(open);
  row.done();
}

// The rows of `tokens` or `keys`; only the latter have an id.
void parse_rows(ConfigReader& source, const char* member, std::string_view prefix, bool with_id, std::vector<KnownUser>& out) {
  const std::size_t count = source.list(member, "must be a non-empty list", ConfigReader::Presence::required);
  if (count > known_users_max) source.fail(member, "holds more than 1000; users in such numbers need an issuer");
  source.done();
  for (std::size_t i = 0; i < count && source.good(); ++i) {
    ConfigReader row(source, member, i, "must be an object");
    KnownUser user;
    if (with_id) {
      row.string("id", user.key_id);
      if (!all_of(user.key_id, is_id_char)) {
        row.fail("id", "must be the key's public part: small letters, digits and -, 64 at most");
      }
    }
    parse_known_user(row, prefix, user);
    for (const KnownUser& other : out) {
      if (other.digest == user.digest) row.fail("sha256", "is there twice; each token is one user");
      if (with_id && other.key_id == user.key_id) row.fail("id", "is there twice; each key has its own id");
    }
    out.push_back(std::move(user));
  }
}

void parse_api_keys(ConfigReader& source, std::string_view prefix, ApiKeys& out) {
  source.string("header", out.header);
  out.header = lower_case(out.header);
  if (!all_of(out.header, is_id_char)) source.fail("header", "must be a header's name, such as x-api-key");
  if (find_word("authorization cookie host origin accept user-agent last-event-id content-type content-length connection "
                "transfer-encoding",
                out.header)) {
    source.fail("header", "has another meaning in HTTP; use a name such as x-api-key");
  }
  source.boolean("studio", out.studio);
  source.string("prefix", out.prefix);
  if (!all_of(out.prefix, is_lower_or_digit) || out.prefix.size() > 16) {
    source.fail("prefix", "has small letters and digits, 16 at most");
  }
  parse_rows(source, "keys", prefix, true, out.users);
}

// What both kinds of online check have.
void parse_check_rules(ConfigReader& source, OnlineCheckSettings& out) {
  source.string("identity_claim", out.identity_claim);
  parse_user_mapping(source, out.identity_claim, out.mapping);
  // An hour: a user who was banned stays in for as long.
  source.integer("cache_seconds", 1, 3600, out.cache_seconds);
  source.integer("negative_cache_seconds", 1, 300, out.negative_cache_seconds);
  source.integer("time_limit_ms", 100, 60'000, out.time_limit_ms);
  source.done();
}

void parse_supabase(ConfigReader& source, OnlineCheckSettings& out) {
  out.kind = OnlineCheckSettings::Kind::supabase;
  std::string url;
  source.secure_url("url", url, "is missing, e.g. \"https://PROJECT.supabase.co\"");
  url = without_trailing_slash(url);
  out.url = url + "/auth/v1/user";
  out.issuer = url + "/auth/v1";
  source.secret("apikey", out.apikey,
                "is missing; Supabase wants the project's anon key with every call: \"$SUPABASE_ANON_KEY\"");
  if (has_control(out.apikey)) source.fail("apikey", "has a control character");
  // The reply is GoTrue's user object, not a claim set: `id` is the token's `sub`.
  out.identity_claim = "id";
  out.mapping.display_name_claim = "email";
  out.mapping.permission_claims.clear();
  out.mapping.fields = {{"email", "email"}};
  parse_check_rules(source, out);
}

void parse_introspection(ConfigReader& source, OnlineCheckSettings& out) {
  out.kind = OnlineCheckSettings::Kind::introspection;
  source.secure_url("url", out.url, "is missing; write the authority's introspection endpoint (RFC 7662)");
  source.string("client_id", out.client_id, "is missing; the authority answers only to those it knows (RFC 7662 section 2.1)");
  source.secret("client_secret", out.client_secret, "is missing; write \"$NAME\" to take it from the environment");
  source.string("issuer", out.issuer);
  bool any_audience = false;
  source.strings("audience", out.audiences);
  source.boolean("any_audience", any_audience);
  if (any_audience && !out.audiences.empty()) {
    source.fail("any_audience", "stands against `audience`; keep one of them");
  } else if (any_audience) {
    source.context().warnings.push_back("ANY AUDIENCE: tokens made for other services are accepted here (" + source.path() +
                                        ".any_audience)");
  } else if (out.audiences.empty()) {
    source.fail("audience",
                "is missing; without it a token made for another service would pass; or write \"any_audience\": true");
  }
  parse_check_rules(source, out);
}

void parse_cookie(ConfigReader& top, CredentialSettings& out) {
  ConfigReader cookie(top, "cookie", "must be an object with name and origins");
  if (!cookie) return;
  CookieSettings& settings = out.cookie.emplace();
  cookie.string("name", settings.name);
  if (!all_of(settings.name, is_cookie_name_char)) cookie.fail("name", "must be the cookie's name");
  cookie.strings("origins", settings.origins,
                 "is missing; name the pages that may act for the user, e.g. [\"https://app.example\"]");
  for (const std::string& origin : settings.origins) {
    const auto url = parse_url(origin);
    if (!url || !url->rest.empty()) cookie.fail("origins", "must be origins such as https://app.example, without a path");
  }
  cookie.done();
}

// Invariant one-identity-space: the same name from two sources must not be one person by accident. A prefix that begins
// another would let "a" + "bc" meet "ab" + "c".
void check_identity_spaces(ConfigReader& top, const std::vector<IdentitySpace>& spaces) {
  for (const IdentitySpace& one : spaces) {
    for (const IdentitySpace& other : spaces) {
      if (&one == &other || !other.prefix.starts_with(one.prefix)) continue;
      ConfigReader(top, one.list, one.index, "")
          .fail("identity_prefix",
                "with several sources of identities each needs a prefix that no other begins with; or write "
                "\"shared_identities\": true if the same identity means the same person everywhere");
    }
  }
}

void parse_chain(ConfigReader& top, HostHandlers handlers, bool has_issuers, CredentialSettings& out,
                 std::vector<IdentitySpace>& spaces) {
  enum Kind : std::size_t { jwt, static_tokens, api_keys, supabase, introspection, handler };
  const std::size_t count =
      top.list("credentials", "must be a non-empty list, e.g. [{\"kind\": \"jwt\"}]; the first that applies decides");
  out.chain.clear();
  bool has_jwt = false;
  bool has_handler = false;
  for (std::size_t i = 0; i < count && top.good(); ++i) {
    ConfigReader source(top, "credentials", i, "must be an object with a kind");
    std::string name;
    source.string("kind", name);
    const auto kind = find_word("jwt static_tokens api_keys supabase introspection handler", name);
    if (!kind) return source.fail("kind", "must be jwt, static_tokens, api_keys, supabase, introspection or handler");
    if (*kind == jwt) {
      if (!has_issuers) source.fail("kind", "needs `issuers`: whose tokens are believed");
      if (has_jwt) source.fail("kind", "is there twice; all `issuers` are one source");
      source.done();
      has_jwt = true;
      out.chain.emplace_back(JwtSource{});
      continue;
    }
    std::string prefix;
    source.string("identity_prefix", prefix);
    if (prefix.size() > identity_prefix_bytes_max || has_control(prefix)) {
      source.fail("identity_prefix", "must have at most 64 bytes and no control character");
    }
    CredentialSource& parsed = out.chain.emplace_back();
    if (*kind == static_tokens) {
      parse_rows(source, "tokens", prefix, false, parsed.emplace<StaticTokens>().users);
    } else if (*kind == api_keys) {
      ApiKeys& keys = parsed.emplace<ApiKeys>();
      parse_api_keys(source, prefix, keys);
      out.studio = out.studio || keys.studio;
      for (const CredentialSource& other : out.chain) {
        const auto* others = std::get_if<ApiKeys>(&other);
        if (others != nullptr && others != &keys && others->header == keys.header) {
          source.fail("header", "is another source's already");
        }
      }
    } else if (*kind == handler) {
      if (!handlers.authenticate) {
        source.fail("kind", "needs a program that brings the function, as Gate.create({ authenticate }) does; none is here");
      }
      if (i + 1 != count) source.fail("kind", "must come last: a handler decides about every request");
      source.done();
      has_handler = true;
      parsed.emplace<HandlerSource>().identity_prefix = prefix;
    } else {
      OnlineCheckSettings& check = parsed.emplace<OnlineCheckSettings>();
      check.identity_prefix = prefix;
      if (*kind == supabase) {
        parse_supabase(source, check);
      } else {
        parse_introspection(source, check);
      }
    }
    spaces.push_back({"credentials", i, std::move(prefix)});
  }
  if (handlers.authenticate && !has_handler) {
    top.fail("credentials", "leaves the program's authenticate handler out; add {\"kind\": \"handler\"} at the end");
  }
  if (has_issuers && !has_jwt) {
    top.fail("credentials",
             "leaves `issuers` out; add {\"kind\": \"jwt\"} where their tokens are to be tried, or remove `issuers`");
  }
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

void parse_credentials(ConfigReader& top, HostHandlers handlers, std::vector<IssuerSettings>& issuers, CredentialSettings& out) {
  const bool listed = top.find("credentials") != nullptr;
  const bool has_issuers = top.find("issuers") != nullptr;
  top.ignore("shared_identities");
  if (!listed && handlers.authenticate) {
    if (has_issuers) {
      top.fail("issuers",
               "stand beside an authenticate handler; say which is tried first: \"credentials\": [{\"kind\": \"jwt\"}, "
               "{\"kind\": \"handler\"}]");
    }
    out.chain = {HandlerSource{}};
    return parse_cookie(top, out);
  }
  if (!listed || has_issuers) parse_issuers(top, issuers);
  std::vector<IdentitySpace> spaces;
  for (std::size_t i = 0; i < issuers.size(); ++i) spaces.push_back({"issuers", i, issuers[i].identity_prefix});
  if (listed) parse_chain(top, handlers, has_issuers, out, spaces);
  parse_cookie(top, out);
  bool shared = false;
  top.boolean("shared_identities", shared);
  if (!shared) check_identity_spaces(top, spaces);
}

}  // namespace postern
