// The algorithms, RFC 7518 section 3: one row each. After parsing, an alg is a row, never a string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace postern {

enum class KeyKind : std::uint8_t { symmetric, rsa, ec_p256, ec_p384, ec_p521, ec_secp256k1, ed25519 };
enum class Scheme : std::uint8_t { hmac, rsa_pkcs1, rsa_pss, ecdsa, eddsa };
enum class Hash : std::uint8_t { sha256, sha384, sha512, none };

struct Jwa {
  std::string_view name;
  Scheme scheme;
  Hash hash;
  KeyKind key_kind;
  std::size_t signature_bytes;  // exact; 0 for RSA, where the modulus says
};

// The row for a header's `alg`, by exact name; nullptr for anything else ("none", "NONE", " HS256").
[[nodiscard]] const Jwa* find_jwa(std::string_view name);

}  // namespace postern
