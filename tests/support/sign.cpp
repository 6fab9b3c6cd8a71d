#include "support/sign.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>

#include <cstdio>
#include <cstdlib>
#include <vector>

namespace postern::testing {

namespace {

// A test that cannot make its keys has nothing to say.
void check(bool done, const char* what) {
  if (done) return;
  std::fprintf(stderr, "OpenSSL: %s failed\n", what);
  std::abort();
}

template <typename T, void (*release)(T*)>
struct Release {
  void operator()(T* pointer) const { release(pointer); }
};
using BigNumber = std::unique_ptr<BIGNUM, Release<BIGNUM, BN_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Release<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, Release<EVP_MD_CTX, EVP_MD_CTX_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, Release<ECDSA_SIG, ECDSA_SIG_free>>;

unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// Written anew here: the tests' encoder must not share a mistake with the core's decoder.
std::string base64url(std::string_view bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(bytes_of(out), bytes_of(bytes), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(size));
  for (char& c : out) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  while (out.ends_with('=')) out.pop_back();
  return out;
}

struct Curve {
  const char* openssl_name;
  const char* crv;
  int bytes;
};

Curve curve_of(std::string_view alg) {
  if (alg == "ES256") return {"P-256", "P-256", 32};
  if (alg == "ES384") return {"P-384", "P-384", 48};
  if (alg == "ES512") return {"P-521", "P-521", 66};
  check(alg == "ES256K", "curve");
  return {"secp256k1", "secp256k1", 32};
}

const EVP_MD* digest_of(std::string_view alg) {
  if (alg.find("384") != std::string_view::npos) return EVP_sha384();
  if (alg.find("512") != std::string_view::npos) return EVP_sha512();
  return EVP_sha256();
}

bool is_ed25519(std::string_view alg) { return alg == "EdDSA" || alg == "Ed25519"; }

EVP_PKEY* pkey_of(const SigningKey& key) { return static_cast<EVP_PKEY*>(key.pkey.get()); }

std::shared_ptr<void> own(EVP_PKEY* pkey) {
  check(pkey != nullptr, "key generation");
  return {pkey, [](void* pointer) { EVP_PKEY_free(static_cast<EVP_PKEY*>(pointer)); }};
}

std::string number_of(const SigningKey& key, const char* name, int bytes) {
  BIGNUM* raw = nullptr;
  check(EVP_PKEY_get_bn_param(pkey_of(key), name, &raw) == 1, name);
  const BigNumber number(raw);
  std::string out(static_cast<std::size_t>(bytes == 0 ? BN_num_bytes(raw) : bytes), '\0');
  check(BN_bn2binpad(raw, bytes_of(out), static_cast<int>(out.size())) >= 0, "BN_bn2binpad");
  return out;
}

}  // namespace

SigningKey make_key(std::string_view alg, std::string_view kid) {
  if (alg.starts_with("HS")) {
    std::string secret(static_cast<std::size_t>(EVP_MD_get_size(digest_of(alg))), '\0');
    check(RAND_bytes(bytes_of(secret), static_cast<int>(secret.size())) == 1, "RAND_bytes");
    return make_symmetric_key(alg, kid, secret);
  }
  if (alg.starts_with("ES")) {
    return {std::string(alg), std::string(kid), {}, own(EVP_EC_gen(curve_of(alg).openssl_name))};
  }
  if (is_ed25519(alg)) return {std::string(alg), std::string(kid), {}, own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"))};
  return make_rsa_key(alg, kid, 2048, 65537);
}

SigningKey make_rsa_key(std::string_view alg, std::string_view kid, unsigned bits, unsigned long exponent) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
  const BigNumber e(BN_new());
  check(BN_set_word(e.get(), exponent) == 1 && EVP_PKEY_keygen_init(context.get()) == 1 &&
            EVP_PKEY_CTX_set_rsa_keygen_bits(context.get(), static_cast<int>(bits)) == 1 &&
            EVP_PKEY_CTX_set1_rsa_keygen_pubexp(context.get(), e.get()) == 1,
        "RSA parameters");
  EVP_PKEY* pkey = nullptr;
  check(EVP_PKEY_generate(context.get(), &pkey) == 1, "RSA key generation");
  return {std::string(alg), std::string(kid), {}, own(pkey)};
}

SigningKey make_symmetric_key(std::string_view alg, std::string_view kid, std::string_view secret) {
  return {std::string(alg), std::string(kid), std::string(secret), nullptr};
}

std::string sign_bytes(std::string_view input, const SigningKey& key) {
  // Ed25519 hashes by itself: no digest.
  const EVP_MD* const digest = is_ed25519(key.alg) ? nullptr : digest_of(key.alg);
  if (key.alg.starts_with("HS")) {
    std::string mac(static_cast<std::size_t>(EVP_MD_get_size(digest)), '\0');
    unsigned size = 0;
    check(HMAC(digest, key.secret.data(), static_cast<int>(key.secret.size()), bytes_of(input), input.size(), bytes_of(mac),
               &size) != nullptr,
          "HMAC");
    return mac;
  }

  const DigestContext context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* parameters = nullptr;  // belongs to the digest context
  check(EVP_DigestSignInit(context.get(), &parameters, digest, nullptr, pkey_of(key)) == 1, "EVP_DigestSignInit");
  if (key.alg.starts_with("PS")) {
    check(EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1 &&
              EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1,
          "PSS parameters");
  }
  std::size_t size = 0;
  check(EVP_DigestSign(context.get(), nullptr, &size, bytes_of(input), input.size()) == 1, "EVP_DigestSign");
  std::string signature(size, '\0');
  check(EVP_DigestSign(context.get(), bytes_of(signature), &size, bytes_of(input), input.size()) == 1, "EVP_DigestSign");
  signature.resize(size);
  if (!key.alg.starts_with("ES")) return signature;

  const unsigned char* der = bytes_of(std::string_view(signature));
  const EcdsaSignature pair(d2i_ECDSA_SIG(nullptr, &der, static_cast<long>(signature.size())));
  check(pair != nullptr, "d2i_ECDSA_SIG");
  const int half = curve_of(key.alg).bytes;
  std::string raw(static_cast<std::size_t>(2 * half), '\0');
  check(BN_bn2binpad(ECDSA_SIG_get0_r(pair.get()), bytes_of(raw), half) == half &&
            BN_bn2binpad(ECDSA_SIG_get0_s(pair.get()), bytes_of(raw) + half, half) == half,
        "BN_bn2binpad");
  return raw;
}

std::string sign(std::string_view header_json, std::string_view payload_json, const SigningKey& key) {
  const std::string input = base64url(header_json) + "." + base64url(payload_json);
  return input + "." + base64url(sign_bytes(input, key));
}

std::string header_for(const SigningKey& key, std::string_view more) {
  std::string header = R"({"alg":")" + key.alg + '"';
  if (!key.kid.empty()) header += R"(,"kid":")" + key.kid + '"';
  return header + std::string(more) + "}";
}

