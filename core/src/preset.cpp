#include "preset.h"

#include <array>

namespace postern {
namespace {

constexpr std::array table = {
    // supabase.com/docs/guides/auth/jwt-fields, /signing-keys. The public anon key is itself a valid JWT of a project
    // with a legacy secret, without aud and sub and with role anon: they are what tells a login from it.
    Preset{.name = "supabase",
           .url_example = "https://PROJECT.supabase.co",
           .issuer_suffix = "/auth/v1",
           .jwks_suffix = "/auth/v1/.well-known/jwks.json",
           .jwks_url_cut = "",
           .algorithms = "ES256 RS256 EdDSA",
           .audience = "authenticated",
           .audience_claim = "aud",
           .required = "role=authenticated",
           .required_any = "",
           .only = "",
           .audience_refused = "",
           .id_tokens = false},
    // auth0.com/docs/secure/tokens/access-tokens/validate-access-tokens, /json-web-tokens/json-web-key-sets. The issuer
    // ends in a slash. audience: the API's identifier; an access token without one is opaque, an ID token has the client's.
    Preset{.name = "auth0",
           .url_example = "https://TENANT.auth0.com",
           .issuer_suffix = "/",
           .jwks_suffix = "/.well-known/jwks.json",
           .jwks_url_cut = "",
           .algorithms = "RS256 PS256",
           .audience = "",
           .audience_claim = "aud",
           .required = "",
           .required_any = "",
           .only = "",
           .audience_refused = "",
           .id_tokens = false},
    // developers.google.com/identity/openid-connect/openid-connect, "Validating an ID token". Google's access tokens are
    // opaque: what a client can send here is an ID token. audience: the OAuth client id.
    Preset{.name = "google",
           .url_example = "https://accounts.google.com",
           .issuer_suffix = "",
           .jwks_suffix = "https://www.googleapis.com/oauth2/v3/certs",
           .jwks_url_cut = "",
           .algorithms = "RS256",
           .audience = "",
           .audience_claim = "aud",
           .required = "",
           .required_any = "",
           .only = "",
           .audience_refused = "",
           .id_tokens = true},
    // docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html. An
    // access token has no aud: the app client is in client_id, and token_use tells it from an ID token.
    Preset{.name = "cognito",
           .url_example = "https://cognito-idp.REGION.amazonaws.com/POOL",
           .issuer_suffix = "",
           .jwks_suffix = "/.well-known/jwks.json",
           .jwks_url_cut = "",
           .algorithms = "RS256",
           .audience = "",
           .audience_claim = "client_id",
           .required = "token_use=access",
           .required_any = "",
           .only = "",
           .audience_refused = "",
           .id_tokens = false},
    // learn.microsoft.com/entra/identity-platform/access-tokens, /access-token-claims-reference. One tenant: "common" and
    // its like have no issuer of their own. audience: the API's application id; v2.0 tokens only. An
    // access token has scp (for a user) or roles (for an app that was given some); an ID token has neither.
    Preset{.name = "entra",
           .url_example = "https://login.microsoftonline.com/TENANT/v2.0",
           .issuer_suffix = "",
           .jwks_suffix = "/discovery/v2.0/keys",
           .jwks_url_cut = "/v2.0",
           .algorithms = "RS256",
           .audience = "",
           .audience_claim = "aud",
           .required = "ver=2.0",
           .required_any = "scp roles",
           .only = "",
           .audience_refused = "",
           .id_tokens = false},
    // developer.okta.com/docs/guides/validate-access-tokens: a custom authorization server; the org server's access tokens
    // are opaque to others.
    Preset{.name = "okta",
           .url_example = "https://ORG.okta.com/oauth2/default",
           .issuer_suffix = "",
           .jwks_suffix = "/v1/keys",
           .jwks_url_cut = "",
           .algorithms = "RS256",
           .audience = "",
           .audience_claim = "aud",
           .required = "",
           .required_any = "",
           .only = "",
           .audience_refused = "",
           .id_tokens = false},
    // www.keycloak.org/securing-apps/oidc-layers, "Certificate endpoint". The payload's own typ is Bearer for an access
    // token, ID and Refresh for the others. "account" is in every token of a realm.
    Preset{.name = "keycloak",
           .url_example = "https://HOST/realms/REALM",
           .issuer_suffix = "",
           .jwks_suffix = "/protocol/openid-connect/certs",
           .jwks_url_cut = "",
           .algorithms = "RS256 PS256 ES256 RS384 PS384 ES384 RS512 PS512 ES512 EdDSA",
           .audience = "",
           .audience_claim = "aud",
           .required = "typ=Bearer",
           .required_any = "",
           .only = "",
           .audience_refused = "account",
           .id_tokens = false},
    // clerk.com/docs/backend-requests/manual-jwt. Session tokens have no aud; azp is the origin they were made for. A
    // session that is not active yet still owes a step; tokens from templates for other services have aud and no sid.
    Preset{.name = "clerk",
           .url_example = "https://APP.clerk.accounts.dev",
           .issuer_suffix = "",
           .jwks_suffix = "/.well-known/jwks.json",
           .jwks_url_cut = "",
           .algorithms = "RS256",
           .audience = "",
           .audience_claim = "azp",
           .required = "",
           .required_any = "sid",
           .only = "sts=active",
           .audience_refused = "",
           .id_tokens = false},
};

}  // namespace

const Preset* find_preset(std::string_view name) {
  for (const Preset& preset : table) {
    if (preset.name == name) return &preset;
  }
  return nullptr;
}

std::span<const Preset> presets() { return table; }

}  // namespace postern
