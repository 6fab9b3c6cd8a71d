// Signatures alone: OpenSSL's EVP and plain mbedTLS verify what was signed, from bytes that are decoded already. No JSON, no
// claims: what a JWT library on top of them adds is not counted, in their favour.
#include <mbedtls/ecdsa.h>
#include <mbedtls/md.h>
#include <mbedtls/rsa.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <cstring>
#include <map>

#include "contestant.h"

namespace bench {
namespace {

using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Pkey read_pem(const std::string& pem) {
  BIO* bio = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  Pkey key(PEM_read_bio_PUBKEY(bio, nullptr, nullptr, nullptr), &EVP_PKEY_free);
  BIO_free(bio);
  if (key == nullptr) fail("a public key", "OpenSSL does not read it");
  return key;
}

std::string der_of(const std::string& raw) {
  const std::size_t half = raw.size() / 2;
  const auto* bytes = reinterpret_cast<const unsigned char*>(raw.data());
  ECDSA_SIG* signature = ECDSA_SIG_new();
  ECDSA_SIG_set0(signature, BN_bin2bn(bytes, static_cast<int>(half), nullptr),
                 BN_bin2bn(bytes + half, static_cast<int>(half), nullptr));
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature, &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
  OPENSSL_free(der);
  ECDSA_SIG_free(signature);
  return out;
}

struct Input {
  std::size_t key = 0;
  std::string signed_text;
  std::string signature;
};

const unsigned char* bytes_of(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }

class SignatureContestant : public Contestant {
 public:
  void prepare(const std::vector<const Token*>& tokens) override {
    inputs_.clear();
    for (const Token* token : tokens) {
      const std::size_t dot = token->text.rfind('.');
      inputs_.push_back({token->key, token->text.substr(0, dot), as_taken(decode_base64url(token->text.substr(dot + 1)))});
    }
    verdicts_.assign(tokens.size(), false);
  }
  void run() override {
    for (std::size_t i = 0; i < inputs_.size(); ++i) verdicts_[i] = verify(inputs_[i]);
  }
  [[nodiscard]] Outcome outcome(std::size_t index) const override { return verdicts_[index] ? Outcome::right : Outcome::refused; }

 private:
  [[nodiscard]] virtual std::string as_taken(std::string signature) const { return signature; }
  [[nodiscard]] virtual bool verify(const Input& input) = 0;
  std::vector<Input> inputs_;
  std::vector<bool> verdicts_;
};

class OpenSsl final : public SignatureContestant {
 public:
  explicit OpenSsl(const Suite& suite) : alg_(suite.alg), context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free) {
    for (const Key& key : suite.keys) {
      if (alg_ == "HS256") {
        secrets_.push_back(key.pem);
      } else {
        keys_.push_back(read_pem(key.pem));
      }
    }
  }

 private:
  [[nodiscard]] std::string as_taken(std::string signature) const override {
    return alg_.starts_with("ES") ? der_of(signature) : std::move(signature);
  }
  [[nodiscard]] bool verify(const Input& input) override {
    if (alg_ == "HS256") {
      unsigned char mac[32];
      unsigned int size = 0;
      const std::string& secret = secrets_[input.key];
      HMAC(EVP_sha256(), secret.data(), static_cast<int>(secret.size()), bytes_of(input.signed_text), input.signed_text.size(),
           mac, &size);
      return input.signature.size() == sizeof mac && CRYPTO_memcmp(mac, input.signature.data(), sizeof mac) == 0;
    }
    EVP_MD_CTX_reset(context_.get());
    EVP_PKEY_CTX* key_context = nullptr;
    const EVP_MD* hash = alg_ == "EdDSA" ? nullptr : alg_ == "ES384" ? EVP_sha384() : EVP_sha256();
    if (EVP_DigestVerifyInit(context_.get(), &key_context, hash, nullptr, keys_[input.key].get()) != 1) return false;
    if (alg_ == "PS256" && (EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) != 1 ||
                            EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) != 1)) {
      return false;
    }
    return EVP_DigestVerify(context_.get(), bytes_of(input.signature), input.signature.size(), bytes_of(input.signed_text),
                            input.signed_text.size()) == 1;
  }
  std::string alg_;
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  std::vector<Pkey> keys_;
  std::vector<std::string> secrets_;
};

std::string number_of(EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) fail("a public key", "it has no such number");
  std::string out(static_cast<std::size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(out.data()));
  BN_free(number);
  return out;
}

