// Keys, nonces, hashes and damage at will: the own ECDSA, mbedTLS and OpenSSL must say the same of what comes of them.
//
// - crypto::verify answers alike with tables, while they are being built, without any, and by mbedTLS alone; as OpenSSL does.
// - What is left alone verifies.
#include <openssl/sha.h>

#include "crypto.h"
#include "ecdsa.h"
#include "fuzz/must.h"
#include "support/ec_oracle.h"
#include "table_budget.h"

namespace postern::fuzz {
namespace {

using testing::EcOracle;
using testing::HashBytes;
using testing::Number;

class Bytes {
 public:
  Bytes(const std::uint8_t* bytes, std::size_t size) : rest_(text_of(bytes, size)) {}
  std::uint8_t byte() {
    if (rest_.empty()) return 0;
    const auto out = static_cast<std::uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return out;
  }
  std::string take(std::size_t size) {
    std::string out(rest_.substr(0, size));
    rest_.remove_prefix(out.size());
    out.resize(size, '\0');
    return out;
  }
  // In [1, n-1]: near an end, a few bits somewhere, or any.
  Number number(const EcOracle& oracle) {
    const std::uint8_t kind = byte();
    const std::uint8_t value = byte();
    Number out;
    switch (kind % 4) {
      case 0:
        out = oracle.number(std::uint64_t{value});
        break;
      case 1:
        out = oracle.minus(oracle.number(std::uint64_t{value}));
        break;
      case 2:
        out = oracle.number(std::uint64_t{value});
        testing::require(BN_lshift(out.get(), out.get(), byte() % (8 * static_cast<int>(oracle.curve().bytes) - 8)) == 1);
        out = oracle.times(out, oracle.number(std::uint64_t{1}));
        break;
      default:
        out = oracle.times(oracle.number(std::string_view(take(oracle.curve().bytes))), oracle.number(std::uint64_t{1}));
    }
    return BN_is_zero(out.get()) != 0 ? oracle.number(std::uint64_t{1}) : std::move(out);
  }
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

struct Curve {
  std::string_view alg;
  KeyKind kind;
  EcOracle oracle;
  std::unique_ptr<EcdsaKey> (*make)(TableBudget&, std::string_view, std::string_view);
};

HashBytes hash_of_input(const Curve& curve, std::string_view input) {
  HashBytes out(curve.oracle.curve().bytes);
  (curve.kind == KeyKind::ec_p256 ? SHA256 : SHA384)(reinterpret_cast<const unsigned char*>(input.data()), input.size(),
                                                     out.data());
  return out;
}

void try_one(const Curve& curve, Bytes in) {
  const EcOracle& oracle = curve.oracle;
  const std::uint8_t choices = in.byte();
  const Number nonce = in.number(oracle);
  Number d = in.number(oracle);
  const std::uint8_t damage = in.byte();
  const std::uint8_t where = in.byte();
  const std::string_view input = in.rest();
  const HashBytes hash = hash_of_input(curve, input);
  const Number e = oracle.number(std::string_view(reinterpret_cast<const char*>(hash.data()), hash.size()));
  const Number r = oracle.r_of(oracle.multiple(nonce));
  // Keys made to fit hash and nonce, under which both halves of the sum are the same point, or opposite ones.
  const bool own_key = choices % 4 >= 2;
  if (own_key) d = oracle.times(e, oracle.inverse(r));
  if (choices % 4 == 3) d = oracle.minus(d);
  if (BN_is_zero(d.get()) != 0) return;
  const testing::EcOracleKey key(oracle.curve(), oracle.coordinates(oracle.multiple(d)));
  std::string signature = sign_ecdsa(oracle, d, nonce, e).signature;
  const std::size_t half = oracle.curve().bytes;
  switch (damage % 8) {
    case 1:
      signature[where % signature.size()] = static_cast<char>(signature[where % signature.size()] ^ (1 << damage / 32));
      break;
    case 2:
      signature = signature.substr(half) + signature.substr(0, half);
      break;
    case 3:
      signature.replace(half * (where % 2), half, oracle.bytes(oracle.order(where / 2 % 3 - 1)));
      break;
    case 4:
      signature.replace(half * (where % 2), half, std::string(half, where / 2 % 2 == 0 ? '\0' : '\xff'));
      break;
    case 5:
      signature = signature.substr(0, half) + oracle.bytes(oracle.minus(oracle.number(signature.substr(half))));
      break;
    default:
      break;
  }
  const bool expected = key.verify(hash, signature);
  if (damage % 8 == 0 || damage % 8 >= 5) {
    // s = 0 is no signature, and comes of e = -r d.
    must(expected || own_key || signature.substr(half) == std::string(half, '\0'), "what is signed and left alone verifies");
  }

  const Jwa& jwa = *find_jwa(curve.alg);
  auto portable = crypto::import_ec(curve.kind, key.x(), key.y());
  must(portable.ok(), "mbedTLS takes the key");
  must(crypto::verify(*portable, jwa, input, signature) == expected, "mbedTLS as OpenSSL", curve.alg);

  // Tables: none, the small ones of both points, large ones; or as far as a number of slices goes.
  TableBudget budget(choices % 8 >= 4 ? table_bytes_max_default : std::size_t{choices} * 4096);
  const auto own = curve.make(budget, key.x(), key.y());
  must(own != nullptr, "the own code takes the key");
  own->request(choices % 16 >= 8 ? TableSize::large : TableSize::small);
  for (int slices = choices / 8; slices > 0 && budget.build_step(); --slices) {
  }
  must(budget.bytes() <= budget.bytes_max(), "the budget is kept");
  const EcdsaAnswer answer = own->verify(hash, signature);
  if (answer != EcdsaAnswer::undecided) must((answer == EcdsaAnswer::accepted) == expected, "the own code as OpenSSL", curve.alg);

  auto with_tables = crypto::import_ec(curve.kind, key.x(), key.y());
  with_tables->use_tables(std::make_shared<TableBudget>());
  must(crypto::verify(*with_tables, jwa, input, signature) == expected, "with tables as OpenSSL", curve.alg);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  static const Curve p256{"ES256", KeyKind::ec_p256, EcOracle(testing::p256_curve), make_p256_key};
  static const Curve p384{"ES384", KeyKind::ec_p384, EcOracle(testing::p384_curve), make_p384_key};
  Bytes in(bytes, size);
  try_one(in.byte() % 4 == 3 ? p384 : p256, in);
  return 0;
}

}  // namespace postern::fuzz
