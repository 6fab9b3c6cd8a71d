// What OpenSSL says about an ECDSA signature over P-256 or P-384, and signatures made to order: for any key, also without its
// private half, from chosen u and v (FIPS 186-5, 6.4.2), where the hash is the result and not the start.
//
// Test-only: nothing under core/ can sign.
#pragma once

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace postern::testing {

using HashBytes = std::vector<std::uint8_t>;  // as many as a coordinate has

struct EcCurve {
  int nid;
  const char* group;
  std::size_t bytes;  // of a coordinate, of the order and of the hash
};
inline constexpr EcCurve p256_curve{NID_X9_62_prime256v1, "prime256v1", 32};
inline constexpr EcCurve p384_curve{NID_secp384r1, "secp384r1", 48};

template <auto function>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    function(object);
  }
};
using Number = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using Point = std::unique_ptr<EC_POINT, Freed<EC_POINT_free>>;

inline void require(bool success) {
  if (success) return;
  std::fprintf(stderr, "OpenSSL failed\n");
  std::abort();
}

// The curve's arithmetic, done by OpenSSL.
class EcOracle {
 public:
  explicit EcOracle(const EcCurve& curve) : curve_(curve), group_(EC_GROUP_new_by_curve_name(curve.nid)) {
    require(group_ != nullptr && context_ != nullptr);
    order_ = number(EC_GROUP_get0_order(group_.get()));
  }

  [[nodiscard]] Number number(std::uint64_t value) const {
    Number out(BN_new());
    require(BN_set_word(out.get(), value) == 1);
    return out;
  }
  [[nodiscard]] Number number(const BIGNUM* value) const { return Number(BN_dup(value)); }
  [[nodiscard]] Number number(std::string_view big_endian) const {
    return Number(
        BN_bin2bn(reinterpret_cast<const unsigned char*>(big_endian.data()), static_cast<int>(big_endian.size()), nullptr));
  }
  // n plus or minus a little.
  [[nodiscard]] Number order(std::int64_t offset = 0) const {
    Number out = number(order_.get());
    require((offset < 0 ? BN_sub_word(out.get(), static_cast<BN_ULONG>(-offset))
                        : BN_add_word(out.get(), static_cast<BN_ULONG>(offset))) == 1);
    return out;
  }
  [[nodiscard]] Number random(std::mt19937_64& source) const {
    std::string bytes;
    for (std::size_t i = 0; i < curve_.bytes + 8; i++) bytes += static_cast<char>(source());
    Number out = number(bytes);
    require(BN_mod(out.get(), out.get(), order_.get(), context_.get()) == 1);
    return out;
  }
  [[nodiscard]] Number times(const Number& a, const Number& b) const {
    Number out(BN_new());
    require(BN_mod_mul(out.get(), a.get(), b.get(), order_.get(), context_.get()) == 1);
    return out;
  }
  [[nodiscard]] Number plus(const Number& a, const Number& b) const {
    Number out(BN_new());
    require(BN_mod_add(out.get(), a.get(), b.get(), order_.get(), context_.get()) == 1);
    return out;
  }
  [[nodiscard]] Number minus(const Number& a) const {
    const Number zero = number(std::uint64_t{0});
    Number out(BN_new());
    require(BN_mod_sub(out.get(), zero.get(), a.get(), order_.get(), context_.get()) == 1);
    return out;
  }
  [[nodiscard]] Number inverse(const Number& a) const {
    return Number(BN_mod_inverse(nullptr, a.get(), order_.get(), context_.get()));
  }
  [[nodiscard]] std::string bytes(const Number& a) const {
    const auto size = static_cast<int>(curve_.bytes);
    std::string out(curve_.bytes, '\0');
    require(BN_bn2binpad(a.get(), reinterpret_cast<unsigned char*>(out.data()), size) == size);
    return out;
  }

