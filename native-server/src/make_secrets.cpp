#include "make_secrets.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <memory>
#include <vector>

namespace postern::native {
namespace {

std::string base64url(const unsigned char* bytes, std::size_t size) {
  std::vector<unsigned char> text(4 * ((size + 2) / 3) + 1);
  const int length = EVP_EncodeBlock(text.data(), bytes, static_cast<int>(size));
  std::string out(text.begin(), text.begin() + length);
  while (out.ends_with('=')) out.pop_back();
  for (char& c : out) {
    if (c == '+') c = '-';
    if (c == '/') c = '_';
  }
  return out;
}

std::array<unsigned char, 32> sha256(std::string_view bytes) {
  std::array<unsigned char, 32> digest{};
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
  return digest;
}

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};

// A coordinate or the private number, 32 bytes big-endian in base64url; "" when the key has none.
std::string number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* number = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &number) != 1) return {};
  std::array<unsigned char, 32> bytes{};
  const int size = BN_bn2binpad(number, bytes.data(), static_cast<int>(bytes.size()));
  BN_clear_free(number);
  return size == static_cast<int>(bytes.size()) ? base64url(bytes.data(), bytes.size()) : std::string{};
}

}  // namespace

std::string hash_token(std::string_view token) {
  std::string out;
  for (const unsigned char byte : sha256(token)) {
    out += "0123456789abcdef"[byte >> 4U];
    out += "0123456789abcdef"[byte & 0xFU];
  }
  return out;
}

std::optional<std::string> make_token(std::string_view prefix, std::string_view key_id) {
  std::array<unsigned char, 32> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return std::nullopt;
  std::string token = base64url(bytes.data(), bytes.size());
  if (!key_id.empty()) token = std::string(prefix) + "_" + std::string(key_id) + "_" + token;
  return token;
}

std::optional<AssertionKey> make_assertion_key() {
  const std::unique_ptr<EVP_PKEY, FreeKey> key(EVP_EC_gen("P-256"));
  if (key == nullptr) return std::nullopt;
  const std::string x = number_of(key.get(), OSSL_PKEY_PARAM_EC_PUB_X);
  const std::string y = number_of(key.get(), OSSL_PKEY_PARAM_EC_PUB_Y);
  const std::string d = number_of(key.get(), OSSL_PKEY_PARAM_PRIV_KEY);
  if (x.empty() || y.empty() || d.empty()) return std::nullopt;
  // RFC 7638 section 3.2
  const auto thumbprint = sha256(R"({"crv":"P-256","kty":"EC","x":")" + x + R"(","y":")" + y + R"("})");
  const std::string shared = R"({"kty":"EC","crv":"P-256","kid":")" + base64url(thumbprint.data(), thumbprint.size()) +
                             R"(","x":")" + x + R"(","y":")" + y + "\"";
  return AssertionKey{shared + R"(,"d":")" + d + "\"}", R"({"keys":[)" + shared + R"(,"alg":"ES256","use":"sig"}]})"};
}

}  // namespace postern::native
