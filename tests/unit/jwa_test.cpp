#include "jwa.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

namespace postern {
namespace {

using namespace std::string_view_literals;

TEST(Jwa, EveryAlgorithmHasItsRow) {
  struct Expected {
    std::string_view name;
    Scheme scheme;
    Hash hash;
    KeyKind kind;
    std::size_t bytes;
  };
  const std::vector<Expected> rows = {
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
  };
  for (const Expected& row : rows) {
    const Jwa* found = find_jwa(row.name);
    ASSERT_NE(found, nullptr) << row.name;
    EXPECT_EQ(found->name, row.name);
    EXPECT_EQ(found->scheme, row.scheme) << row.name;
    EXPECT_EQ(found->hash, row.hash) << row.name;
    EXPECT_EQ(found->key_kind, row.kind) << row.name;
    EXPECT_EQ(found->signature_bytes, row.bytes) << row.name;
    EXPECT_EQ(find_jwa(row.name), found);  // one row: the address tells it
  }
}

// CVE-2015-9235 and its many sisters ("none" in any case); CVE-2026-34950 (a leading space).
TEST(Jwa, NothingElseIsAnAlgorithm) {
  for (const std::string_view name :
       {""sv,        "none"sv,   "None"sv, "NONE"sv,        "nOnE"sv,   "hs256"sv,  " HS256"sv,   "HS256 "sv,
        "HS256\0"sv, "HS2560"sv, "HS25"sv, "ES521"sv,       "ES256k"sv, "RSA1_5"sv, "RSA-OAEP"sv, "A256GCM"sv,
        "dir"sv,     "HS1"sv,    "RS1"sv,  "RS256,ES256"sv, "Ed448"sv,  "eddsa"sv,  "ED25519"sv}) {
    EXPECT_EQ(find_jwa(name), nullptr) << name;
  }
}

}  // namespace
}  // namespace postern
