// Ed25519 here against OpenSSL 3: signatures that OpenSSL makes, whole and damaged, and what both say of them.
//
// OpenSSL checks the same equation and compares the same bytes, so the answers must be the same. It is laxer in two things:
// it takes keys with y >= p, x = 0 with the sign set or a small order, and R of small order. Cases under such keys are counted
// apart: they are refused here whatever OpenSSL says. Such an R that fits needs intent and is left to the unit tests.
#pragma once

#include <openssl/evp.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>

#include "ed25519.h"

namespace postern::testing {
// Unnamed, because the unit tests hold it twice, once for each form of the field.
namespace {

inline const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

// SHA-512(R || A || M), RFC 8032 5.1.7; signature and key need not be whole.
inline ed25519::Hash ed25519_hash(std::string_view signature, std::string_view key, std::string_view message) {
  ed25519::Hash hash{};
  const std::string input = std::string(signature.substr(0, 32)) + std::string(key) + std::string(message);
  EVP_Digest(input.data(), input.size(), hash.data(), nullptr, EVP_sha512(), nullptr);
  return hash;
}

inline bool openssl_verifies(std::string_view key, std::string_view message, std::string_view signature) {
  const std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> pkey(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(key), key.size()), EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  return pkey && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkey.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(message), message.size()) == 1;
}

class Ed25519Signer {
 public:
  explicit Ed25519Signer(std::string_view seed)
      : pkey_(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes_of(seed), seed.size()), EVP_PKEY_free) {}

  [[nodiscard]] std::string public_key() const {
    std::string key(32, '\0');
    std::size_t size = key.size();
    EVP_PKEY_get_raw_public_key(pkey_.get(), reinterpret_cast<unsigned char*>(key.data()), &size);
    return key;
  }

  [[nodiscard]] std::string sign(std::string_view message) const {
    const std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::string signature(64, '\0');
    std::size_t size = signature.size();
    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pkey_.get());
    EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, bytes_of(message), message.size());
    return signature;
  }

 private:
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> pkey_;
};

struct Ed25519Tally {
  std::uint64_t cases = 0;
  std::uint64_t accepted = 0;      // by both
  std::uint64_t keys_refused = 0;  // at import; a key off the curve, which OpenSSL finds out when it verifies
  std::uint64_t stricter = 0;      // keys refused at import whose rule differs
  std::uint64_t differ = 0;        // must stay 0
};

// S + L instead of S, modulo 2^256.
inline void add_order(std::string& signature) {
  constexpr std::array<std::uint8_t, 32> order{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7,
                                               0xa2, 0xde, 0xf9, 0xde, 0x14, 0,    0,    0,    0,    0,    0,
                                               0,    0,    0,    0,    0,    0,    0,    0,    0,    0x10};
  unsigned carried = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    carried += static_cast<unsigned char>(signature[32 + i]) + order[i];
    signature[32 + i] = static_cast<char>(carried & 0xffU);
    carried >>= 8U;
  }
}

// `cases` cases from one seed, a new key for each 64 of them, with either table.
inline Ed25519Tally compare_ed25519(std::uint64_t cases, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto bytes = [&](std::size_t size) {
    std::string out(size, '\0');
    for (char& c : out) c = static_cast<char>(random());
    return out;
  };
  const auto flip = [&](std::string& text) {
    if (text.empty()) return;
    const std::size_t bit = random() % (text.size() * 8);
    text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
  };

  Ed25519Tally tally;
  std::optional<Ed25519Signer> signer;
  std::string signer_key;
  std::optional<ed25519::PublicKey> imported;
  std::string other_signature = bytes(64);
  for (; tally.cases < cases; ++tally.cases) {
    if (tally.cases % 64 == 0) {
      signer.emplace(bytes(32));
      signer_key = signer->public_key();
      auto result = ed25519::PublicKey::import(signer_key);
      if (!result) {
        ++tally.differ;
        continue;
      }
      imported.emplace(*result);
      if (random() % 2 == 0) imported->set_table_size(ed25519::TableSize::large);
    }
    std::string message = bytes(random() % 200);
    std::string signature = signer->sign(message);
    std::string key = signer_key;
    switch (random() % 12) {
      case 0:
      case 1:
      case 2:
        break;
      case 3:
      case 4:
        flip(signature);
        break;
      case 5:
        flip(message);
        break;
      case 6:
        flip(key);
        break;
      case 7:
        key = bytes(32);
        break;
      case 8:
        add_order(signature);
        break;
      case 9:
        signature.replace(32, 32, bytes(32));
        if (random() % 2 == 0) signature[63] = static_cast<char>(signature[63] & 0x0f);
        break;
      case 10:
        signature.replace(0, 32, random() % 2 == 0 ? bytes(32) : other_signature.substr(0, 32));
        break;
      default:
        signature.replace(32, 32, other_signature.substr(32));
        break;
    }
    other_signature = signature;

    const bool theirs = openssl_verifies(key, message, signature);
    bool ours = false;
    if (key == signer_key) {
      ours = imported->verify(signature, ed25519_hash(signature, key, message));
    } else {
      auto result = ed25519::PublicKey::import(key);
      if (result) {
        ours = result->verify(signature, ed25519_hash(signature, key, message));
      } else {
        ++tally.keys_refused;
        if (result.error() != ed25519::Fault::not_on_curve) {
          ++tally.stricter;
          continue;
        }
      }
    }
    if (ours != theirs) ++tally.differ;
    if (ours && theirs) ++tally.accepted;
  }
  return tally;
}

}  // namespace
}  // namespace postern::testing
