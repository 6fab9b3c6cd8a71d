// Tokens, API keys and assertion keys: made from the system's randomness, or hashed as the configuration wants them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::native {

// SHA-256 as 64 hexadecimal digits: the `sha256` of a row.
[[nodiscard]] std::string hash_token(std::string_view token);

// 256 random bits in base64url, which is what a bearer token may hold (RFC 6750 section 2.1). `key_id`: as an API key,
// PREFIX_ID_SECRET. Nothing when the system gives no randomness.
[[nodiscard]] std::optional<std::string> make_token(std::string_view prefix = {}, std::string_view key_id = {});

// An ES256 key as a private JWK (for $POSTERN_ASSERTION_KEY), and its public half as a JWK Set (for the agent server).
struct AssertionKey {
  std::string private_jwk;
  std::string public_jwks;
};
[[nodiscard]] std::optional<AssertionKey> make_assertion_key();

}  // namespace postern::native
