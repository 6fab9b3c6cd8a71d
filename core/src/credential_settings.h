// The configuration's `credentials` -> the chain of sources: which ways to say who one is are open, and in which order
// they are tried. The first source that applies to a request decides.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config_reader.h"
#include "issuer_settings.h"
#include "postern/user.h"
#include "user.h"

namespace postern {

using Digest256 = std::array<std::uint8_t, 32>;

// A thousand rows are compared in some ten microseconds; who has more users has an issuer.
inline constexpr std::size_t known_users_max = 1000;

// A user that the configuration knows, and the SHA-256 of what they show.
struct KnownUser {
  Digest256 digest{};
  std::string key_id;  // an API key's public id; "" for a static token
  User user;
};

// Bearer tokens of the issuers; applies to tokens that one of them made.
struct JwtSource {};

// A table of bearer tokens; applies to the tokens in it.
struct StaticTokens {
  std::vector<KnownUser> users;
};

// PREFIX_ID_SECRET in a header of its own; applies where that header is sent.
struct ApiKeys {
  std::string header = "x-api-key";  // lower case
  std::string prefix = "pk";         // before the id; "" : keys are ID_SECRET
  bool studio = false;               // also, and then alone, for requests that say `x-auth-scheme: langsmith`
  std::vector<KnownUser> users;
};

// An authority is asked about each bearer token, and its answer kept for a while; applies to every bearer token.
struct OnlineCheckSettings {
  enum class Kind : std::uint8_t {
    supabase,       // GET URL/auth/v1/user with the token, as LangGraph's tutorial does
    introspection,  // RFC 7662
  };
  Kind kind = Kind::supabase;
  std::string url;        // what is asked; absolute
  std::string issuer;     // introspection: the exact `iss` of an answer, "" : not compared. Names the source in a denylist
  std::string apikey;     // supabase
  std::string client_id;  // introspection: this gate's own, RFC 7662 section 2.1
  std::string client_secret;
  std::vector<std::string> audiences;  // introspection: one must be in `aud`; empty only with any_audience
  std::string identity_claim = "sub";
  std::string identity_prefix;
  UserMapping mapping;
  std::int64_t cache_seconds = 60;           // a good answer serves so long, never past the token's own end
  std::int64_t negative_cache_seconds = 10;  // a bad one
  std::int64_t time_limit_ms = 5000;
};

// The host program's own function (HostHandlers::authenticate); applies to every request.
struct HandlerSource {
  std::string identity_prefix;
};

using CredentialSource = std::variant<JwtSource, StaticTokens, ApiKeys, OnlineCheckSettings, HandlerSource>;

// A bearer token that a browser sends by itself. Another site's page can make it do so: hence the origins.
struct CookieSettings {
  std::string name;
  std::vector<std::string> origins;  // exact, as in the Origin header
};

struct CredentialSettings {
  std::vector<CredentialSource> chain = {JwtSource{}};
  bool studio = false;  // one of them is for LangGraph Studio
  std::optional<CookieSettings> cookie;
};

// Reads `issuers`, `credentials`, `cookie` and `shared_identities`. Without `credentials` the chain is the issuers alone, or the
// host program's handler alone.
void parse_credentials(ConfigReader& top, HostHandlers handlers, std::vector<IssuerSettings>& issuers, CredentialSettings& out);

// SHA-256 as the configuration writes it: 64 hexadecimal digits or 43 characters of base64url.
[[nodiscard]] std::optional<Digest256> parse_digest(std::string_view text);

}  // namespace postern
