// Signed tokens for tests: fresh keys in each run, made and used by OpenSSL so that two libraries must agree.
//
// Test-only: nothing under core/ can sign.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace postern::testing {

struct SigningKey {
  std::string alg;  // every name of the Jwa table
  std::string kid;
  std::string secret;          // HS* only
  std::shared_ptr<void> pkey;  // EVP_PKEY; all others
};

// RSA keys have 2048 bits and the exponent 65537; secrets are as long as the hash.
[[nodiscard]] SigningKey make_key(std::string_view alg, std::string_view kid = "");
[[nodiscard]] SigningKey make_rsa_key(std::string_view alg, std::string_view kid, unsigned bits, unsigned long exponent);
[[nodiscard]] SigningKey make_symmetric_key(std::string_view alg, std::string_view kid, std::string_view secret);

// The signature over any bytes, as JWS wants it (ECDSA: r and s side by side).
[[nodiscard]] std::string sign_bytes(std::string_view input, const SigningKey& key);

// The compact serialization. The header is signed as it is given, whether its alg is the key's or not.
[[nodiscard]] std::string sign(std::string_view header_json, std::string_view payload_json, const SigningKey& key);

// {"alg":...,"kid":...} of this key, with more members after it: `more` is empty or starts with a comma.
[[nodiscard]] std::string header_for(const SigningKey& key, std::string_view more = "");

// The public half as a JWK with kid, alg and use; of HS* keys the JWK with its secret.
[[nodiscard]] std::string public_jwk(const SigningKey& key);

}  // namespace postern::testing
