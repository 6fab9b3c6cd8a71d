// mbedTLS, reduced to what verifying a JWS, and signing one with ES256 or HS256, needs: the same file natively and in wasm.
//
// There is no entropy, PSA, X.509, TLS, file system or clock in it: the core has none of them either. It holds public keys,
// HMAC secrets, and at most one private key, its own, which signs with nonces made from the message (RFC 6979).
#ifndef POSTERN_MBEDTLS_CONFIG_H
#define POSTERN_MBEDTLS_CONFIG_H

#if defined(__wasm__)
// Wasm has 64-bit integers, but mbedTLS takes an unknown CPU for a 32-bit one: 64-bit limbs are 2.5 times as fast.
#define MBEDTLS_HAVE_INT64
#else
#define MBEDTLS_HAVE_ASM
#endif

#define MBEDTLS_BIGNUM_C
#define MBEDTLS_OID_C
#define MBEDTLS_ASN1_PARSE_C
#define MBEDTLS_ASN1_WRITE_C

// ES256, ES384, ES512, ES256K
#define MBEDTLS_ECP_C
#define MBEDTLS_ECDSA_C
#define MBEDTLS_ECDSA_DETERMINISTIC
#define MBEDTLS_HMAC_DRBG_C
#define MBEDTLS_ECP_NIST_OPTIM
#if defined(__wasm__)
// The precomputed multiples of the base points are 10 KB of random bytes, which no compression shortens; what is verified
// often has tables of its own.
#define MBEDTLS_ECP_FIXED_POINT_OPTIM 0
#endif
#define MBEDTLS_ECP_DP_SECP256R1_ENABLED
#define MBEDTLS_ECP_DP_SECP384R1_ENABLED
#define MBEDTLS_ECP_DP_SECP521R1_ENABLED
#define MBEDTLS_ECP_DP_SECP256K1_ENABLED

// RS256 and so on: v1.5; PS256 and so on: v2.1 (PSS)
#define MBEDTLS_RSA_C
#define MBEDTLS_PKCS1_V15
#define MBEDTLS_PKCS1_V21

// No SHA-1: no algorithm here uses it.
#define MBEDTLS_MD_C
#define MBEDTLS_SHA224_C
#define MBEDTLS_SHA256_C
#if defined(__wasm__)
// By core/src/sha256.cpp, so that the wasm has one SHA-256. Natively mbedTLS keeps its own, which tests compare with.
#define MBEDTLS_SHA256_PROCESS_ALT
#endif
#define MBEDTLS_SHA384_C
#define MBEDTLS_SHA512_C

#endif
