#include "issuer_settings.h"

#include <algorithm>

#include "config_object.h"
#include "preset.h"

namespace postern {
namespace {

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
  if (auto fault = issuer.unknown_keys({"preset",
                                        "url",
                                        "issuer",
                                        "audience",
                                        "any_audience",
                                        "jwks_uri",
                                        "jwks_origins",
                                        "keys",
                                        "symmetric_keys",
                                        "algorithms",
                                        "types",
                                        "type_required",
                                        "require",
                                        "identity_claim",
                                        "identity_prefix",
                                        "display_name_claim",
                                        "permission_claims",
                                        "fields",
                                        "user_writable_claims_allowed",
                                        "leeway_seconds",
                                        "max_age_seconds",
                                        "stale_seconds_max"})) {
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
  if (auto fault = parse_user_mapping(issuer, out.claims.identity_claim, out.mapping)) return fault;
  if (auto fault = issuer.read_string("identity_prefix", out.identity_prefix)) return fault;
  if (out.identity_prefix.size() > identity_prefix_bytes_max) return issuer.at("identity_prefix", "must have at most 64 bytes");
  // 300 s: more than that is not clock skew but a longer token life.
  if (auto fault = issuer.read_integer("leeway_seconds", 0, 300, out.claims.leeway_seconds)) return fault;
  if (auto fault = issuer.read_integer("max_age_seconds", 30, 86'400, out.keys.max_age_seconds)) return fault;
  if (auto fault = issuer.read_integer("stale_seconds_max", 0, 86'400, out.keys.stale_seconds_max)) return fault;
  return std::nullopt;
}

bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

Fault parse_user_mapping(const Object& source, std::string_view identity_claim, UserMapping& out) {
  std::vector<std::string> allowed;
  if (auto fault = source.read_strings("user_writable_claims_allowed", allowed)) return fault;
  const auto refused = [&](std::string_view path) {
    const std::string_view claim = user_writable_claim(path);
    return !claim.empty() && std::find(allowed.begin(), allowed.end(), claim) == allowed.end();
  };
  constexpr std::string_view mend =
      "can be written by the users themselves; take a claim that the issuer writes, or if yours cannot be, name it in "
      "`user_writable_claims_allowed` beside this";
  if (refused(identity_claim)) return source.at("identity_claim", mend);

  if (auto fault = source.read_string("display_name_claim", out.display_name_claim)) return fault;
  if (refused(out.display_name_claim)) return source.at("display_name_claim", mend);
  if (auto fault = source.read_strings("permission_claims", out.permission_claims)) return fault;
  if (std::any_of(out.permission_claims.begin(), out.permission_claims.end(), refused)) {
    return source.at("permission_claims", mend);
  }
  const json::Value* list = source.find("fields");
  if (list == nullptr) return std::nullopt;
  if (!list->is_object()) return source.at("fields", "must be an object of the user's own fields and the claims they come from");
  const Object fields(*list, source.path_of("fields"));
  out.fields.clear();
  for (const json::Member& member : list->members()) {
    std::string path;
    if (auto fault = fields.read_string(member.first, path)) return fault;
    if (!is_field_name(member.first)) return source.at("fields", "names have letters, digits and _, 64 at most");
    for (const std::string_view own : {"identity", "display_name", "permissions", "is_authenticated"}) {
      if (member.first == own) return fields.at(member.first, "is LangGraph's own and has a key beside `fields`");
    }
    if (refused(path)) return fields.at(member.first, mend);
    out.fields.emplace_back(member.first, std::move(path));
  }
  return std::nullopt;
}

Fault parse_issuers(const Object& top, const Environment& environment, std::vector<IssuerSettings>& out,
                    std::vector<std::string>& warnings) {
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
    if (auto fault = parse_issuer(object, environment, issuer, warnings)) return fault;
    for (const IssuerSettings& other : out) {
      if (other.claims.issuer == issuer.claims.issuer) return object.at("issuer", "is configured twice");
    }
    out.push_back(std::move(issuer));
  }
  return std::nullopt;
}

}  // namespace postern
