#include "issuer_settings.h"

#include <algorithm>

#include "preset.h"

namespace postern {
namespace {

void parse_symmetric_keys(ConfigReader& issuer, IssuerSettings& out) {
  const std::size_t count = issuer.list("symmetric_keys", "must be a non-empty list");
  for (std::size_t i = 0; i < count; ++i) {
    ConfigReader key(issuer, "symmetric_keys", i, "must be an object with alg and secret");
    std::string alg_name;
    std::string secret;
    std::string kid;
    key.string("alg", alg_name);
    key.string("kid", kid);
    const Jwa* alg = find_jwa(alg_name);
    if (alg == nullptr || alg->scheme != Scheme::hmac) key.fail("alg", "must be HS256, HS384 or HS512");
    key.secret("secret", secret, "is missing; write \"$NAME\" to take it from the environment");
    key.done();
    if (!key.good()) return;
    auto jwk = make_symmetric_jwk(kid, *alg, secret);
    if (!jwk) return key.fail("secret", {jwk.error().what});
    out.static_keys.push_back(std::move(jwk).value());
  }
}

void parse_static_keys(ConfigReader& issuer, IssuerSettings& out) {
  const ConfigReader keys(issuer, "keys", "must be a JWK Set such as {\"keys\": [...]}");
  if (!keys) return;
  auto set = parse_jwk_set(json::write(keys.value()));
  const JwkFault* first = nullptr;
  if (!set) {
    first = &set.error();
  } else if (!set->skipped.empty()) {
    first = &set->skipped.front();
  }
  if (first != nullptr) return issuer.fail("keys", {"key ", std::to_string(first->index), ": ", first->what});
  if (set->keys.empty()) issuer.fail("keys", "holds no key");
  out.static_keys = std::move(set->keys);
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

// "claim=value", space-separated.
void add_pairs(std::string_view text, std::vector<std::pair<std::string, std::string>>& out) {
  for (const std::string_view pair : words(text)) {
    const std::size_t equals = pair.find('=');
    out.emplace_back(pair.substr(0, equals), pair.substr(equals + 1));
  }
}

void add_algorithms(std::string_view names, std::vector<const Jwa*>& out) {
  for (const std::string_view name : words(names)) {
    if (const Jwa* row = find_jwa(name)) out.push_back(row);
  }
}

// Presets fill in what the provider's documentation fixes; anything spelled out beside them wins. nullptr: there is none.
const Preset* apply_preset(ConfigReader& issuer, IssuerSettings& out) {
  std::string name;
  std::string url;
  issuer.string("preset", name);
  issuer.string("url", url);
  if (name.empty()) {
    if (!url.empty()) issuer.fail("url", "belongs to a preset; without one write \"issuer\"");
    return nullptr;
  }
  const Preset* preset = find_preset(name);
  if (preset == nullptr) {
    std::string known;
    for (const Preset& one : presets()) known.append(" ").append(one.name);
    issuer.fail("preset", {"unknown preset; known:", known});
    return nullptr;
  }
  const auto fail = [&](std::string_view what) {
    issuer.fail("url", {what, "; the preset needs one such as ", preset->url_example});
  };
  if (url.empty()) fail("is missing");
  issuer.check_secure_url("url", url);
  url = without_trailing_slash(url);
  for (const std::string_view shared : {"/common/", "/organizations/", "/consumers/"}) {
    if (name == "entra" && url.find(shared) != std::string::npos) fail("must name one tenant");
  }
  out.claims.issuer = url + std::string(preset->issuer_suffix);
  if (preset->jwks_suffix.starts_with("https://")) {
    out.keys.jwks_uri = preset->jwks_suffix;
  } else if (url.ends_with(preset->jwks_url_cut)) {
    url.resize(url.size() - preset->jwks_url_cut.size());
    out.keys.jwks_uri = url + std::string(preset->jwks_suffix);
  } else {
    fail("does not end as it should");
  }
  if (!preset->audience.empty()) out.claims.audiences.emplace_back(preset->audience);
  add_pairs(preset->required, out.claims.required);
  for (const std::string_view claim : words(preset->required_any)) out.claims.required_any.emplace_back(claim);
  add_pairs(preset->only, out.claims.only);
  add_algorithms(preset->algorithms, out.algorithms);
  out.claims.id_tokens = preset->id_tokens ? IdTokens::accept : IdTokens::refuse;
  return preset;
}

// Whom a token is for. Some providers say it in another claim than `aud` and leave `aud` out.
void read_audience(ConfigReader& issuer, const Preset* preset, IssuerSettings& out) {
  std::vector<std::string>& audiences = out.claims.audiences;
  issuer.strings("audience", audiences);
  issuer.boolean("any_audience", out.claims.any_audience);
  if (out.claims.any_audience) {
    if (issuer.find("audience") != nullptr) issuer.fail("any_audience", "stands against `audience`; keep one of them");
    audiences.clear();
    issuer.context().warnings.push_back("ANY AUDIENCE: tokens that this issuer made for other services are accepted here (" +
                                        issuer.path() + ".any_audience)");
    return;
  }
  if (audiences.empty()) issuer.fail("audience", "is missing; without it a token made for another service would pass");
  if (preset == nullptr) return;
  if (preset->audience_claim != "aud") {
    const std::string claim(preset->audience_claim);
    if (audiences.size() != 1) return issuer.fail("audience", {"must be one string: this provider puts it into ", claim});
    out.claims.required.emplace_back(claim, audiences.front());
    audiences.clear();
    out.claims.audience_absent = true;
  }
  if (!preset->audience_refused.empty() &&
      std::find(audiences.begin(), audiences.end(), preset->audience_refused) != audiences.end()) {
    issuer.fail("audience", "is in every token of this provider; name a client, or one that an audience mapper adds");
  }
}

void parse_required_claims(ConfigReader& issuer, IssuerSettings& out) {
  const ConfigReader require(issuer, "require", "must be an object of claim names and string values");
  for (std::size_t i = 0; i < require.size(); ++i) {
    const ConfigReader claim(require, i);
    const std::string& value = claim.value().as_string();
    if (value.empty()) issuer.fail("require", "values must be non-empty strings");
    std::erase_if(out.claims.required, [&](const auto& pair) { return pair.first == claim.name(); });
    out.claims.required.emplace_back(claim.name(), value);
  }
}

void parse_algorithms(ConfigReader& issuer, IssuerSettings& out) {
  std::vector<std::string> names;
  issuer.strings("algorithms", names);
  if (!names.empty()) out.algorithms.clear();
  for (const std::string& name : names) {
    const Jwa* alg = find_jwa(name);
    if (alg == nullptr) return issuer.fail("algorithms", {printable_name(name), " is not a supported signature algorithm"});
    if (alg->scheme == Scheme::hmac) {
      issuer.fail("algorithms",
                  {printable_name(name), " is symmetric; name the secret under `symmetric_keys`, which allows its alg"});
    }
    out.algorithms.push_back(alg);
  }
  if (out.algorithms.empty() && (out.fetches_keys || issuer.find("keys") != nullptr)) {
    add_algorithms("ES256 RS256 PS256 ES384 RS384 PS384 ES512 RS512 PS512 EdDSA Ed25519", out.algorithms);
  }
  for (const Jwk& key : out.static_keys) {
    const bool listed = std::find(out.algorithms.begin(), out.algorithms.end(), key.alg) != out.algorithms.end();
    if (key.alg != nullptr && key.alg->scheme == Scheme::hmac && !listed) out.algorithms.push_back(key.alg);
  }
}

void parse_issuer(ConfigReader& issuer, IssuerSettings& out) {
  const Preset* preset = apply_preset(issuer, out);
  issuer.string("issuer", out.claims.issuer, "is missing; write the exact `iss` of the tokens");
  read_audience(issuer, preset, out);

  parse_static_keys(issuer, out);
  parse_symmetric_keys(issuer, out);
  issuer.string("jwks_uri", out.keys.jwks_uri);
  issuer.strings("jwks_origins", out.keys.jwks_origins);
  out.fetches_keys = preset != nullptr || issuer.find("jwks_uri") != nullptr || out.static_keys.empty();
  if (out.fetches_keys) {
    const bool discovers = out.keys.jwks_uri.empty();
    issuer.check_secure_url(discovers ? "issuer" : "jwks_uri", discovers ? out.claims.issuer : out.keys.jwks_uri);
  }
  out.keys.issuer = out.claims.issuer;
  parse_algorithms(issuer, out);

  issuer.strings("types", out.claims.types);
  issuer.boolean("type_required", out.claims.type_required);
  parse_required_claims(issuer, out);
  issuer.string("identity_claim", out.claims.identity_claim);
  parse_user_mapping(issuer, out.claims.identity_claim, out.mapping);
  issuer.string("identity_prefix", out.identity_prefix);
  if (out.identity_prefix.size() > identity_prefix_bytes_max) issuer.fail("identity_prefix", "must have at most 64 bytes");
  // 300 s: more than that is not clock skew but a longer token life.
  issuer.integer("leeway_seconds", 0, 300, out.claims.leeway_seconds);
  issuer.integer("max_age_seconds", 30, 86'400, out.keys.max_age_seconds);
  issuer.integer("stale_seconds_max", 0, 86'400, out.keys.stale_seconds_max);
  issuer.done();
}

bool is_field_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

}  // namespace

void parse_user_mapping(ConfigReader& source, std::string_view identity_claim, UserMapping& out) {
  std::vector<std::string> allowed;
  source.strings("user_writable_claims_allowed", allowed);
  const auto check = [&](ConfigReader& reader, const char* key, std::string_view path) {
    const std::string_view claim = user_writable_claim(path);
    if (claim.empty() || std::find(allowed.begin(), allowed.end(), claim) != allowed.end()) return;
    reader.fail(key,
                "can be written by the users themselves; take a claim that the issuer writes, or if yours cannot be, name it in "
                "`user_writable_claims_allowed` beside this");
  };
  check(source, "identity_claim", identity_claim);
  source.string("display_name_claim", out.display_name_claim);
  check(source, "display_name_claim", out.display_name_claim);
  source.strings("permission_claims", out.permission_claims);
  for (const std::string& path : out.permission_claims) check(source, "permission_claims", path);

  const ConfigReader fields(source, "fields", "must be an object of the user's own fields and the claims they come from");
  if (fields) out.fields.clear();
  for (std::size_t i = 0; i < fields.size(); ++i) {
    ConfigReader field(fields, i);
    std::string path;
    field.string(ConfigReader::itself, path);
    if (!is_field_name(field.name())) source.fail("fields", "names have letters, digits and _, 64 at most");
    if (find_word("identity display_name permissions is_authenticated", field.name())) {
      field.fail(ConfigReader::itself, "is LangGraph's own and has a key beside `fields`");
    }
    check(field, ConfigReader::itself, path);
    out.fields.emplace_back(field.name(), std::move(path));
  }
}

void parse_issuers(ConfigReader& top, std::vector<IssuerSettings>& out) {
  const std::size_t count =
      top.list("issuers", "must be a non-empty list, e.g. [{\"issuer\": \"https://...\", \"audience\": \"...\"}]",
               ConfigReader::Presence::required);
  for (std::size_t i = 0; i < count; ++i) {
    ConfigReader reader(top, "issuers", i, "must be an object");
    IssuerSettings issuer;
    parse_issuer(reader, issuer);
    for (const IssuerSettings& other : out) {
      if (other.claims.issuer == issuer.claims.issuer) reader.fail("issuer", "is configured twice");
    }
    out.push_back(std::move(issuer));
  }
}

}  // namespace postern
