// The gate's own signatures, RFC 7515: how an upstream tells the gate's word about a user from anybody else's.
//
// The core has no randomness: the nonce of ES256 is made from the key and the message (RFC 6979), which also rules out the
// way ECDSA keys are usually lost, a nonce that repeats.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "jwa.h"
#include "postern/result.h"

namespace postern {

class SigningKey {
 public:
  // `text`: for ES256 a private JWK (kty EC, crv P-256, x, y, d; RFC 7518 section 6.2.2), for HS256 the secret itself, 32
  // bytes or more (RFC 7518 section 3.2). A fault is a sentence for a person; it holds nothing of the key.
  [[nodiscard]] static Result<SigningKey, const char*> import(const Jwa& alg, std::string_view text);

  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;
  ~SigningKey();

  [[nodiscard]] const Jwa& alg() const;
  // The JWK's `kid`, else its thumbprint (RFC 7638); of a secret, which has neither, "".
  [[nodiscard]] const std::string& kid() const;
  // The signature's bytes as JWS has them: r and s for ES256 (RFC 7518 section 3.4).
  [[nodiscard]] std::string sign(std::string_view input) const;

 private:
  struct State;
  explicit SigningKey(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// header.payload.signature, typ "postern+jwt".
[[nodiscard]] std::string sign_jws(const SigningKey& key, std::string_view payload);

}  // namespace postern
