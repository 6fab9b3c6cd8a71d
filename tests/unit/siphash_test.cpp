#include "siphash.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <bit>
#include <string>
#include <vector>

namespace postern {
namespace {

std::string bytes_of(const SipHash128& hash) {
  std::string out;
  for (const std::uint64_t half : {hash.low, hash.high}) {
    for (unsigned i = 0; i < 8; ++i) out += static_cast<char>(half >> (8 * i));
  }
  return out;
}

std::string openssl(const SipHashKey& key, const std::string& text) {
  EVP_MAC* mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* context = EVP_MAC_CTX_new(mac);
  std::size_t size = 16;
  unsigned compression = 2;
  unsigned finalization = 4;
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size),
                               OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_C_ROUNDS, &compression),
                               OSSL_PARAM_construct_uint(OSSL_MAC_PARAM_D_ROUNDS, &finalization), OSSL_PARAM_construct_end()};
  std::string out(16, '\0');
  const bool done = EVP_MAC_init(context, key.data(), key.size(), params) == 1 &&
                    EVP_MAC_update(context, reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1 &&
                    EVP_MAC_final(context, reinterpret_cast<unsigned char*>(out.data()), &size, out.size()) == 1;
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  EXPECT_TRUE(done && size == 16);
  return out;
}

// A fixed sequence, not a random one: a failure is the same failure tomorrow.
struct Sequence {
  std::uint64_t state = 1;
  std::uint8_t byte() {
    state = state * 6364136223846793005U + 1442695040888963407U;
    return static_cast<std::uint8_t>(state >> 56U);
  }
};

TEST(SipHash, TheEmptyTextOfTheReferenceVectors) {
  SipHashKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(bytes_of(siphash_2_4_128(key, "")), "\xa3\x81\x7f\x04\xba\x25\xa8\xe6\x6d\xf6\x72\x14\xc7\x55\x02\x93");
}

TEST(SipHash, AgreesWithOpenSslAtEveryLength) {
  Sequence sequence;
  for (std::size_t size = 0; size < 300; ++size) {
    SipHashKey key;
    for (std::uint8_t& byte : key) byte = sequence.byte();
    std::vector<char> exact(size);  // of the exact size: the sanitizer sees a read past its end
    for (char& c : exact) c = static_cast<char>(sequence.byte());
    EXPECT_EQ(bytes_of(siphash_2_4_128(key, {exact.data(), exact.size()})), openssl(key, {exact.data(), exact.size()})) << size;
  }
}

TEST(SipHash, EveryBitOfKeyAndTextMatters) {
  const SipHashKey key{1, 2, 3};
  const std::string text(100, 'x');
  const SipHash128 hash = siphash_2_4_128(key, text);
  const auto differs = [&](const SipHash128& other) {
    // Far from equal, too: fewer than 32 or more than 96 of 128 bits would be a chance of under one in a million.
    const int bits = std::popcount(hash.low ^ other.low) + std::popcount(hash.high ^ other.high);
    EXPECT_TRUE(bits > 32 && bits < 96) << bits;
  };
  for (std::size_t bit = 0; bit < 128; ++bit) {
    SipHashKey other = key;
    other[bit / 8] = static_cast<std::uint8_t>(other[bit / 8] ^ (1U << (bit % 8)));
    differs(siphash_2_4_128(other, text));
  }
  for (std::size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string other = text;
    other[bit / 8] = static_cast<char>(other[bit / 8] ^ (1 << (bit % 8)));
    differs(siphash_2_4_128(key, other));
  }
  differs(siphash_2_4_128(key, text.substr(1)));
  differs(siphash_2_4_128(key, text + '\0'));
}

}  // namespace
}  // namespace postern