  // u G + v point; `point` may be null.
  [[nodiscard]] Point combine(const Number& u, const Point& point, const Number& v) const {
    Point out(EC_POINT_new(group_.get()));
    require(EC_POINT_mul(group_.get(), out.get(), u.get(), point.get(), point == nullptr ? nullptr : v.get(), context_.get()) ==
            1);
    return out;
  }
  [[nodiscard]] Point multiple(const Number& u) const { return combine(u, nullptr, nullptr); }
  [[nodiscard]] Point subtract(const Point& a, const Point& b) const {
    Point out(EC_POINT_dup(b.get(), group_.get()));
    require(EC_POINT_invert(group_.get(), out.get(), context_.get()) == 1 &&
            EC_POINT_add(group_.get(), out.get(), a.get(), out.get(), context_.get()) == 1);
    return out;
  }
  [[nodiscard]] Point add(const Point& a, const Point& b) const {
    Point out(EC_POINT_new(group_.get()));
    require(EC_POINT_add(group_.get(), out.get(), a.get(), b.get(), context_.get()) == 1);
    return out;
  }
  // The point with this x, or null.
  [[nodiscard]] Point lift(const Number& x) const {
    Point out(EC_POINT_new(group_.get()));
    if (EC_POINT_set_compressed_coordinates(group_.get(), out.get(), x.get(), 0, context_.get()) != 1) return nullptr;
    return out;
  }
  [[nodiscard]] bool infinite(const Point& point) const { return EC_POINT_is_at_infinity(group_.get(), point.get()) == 1; }
  // x and y side by side.
  [[nodiscard]] std::string coordinates(const Point& point) const {
    Number x(BN_new());
    Number y(BN_new());
    require(EC_POINT_get_affine_coordinates(group_.get(), point.get(), x.get(), y.get(), context_.get()) == 1);
    return bytes(x) + bytes(y);
  }
  // r of a signature whose R is this point.
  [[nodiscard]] Number r_of(const Point& point) const {
    Number x(BN_new());
    require(EC_POINT_get_affine_coordinates(group_.get(), point.get(), x.get(), nullptr, context_.get()) == 1);
    require(BN_mod(x.get(), x.get(), order_.get(), context_.get()) == 1);
    return x;
  }

  [[nodiscard]] const EcCurve& curve() const { return curve_; }

 private:
  EcCurve curve_;
  std::unique_ptr<EC_GROUP, Freed<EC_GROUP_free>> group_;
  std::unique_ptr<BN_CTX, Freed<BN_CTX_free>> context_{BN_CTX_new()};
  Number order_;
};

// A public key as OpenSSL has it.
class EcOracleKey {
 public:
  EcOracleKey(const EcCurve& curve, std::string coordinates) : coordinates_(std::move(coordinates)) {
    const std::string encoded = '\x04' + coordinates_;  // SEC 1, 2.3.3
    std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
    require(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve.group, 0) == 1 &&
            OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, encoded.data(), encoded.size()) == 1);
    std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM_free>> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
    std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>> context(EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr));
    EVP_PKEY* key = nullptr;
    require(EVP_PKEY_fromdata_init(context.get()) == 1 &&
            EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters.get()) == 1);
    key_.reset(key);
    verifier_.reset(EVP_PKEY_CTX_new(key, nullptr));
    require(EVP_PKEY_verify_init(verifier_.get()) == 1);
  }

  [[nodiscard]] std::string_view x() const { return std::string_view(coordinates_).substr(0, coordinates_.size() / 2); }
  [[nodiscard]] std::string_view y() const { return std::string_view(coordinates_).substr(coordinates_.size() / 2); }
  [[nodiscard]] EVP_PKEY* pkey() const { return key_.get(); }

  [[nodiscard]] bool verify(const HashBytes& hash, std::string_view signature) const {
    const auto* bytes = reinterpret_cast<const unsigned char*>(signature.data());
    const auto half = static_cast<int>(signature.size() / 2);
    std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>> value(ECDSA_SIG_new());
    require(ECDSA_SIG_set0(value.get(), BN_bin2bn(bytes, half, nullptr), BN_bin2bn(bytes + half, half, nullptr)) == 1);
    std::array<unsigned char, 112> der{};  // two INTEGERs of up to 49 bytes
    unsigned char* end = der.data();
    const int size = i2d_ECDSA_SIG(value.get(), &end);
    require(size > 0 && static_cast<std::size_t>(size) <= der.size());
    return EVP_PKEY_verify(verifier_.get(), der.data(), static_cast<std::size_t>(size), hash.data(), hash.size()) == 1;
  }

 private:
  std::string coordinates_;
  std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>> key_;
  std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>> verifier_;
};

