// A provider's name -> what its documentation fixes about its tokens: issuer, JWKS address, algorithms, and
// what tells an access token for this service from the provider's other tokens.
#pragma once

#include <span>
#include <string_view>

namespace postern {

struct Preset {
  std::string_view name;
  std::string_view url_example;  // what `url` looks like, for errors
  std::string_view issuer_suffix;
  std::string_view jwks_suffix;       // after `url` without jwks_url_cut; or a whole URL
  std::string_view jwks_url_cut;      // an ending of `url` that is taken off before jwks_suffix
  std::string_view algorithms;        // space-separated Jwa names
  std::string_view audience;          // what the audience always is; "": the configuration must say
  std::string_view audience_claim;    // "aud", or where this provider says whom an access token is for
  std::string_view required;          // "claim=value", space-separated
  std::string_view required_any;      // one of these claims must be there, space-separated
  std::string_view only;              // "claim=value": where the claim is there it must say this
  std::string_view audience_refused;  // an audience that every token of the provider has
  bool id_tokens;                     // the provider's only JWTs are ID tokens
};

[[nodiscard]] const Preset* find_preset(std::string_view name);
[[nodiscard]] std::span<const Preset> presets();

}  // namespace postern
