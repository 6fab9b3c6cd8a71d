// JWK Set text to keys, RFC 7517; and from a token's header to exactly one of them.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "crypto.h"
#include "jwa.h"
#include "postern/error.h"
#include "postern/result.h"

namespace postern {

// 64 keys: the largest public sets seen have about 20; each costs an import.
inline constexpr std::size_t jwk_set_keys_max = 64;
// 256 KiB: 64 RSA-8192 keys with certificates fit.
inline constexpr std::size_t jwk_set_bytes_max = 256 * 1024;
inline constexpr std::size_t kid_bytes_max = 256;

struct Jwk {
  std::string kid;           // "" when the key has none
  const Jwa* alg = nullptr;  // the key's own `alg`, when it has one
  crypto::Key key;
};

struct JwkFault {
  std::size_t index = 0;  // position in `keys`
  std::string what;       // names the member at fault, never its value
};

struct JwkSet {
  std::vector<Jwk> keys;
  std::vector<JwkFault> skipped;  // keys that are not for verification here (other kty, use: enc) or failed hygiene
};

// A set as an issuer publishes it. The whole set is refused when it is not strict JSON of the shape,
// over the limits, has a private or symmetric member (somebody published a secret), or two keys with the same kid
// and kind. A single unusable key is skipped and reported.
[[nodiscard]] Result<JwkSet, JwkFault> parse_jwk_set(std::string_view text);

// A symmetric key that the configuration names; `alg` is required there.
[[nodiscard]] Result<Jwk, JwkFault> make_symmetric_jwk(std::string_view kid, const Jwa& alg, std::string_view secret);

// Exactly one key: by kid and kind (and the key's own alg when it has one). Without a kid in the header,
// the only key of that kind. Errors: key_unknown, key_ambiguous, algorithm_not_allowed (kid found, alg does not fit).
[[nodiscard]] Result<const Jwk*> select_key(const std::vector<Jwk>& keys, std::string_view kid, const Jwa& alg);

}  // namespace postern
