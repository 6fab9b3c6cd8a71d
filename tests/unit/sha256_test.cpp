#include "sha256.h"

#include <gtest/gtest.h>
#include <mbedtls/sha256.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <algorithm>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "crypto.h"

namespace postern {
namespace {

template <typename Bytes>
std::string hex(const Bytes& bytes, std::size_t size) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (std::size_t i = 0; i < size; ++i) (out += digits[bytes[i] >> 4U]) += digits[bytes[i] & 15U];
  return out;
}

std::string mbedtls_digest(std::string_view message) {
  std::array<unsigned char, 32> out{};
  EXPECT_EQ(mbedtls_sha256(reinterpret_cast<const unsigned char*>(message.data()), message.size(), out.data(), 0), 0);
  return hex(out, out.size());
}

std::string random_text(std::mt19937& random, std::size_t size) {
  std::string out(size, '\0');
  for (char& c : out) c = static_cast<char>(random());
  return out;
}

// Memory that ends where the message ends, with the message at any address: one byte read too far is found.
class Placed {
 public:
  Placed(std::string_view message, std::size_t offset)
      : memory_(new char[offset + message.size()]), text_(memory_.get() + offset, message.size()) {
    std::copy(message.begin(), message.end(), memory_.get() + offset);
  }
  [[nodiscard]] std::string_view text() const { return text_; }

 private:
  std::unique_ptr<char[]> memory_;
  std::string_view text_;
};

class Sha256 : public ::testing::TestWithParam<sha256::Implementation> {
 protected:
  static std::string digest(std::string_view message) {
    return hex(sha256::finish(sha256::initial, 0, message, GetParam().compress), 32);
  }
};

// NIST's examples for FIPS 180-4: one block, two blocks; and those of FIPS 180-2 B.3 and of nothing.
TEST_P(Sha256, KnownAnswers) {
  EXPECT_EQ(digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(digest(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  EXPECT_EQ(digest(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

TEST_P(Sha256, EveryLengthAtEveryAlignment) {
  std::mt19937 random(1);
  for (std::size_t size = 0; size <= 300; ++size) {
    const std::string message = random_text(random, size);
    const std::string expected = mbedtls_digest(message);
    for (std::size_t offset = 0; offset < 16; ++offset) ASSERT_EQ(digest(Placed(message, offset).text()), expected) << size;
  }
}

TEST_P(Sha256, LongMessages) {
  std::mt19937 random(2);
  for (int i = 0; i < 100; ++i) {
    const std::string message = random_text(random, random() % 100000);
    ASSERT_EQ(digest(Placed(message, random() % 64).text()), mbedtls_digest(message)) << message.size();
  }
}

// HMAC goes on from a state that has taken a block.
TEST_P(Sha256, GoesOnFromAState) {
  std::mt19937 random(3);
  const std::string message = random_text(random, 700);
  for (std::size_t blocks = 0; blocks <= 10; ++blocks) {
    const std::size_t taken = blocks * sha256::block_bytes;
    sha256::State state = sha256::initial;
    GetParam().compress(state, reinterpret_cast<const std::uint8_t*>(message.data()), blocks);
    for (std::size_t size = taken; size <= message.size(); size += 13) {
      const std::string_view whole = std::string_view(message).substr(0, size);
      const auto out = sha256::finish(state, taken, whole.substr(taken), GetParam().compress);
      ASSERT_EQ(hex(out, out.size()), mbedtls_digest(whole));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, Sha256, ::testing::ValuesIn(sha256::implementations().begin(), sha256::implementations().end()),
                         [](const auto& info) {
                           std::string name(info.param.name);
                           std::replace_if(
                               name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
                           return name;
                         });

TEST(Sha256Choice, TheQuickestIsTakenAndThePortableIsThere) {
  const auto all = sha256::implementations();
  ASSERT_FALSE(all.empty());
  EXPECT_EQ(all.back().name, "portable");
  EXPECT_EQ(hex(sha256::digest("abc"), 32), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
#if defined(__x86_64__) && defined(__linux__)
  std::ifstream file("/proc/cpuinfo");
  const std::string text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(all.size(), text.find(" sha_ni ") == std::string::npos ? 1 : 2);
#endif
}

// ------------------------------------------------------------------------------------------------------------ HMAC

std::string mac(Hash hash, std::string_view secret, std::string_view input) {
  const auto out = crypto::Hmac(hash, secret).mac(input);
  const std::size_t size = hash == Hash::sha256 ? 32 : hash == Hash::sha384 ? 48 : 64;
  EXPECT_EQ(std::count(out.begin() + static_cast<std::ptrdiff_t>(size), out.end(), 0),
            out.end() - out.begin() - static_cast<std::ptrdiff_t>(size));
  return hex(out, size);
}

// RFC 4231 sections 4.2 to 4.5, 4.7 and 4.8; that of 4.6 is truncated, which JWS does not know.
TEST(Hmac, Rfc4231) {
  struct Row {
    std::string secret;
    std::string input;
    std::string_view sha256;
    std::string_view sha384;
    std::string_view sha512;
  };
  std::string one_to_25;
  for (char c = 1; c <= 25; ++c) one_to_25 += c;
  const Row rows[] = {
      {std::string(20, '\x0b'), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
       "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152e8b2fa9cb6",
       "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
       "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854"},
      {"Jefe", "what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
       "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
       "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
       "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
       "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b2a5ab39dc13814b94e3ab6e101a34f27",
       "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
       "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb"},
      {one_to_25, std::string(50, '\xcd'), "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
       "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e6801dd23c4a7d679ccf8a386c674cffb",
       "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
       "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
       "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
       "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
       "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. "
       "The key needs to be hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
       "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5a678cc31e799176d3860e6110c46523e",
       "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
       "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58"},
  };
  for (const Row& row : rows) {
    EXPECT_EQ(mac(Hash::sha256, row.secret, row.input), row.sha256);
    EXPECT_EQ(mac(Hash::sha384, row.secret, row.input), row.sha384);
    EXPECT_EQ(mac(Hash::sha512, row.secret, row.input), row.sha512);
  }
}

TEST(Hmac, EveryLengthOfSecretAndInputAsOpenssl) {
  std::mt19937 random(4);
  struct Row {
    Hash hash;
    const EVP_MD* md;
  };
  for (const Row& row : {Row{Hash::sha256, EVP_sha256()}, Row{Hash::sha384, EVP_sha384()}, Row{Hash::sha512, EVP_sha512()}}) {
    for (std::size_t size = 0; size <= 300; ++size) {
      const std::string secret = random_text(random, size);
      const std::string input = random_text(random, (size * 7) % 301);
      std::array<unsigned char, 64> expected{};
      unsigned expected_size = 0;
      ASSERT_NE(::HMAC(row.md, secret.data(), static_cast<int>(secret.size()),
                       reinterpret_cast<const unsigned char*>(input.data()), input.size(), expected.data(), &expected_size),
                nullptr);
      ASSERT_EQ(mac(row.hash, secret, input), hex(expected, expected_size)) << size;
    }
  }
}

// The states after the secret are kept for many messages.
TEST(Hmac, OneSecretForManyInputs) {
  for (const Hash hash : {Hash::sha256, Hash::sha384, Hash::sha512}) {
    crypto::Hmac first(hash, "secret");
    const auto a = first.mac("a");
    const auto b = first.mac("b");
    EXPECT_NE(a, b);
    const crypto::Hmac moved = std::move(first);
    EXPECT_EQ(moved.mac("a"), a);
    EXPECT_EQ(moved.hash(), hash);
  }
}

}  // namespace
}  // namespace postern
