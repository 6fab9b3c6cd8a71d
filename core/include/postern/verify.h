// Signatures apart from tokens: a JWS and a JWK Set in, the payload out (RFC 7515 5.2, RFC 7517).
//
// For payloads that are no claims, and for tests against outside vectors. It says that a listed key signed these bytes,
// and nothing about who may do what: a gate is the way to let somebody in.
#pragma once

#include <string>
#include <string_view>

#include "postern/result.h"

namespace postern {

// The payload of a compact JWS that a key of the set verifies. The key decides the algorithm, by its own `alg` or its kind.
// `jwk_set` may hold symmetric keys ("oct", with their `alg`) when `symmetric` says so: never for a fetched set.
// Errors: those of parsing (jws_malformed, header_*, token_too_large), keys_unavailable when the set is no JWK Set or was
// refused whole, key_unknown, key_ambiguous, algorithm_not_allowed, signature_malformed, signature_invalid.
enum class SymmetricKeys : unsigned char { refuse, accept };
[[nodiscard]] Result<std::string> verify_jws(std::string_view jws, std::string_view jwk_set,
                                             SymmetricKeys symmetric = SymmetricKeys::refuse);

// One signature over any bytes, by one public JWK (or an "oct" one): the primitive under verify_jws, RFC 7518 section 3.
// ECDSA signatures are r || s. Errors: keys_unavailable (the key was refused), algorithm_not_allowed, signature_malformed,
// signature_invalid. The value is always true.
[[nodiscard]] Result<bool> verify_signature(std::string_view jwk, std::string_view alg, std::string_view input,
                                            std::string_view signature);

}  // namespace postern
