// A secret and a message at will: every implementation of SHA-256 that this machine runs, and HMAC over it, as mbedTLS.
//
// Input: the secret's length, where the message starts within 16 bytes, how many blocks are hashed first; secret; message.
#include <mbedtls/md.h>
#include <mbedtls/sha256.h>

#include <algorithm>
#include <array>
#include <memory>

#include "crypto.h"
#include "fuzz/must.h"
#include "sha256.h"

namespace postern::fuzz {
namespace {

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

void check_digest(std::string_view message, std::size_t first_blocks) {
  sha256::Digest expected{};
  must(mbedtls_sha256(bytes_of(message), message.size(), expected.data(), 0) == 0, "mbedTLS hashes");
  must(sha256::digest(message) == expected, "the digest as mbedTLS");
  const std::size_t blocks = std::min(first_blocks, message.size() / sha256::block_bytes);
  const std::size_t taken = blocks * sha256::block_bytes;
  for (const sha256::Implementation& each : sha256::implementations()) {
    must(sha256::finish(sha256::initial, 0, message, each.compress) == expected, "in one go as mbedTLS", each.name);
    sha256::State state = sha256::initial;
    each.compress(state, bytes_of(message), blocks);
    must(sha256::finish(state, taken, message.substr(taken), each.compress) == expected, "in two parts as mbedTLS", each.name);
  }
}

void check_mac(Hash hash, mbedtls_md_type_t type, std::string_view secret, std::string_view message) {
  std::array<unsigned char, 64> expected{};
  must(mbedtls_md_hmac(mbedtls_md_info_from_type(type), bytes_of(secret), secret.size(), bytes_of(message), message.size(),
                       expected.data()) == 0,
       "mbedTLS makes a MAC");
  const crypto::Hmac hmac(hash, secret);
  must(hmac.mac(message) == expected, "the MAC as mbedTLS");
  must(hmac.mac(message) == expected, "a secret's states are there for the next message");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  if (size < 3) return 0;
  const std::string_view rest = text_of(bytes + 3, size - 3);
  const std::string_view secret = rest.substr(0, bytes[0]);
  const std::string_view message = rest.substr(secret.size());
  // In memory of its own that ends with it, at any alignment.
  const std::size_t offset = bytes[1] % 16;
  const std::unique_ptr<char[]> memory(new char[offset + message.size()]);
  std::copy(message.begin(), message.end(), memory.get() + offset);
  const std::string_view placed(memory.get() + offset, message.size());

  check_digest(placed, bytes[2]);
  check_mac(Hash::sha256, MBEDTLS_MD_SHA256, secret, placed);
  check_mac(Hash::sha384, MBEDTLS_MD_SHA384, secret, placed);
  check_mac(Hash::sha512, MBEDTLS_MD_SHA512, secret, placed);
  return 0;
}

}  // namespace postern::fuzz
