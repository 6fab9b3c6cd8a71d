#include "jwa.h"

#include <array>

namespace postern {

namespace {

// RFC 7518 3.1; ES256K: RFC 8812 3.2; EdDSA: RFC 8037 3.1, here with Ed25519 only, which RFC 9864 2.2 calls by its own name.
// There is no row for "none" and never will be (RFC 8725 3.1, 3.2).
constexpr std::array<Jwa, 15> table{{
    {"HS256", Scheme::hmac, Hash::sha256, KeyKind::symmetric, 32},
    {"HS384", Scheme::hmac, Hash::sha384, KeyKind::symmetric, 48},
    {"HS512", Scheme::hmac, Hash::sha512, KeyKind::symmetric, 64},
    {"RS256", Scheme::rsa_pkcs1, Hash::sha256, KeyKind::rsa, 0},
    {"RS384", Scheme::rsa_pkcs1, Hash::sha384, KeyKind::rsa, 0},
    {"RS512", Scheme::rsa_pkcs1, Hash::sha512, KeyKind::rsa, 0},
    {"PS256", Scheme::rsa_pss, Hash::sha256, KeyKind::rsa, 0},
    {"PS384", Scheme::rsa_pss, Hash::sha384, KeyKind::rsa, 0},
    {"PS512", Scheme::rsa_pss, Hash::sha512, KeyKind::rsa, 0},
    {"ES256", Scheme::ecdsa, Hash::sha256, KeyKind::ec_p256, 64},
    {"ES384", Scheme::ecdsa, Hash::sha384, KeyKind::ec_p384, 96},
    {"ES512", Scheme::ecdsa, Hash::sha512, KeyKind::ec_p521, 132},
    {"ES256K", Scheme::ecdsa, Hash::sha256, KeyKind::ec_secp256k1, 64},
    {"EdDSA", Scheme::eddsa, Hash::none, KeyKind::ed25519, 64},
    {"Ed25519", Scheme::eddsa, Hash::none, KeyKind::ed25519, 64},
}};

}  // namespace

const Jwa* find_jwa(std::string_view name) {
  for (const Jwa& row : table) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

}  // namespace postern
