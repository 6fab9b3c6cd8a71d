// Ed25519 against OpenSSL's EVP, natively: microseconds for each verification of 740 bytes, the rows taken in turn in every
// round, so that what else the machine does falls on all of them.
//
//   cmake --build --preset release --target postern_core
//   c++ -O3 -std=c++20 -Icore/src -Icore/include bench/ed25519.cpp build/release/libpostern_core.a
//     build/release/libmbedcrypto_min.a -lcrypto && ./a.out [rounds]
#include <openssl/evp.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "crypto.h"
#include "ed25519.h"

namespace {

using postern::crypto::Key;
using postern::ed25519::Hash;
using postern::ed25519::PublicKey;
using postern::ed25519::TableSize;

constexpr std::size_t keys_count = 8;
constexpr std::size_t messages_per_key = 32;
constexpr std::size_t message_bytes = 740;

using Pkey = std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)>;
using Context = std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)>;

const unsigned char* bytes_of(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }
unsigned char* bytes_of(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }

struct Case {
  std::size_t key;
  std::string message;
  std::string signature;
  Hash hash;
  bool good;  // one in 16 is not
};

struct Row {
  const char* name;
  std::function<void()> run;  // over all cases
  std::vector<double> microseconds;
};

double now() { return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

void must(bool right) {
  if (right) return;
  std::fprintf(stderr, "a wrong answer\n");
  std::abort();
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  std::vector<Pkey> pkeys;
  std::vector<Key> keys;
  std::vector<PublicKey> small;
  std::vector<PublicKey> large;
  std::vector<std::string> encoded;
  std::vector<Case> cases;
  for (std::size_t k = 0; k < keys_count; ++k) {
    pkeys.emplace_back(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
    std::string point(32, '\0');
    std::size_t size = point.size();
    must(EVP_PKEY_get_raw_public_key(pkeys[k].get(), bytes_of(point), &size) == 1);
    encoded.push_back(point);
    keys.push_back(postern::crypto::import_ed25519(point).value());
    small.push_back(PublicKey::import(point).value());
    large.push_back(small.back());
    large.back().set_table_size(TableSize::large);
  }
  for (std::size_t i = 0; i < keys_count * messages_per_key; ++i) {
    Case one{i % keys_count, std::string(message_bytes, 'a') + std::to_string(i), std::string(64, '\0'), {}, i % 16 != 15};
    const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::size_t size = one.signature.size();
    must(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pkeys[one.key].get()) == 1);
    must(EVP_DigestSign(context.get(), bytes_of(one.signature), &size, bytes_of(one.message), one.message.size()) == 1);
    if (!one.good) one.message[i % message_bytes] = 'b';
    const std::string input = one.signature.substr(0, 32) + encoded[one.key] + one.message;
    must(EVP_Digest(input.data(), input.size(), one.hash.data(), nullptr, EVP_sha512(), nullptr) == 1);
    cases.push_back(std::move(one));
  }

  const postern::Jwa& jwa = *postern::find_jwa("EdDSA");
  std::vector<Row> rows;
  rows.push_back({"crypto::verify, small table, with SHA-512 of mbedTLS",
                  [&] {
                    for (const Case& c : cases) must(verify(keys[c.key], jwa, c.message, c.signature) == c.good);
                  },
                  {}});
  rows.push_back({"ed25519 alone, small table",
                  [&] {
                    for (const Case& c : cases) must(small[c.key].verify(c.signature, c.hash) == c.good);
                  },
                  {}});
  rows.push_back({"ed25519 alone, large table",
                  [&] {
                    for (const Case& c : cases) must(large[c.key].verify(c.signature, c.hash) == c.good);
                  },
                  {}});
  rows.push_back({"import of a key, with its small table",
                  [&] {
                    for (const Case& c : cases) must(PublicKey::import(encoded[c.key]).ok());
                  },
                  {}});
  rows.push_back({"a large table",
                  [&] {
                    for (const Case& c : cases) large[c.key].set_table_size(TableSize::large);
                  },
                  {}});
  rows.push_back({"OpenSSL EVP_DigestVerify",
                  [&] {
                    for (const Case& c : cases) {
                      const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
                      must(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, pkeys[c.key].get()) == 1);
                      const int verified = EVP_DigestVerify(context.get(), bytes_of(c.signature), c.signature.size(),
                                                            bytes_of(c.message), c.message.size());
                      must((verified == 1) == c.good);
                    }
                  },
                  {}});

  for (int round = -1; round < rounds; ++round) {  // the first warms up
    for (Row& row : rows) {
      const double start = now();
      row.run();
      if (round >= 0) row.microseconds.push_back((now() - start) / static_cast<double>(cases.size()));
    }
  }
  for (Row& row : rows) std::sort(row.microseconds.begin(), row.microseconds.end());
  const auto median = [](const Row& row) { return row.microseconds[row.microseconds.size() / 2]; };
  std::printf("%-54s %8s %8s %8s %7s\n", "us for one", "median", "min", "max", "ratio");
  for (const Row& row : rows) {
    std::printf("%-54s %8.1f %8.1f %8.1f %7.2f\n", row.name, median(row), row.microseconds.front(), row.microseconds.back(),
                median(row) / median(rows.back()));
  }
}