// The same library and build as the core's; EdDSA is not in it.
class MbedTls final : public SignatureContestant {
 public:
  explicit MbedTls(const Suite& suite) : alg_(suite.alg) {
    for (const Key& key : suite.keys) {
      if (alg_ == "HS256") {
        secrets_.push_back(key.pem);
      } else if (alg_.starts_with("ES")) {
        const Pkey pkey = read_pem(key.pem);
        auto& pair = curves_.emplace_back(std::make_unique<Ec>());
        mbedtls_ecp_group_load(&pair->group, alg_ == "ES256" ? MBEDTLS_ECP_DP_SECP256R1 : MBEDTLS_ECP_DP_SECP384R1);
        std::string point(133, '\0');
        std::size_t size = 0;
        EVP_PKEY_get_octet_string_param(pkey.get(), OSSL_PKEY_PARAM_PUB_KEY, reinterpret_cast<unsigned char*>(point.data()),
                                        point.size(), &size);
        if (mbedtls_ecp_point_read_binary(&pair->group, &pair->point, bytes_of(point), size) != 0)
          fail("a public key", "mbedTLS does not read it");
      } else {
        const Pkey pkey = read_pem(key.pem);
        const std::string n = number_of(pkey.get(), OSSL_PKEY_PARAM_RSA_N);
        const std::string e = number_of(pkey.get(), OSSL_PKEY_PARAM_RSA_E);
        auto& rsa = rsas_.emplace_back(std::make_unique<Rsa>());
        if (mbedtls_rsa_import_raw(&rsa->context, bytes_of(n), n.size(), nullptr, 0, nullptr, 0, nullptr, 0, bytes_of(e),
                                   e.size()) != 0 ||
            mbedtls_rsa_complete(&rsa->context) != 0) {
          fail("a public key", "mbedTLS does not take it");
        }
        if (alg_ == "PS256") mbedtls_rsa_set_padding(&rsa->context, MBEDTLS_RSA_PKCS_V21, MBEDTLS_MD_SHA256);
      }
    }
  }

 private:
  struct Ec {
    Ec() {
      mbedtls_ecp_group_init(&group);
      mbedtls_ecp_point_init(&point);
    }
    mbedtls_ecp_group group;
    mbedtls_ecp_point point;
  };
  struct Rsa {
    Rsa() { mbedtls_rsa_init(&context); }
    mbedtls_rsa_context context;
  };

  [[nodiscard]] bool verify(const Input& input) override {
    const auto kind = alg_ == "ES384" ? MBEDTLS_MD_SHA384 : MBEDTLS_MD_SHA256;
    const mbedtls_md_info_t* hash = mbedtls_md_info_from_type(kind);
    unsigned char digest[48];
    if (alg_ == "HS256") {
      const std::string& secret = secrets_[input.key];
      mbedtls_md_hmac(hash, bytes_of(secret), secret.size(), bytes_of(input.signed_text), input.signed_text.size(), digest);
      return input.signature.size() == 32 && CRYPTO_memcmp(digest, input.signature.data(), 32) == 0;
    }
    mbedtls_md(hash, bytes_of(input.signed_text), input.signed_text.size(), digest);
    const std::size_t digest_size = mbedtls_md_get_size(hash);
    if (alg_.starts_with("ES")) {
      Ec& ec = *curves_[input.key];
      const std::size_t half = input.signature.size() / 2;
      mbedtls_mpi r, s;
      mbedtls_mpi_init(&r);
      mbedtls_mpi_init(&s);
      mbedtls_mpi_read_binary(&r, bytes_of(input.signature), half);
      mbedtls_mpi_read_binary(&s, bytes_of(input.signature) + half, half);
      const bool good = mbedtls_ecdsa_verify(&ec.group, digest, digest_size, &ec.point, &r, &s) == 0;
      mbedtls_mpi_free(&r);
      mbedtls_mpi_free(&s);
      return good;
    }
    mbedtls_rsa_context& rsa = rsas_[input.key]->context;
    if (input.signature.size() != mbedtls_rsa_get_len(&rsa)) return false;
    if (alg_ == "PS256") {
      return mbedtls_rsa_rsassa_pss_verify_ext(&rsa, kind, static_cast<unsigned>(digest_size), digest, kind, 32,
                                               bytes_of(input.signature)) == 0;
    }
    return mbedtls_rsa_rsassa_pkcs1_v15_verify(&rsa, kind, static_cast<unsigned>(digest_size), digest,
                                               bytes_of(input.signature)) == 0;
  }

  std::string alg_;
  std::vector<std::unique_ptr<Ec>> curves_;
  std::vector<std::unique_ptr<Rsa>> rsas_;
  std::vector<std::string> secrets_;
};

}  // namespace

void add_signatures_alone(const Suite& suite, Contestants& out) {
  if (suite.kind != "verify") return;
  out.emplace_back("openssl", std::make_unique<OpenSsl>(suite));
  if (suite.alg != "EdDSA") out.emplace_back("mbedtls", std::make_unique<MbedTls>(suite));
}

std::string decode_base64url(const std::string& text) {
  std::string out;
  unsigned bits = 0;
  unsigned held = 0;
  for (const char letter : text) {
    const char* alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char* at = std::strchr(alphabet, letter);
    if (letter == '\0' || at == nullptr) fail("a token", "it is not base64url");
    bits = (bits << 6) | static_cast<unsigned>(at - alphabet);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>((bits >> held) & 0xff));
    }
  }
  return out;
}

}  // namespace bench