struct EcdsaCase {
  HashBytes hash;
  std::string signature;
};

inline HashBytes hash_of(const EcOracle& oracle, const Number& number) {
  const std::string bytes = oracle.bytes(number);
  return {bytes.begin(), bytes.end()};
}

// A signature of this hash by the private key d with the nonce k, r being that of k G (FIPS 186-5, 6.4.1).
inline EcdsaCase sign_ecdsa(const EcOracle& oracle, const Number& d, const Number& k, const Number& r, const Number& e) {
  const Number s = oracle.times(oracle.inverse(k), oracle.plus(e, oracle.times(r, d)));
  return {hash_of(oracle, e), oracle.bytes(r) + oracle.bytes(s)};
}

inline EcdsaCase sign_ecdsa(const EcOracle& oracle, const Number& d, const Number& k, const Number& e) {
  return sign_ecdsa(oracle, d, k, oracle.r_of(oracle.multiple(k)), e);
}

// Nonces in a row from a random one: to the next k G it is an addition, which costs OpenSSL a hundredth of a multiplication.
class Nonces {
 public:
  Nonces(const EcOracle& oracle, std::mt19937_64& random)
      : oracle_(oracle), one_(oracle.multiple(oracle.number(std::uint64_t{1}))), k_(oracle.random(random)) {
    point_ = oracle.multiple(k_);
  }
  EcdsaCase sign(const Number& d, const Number& e) {
    require(BN_add_word(k_.get(), 1) == 1);
    point_ = oracle_.add(point_, one_);
    return sign_ecdsa(oracle_, d, k_, oracle_.r_of(point_), e);
  }

 private:
  const EcOracle& oracle_;
  Point one_;
  Number k_;
  Point point_;
};

// A hash and a signature that verify by the sum u G + v Q = R, for whose x it is given r: s = r/v, e = u s.
inline EcdsaCase case_of_sum(const EcOracle& oracle, const Number& r, const Number& u, const Number& v) {
  const Number s = oracle.times(r, oracle.inverse(v));
  return {hash_of(oracle, oracle.times(u, s)), oracle.bytes(r) + oracle.bytes(s)};
}

// Good and bad signatures of a key in turn, as somebody might send them.
inline EcdsaCase random_case(const EcOracle& oracle, const Number& d, Nonces& nonces, std::mt19937_64& random) {
  EcdsaCase out = nonces.sign(d, oracle.random(random));
  std::string& signature = out.signature;
  const std::size_t half = oracle.curve().bytes;
  const auto flip = [&random](auto& bytes, std::size_t size) {
    const std::uint64_t bit = random() % (8 * size);
    bytes[bit / 8] = static_cast<std::remove_reference_t<decltype(bytes[0])>>(bytes[bit / 8] ^ (1 << bit % 8));
  };
  switch (random() % 16) {
    case 0:
    case 1:
      flip(signature, signature.size());
      break;
    case 2:
      flip(out.hash, out.hash.size());
      break;
    case 3: {  // r or s one of the values at the edges
      const std::array<Number, 6> edges = {oracle.number(std::uint64_t{0}),
                                           oracle.number(std::uint64_t{1}),
                                           oracle.order(-1),
                                           oracle.order(),
                                           oracle.order(1),
                                           oracle.number(std::string(half, '\xff'))};
      signature.replace(half * (random() % 2), half, oracle.bytes(edges[random() % edges.size()]));
      break;
    }
    case 4:  // s and r exchanged
      signature = signature.substr(half) + signature.substr(0, half);
      break;
    case 5:  // another hash
      out.hash = hash_of(oracle, oracle.random(random));
      break;
    case 6:  // all random
      signature = oracle.bytes(oracle.random(random)) + oracle.bytes(oracle.random(random));
      break;
    case 7:  // the other good one: n - s
      signature = signature.substr(0, half) + oracle.bytes(oracle.minus(oracle.number(signature.substr(half))));
      break;
    default:
      break;
  }
  return out;
}

}  // namespace postern::testing