std::string public_jwk(const SigningKey& key) {
  std::string jwk = R"({"use":"sig","alg":")" + key.alg + '"';
  if (!key.kid.empty()) jwk += R"(,"kid":")" + key.kid + '"';
  if (key.alg.starts_with("HS")) {
    jwk += R"(,"kty":"oct","k":")" + base64url(key.secret) + '"';
  } else if (key.alg.starts_with("ES")) {
    const Curve curve = curve_of(key.alg);
    jwk += R"(,"kty":"EC","crv":")" + std::string(curve.crv) + R"(","x":")" +
           base64url(number_of(key, OSSL_PKEY_PARAM_EC_PUB_X, curve.bytes)) + R"(","y":")" +
           base64url(number_of(key, OSSL_PKEY_PARAM_EC_PUB_Y, curve.bytes)) + '"';
  } else if (is_ed25519(key.alg)) {
    std::string point(32, '\0');
    std::size_t size = point.size();
    check(EVP_PKEY_get_raw_public_key(pkey_of(key), bytes_of(point), &size) == 1 && size == point.size(), "public key");
    jwk += R"(,"kty":"OKP","crv":"Ed25519","x":")" + base64url(point) + '"';
  } else {
    jwk += R"(,"kty":"RSA","n":")" + base64url(number_of(key, OSSL_PKEY_PARAM_RSA_N, 0)) + R"(","e":")" +
           base64url(number_of(key, OSSL_PKEY_PARAM_RSA_E, 0)) + '"';
  }
  return jwk + "}";
}

}  // namespace postern::testing
