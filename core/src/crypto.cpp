#include "crypto.h"

#include <algorithm>
#include <utility>

#include <mbedtls/bignum.h>
#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>
#include <mbedtls/rsa.h>
#include <mbedtls/sha256.h>
#include <mbedtls/sha512.h>

// Alone among these headers it does not say so itself.
extern "C" {
#include <mbedtls/constant_time.h>
}

#include "ecdsa.h"
#include "ed25519.h"
#include "sha256.h"
#include "table_budget.h"

#ifdef MBEDTLS_SHA256_PROCESS_ALT
// What mbedTLS itself hashes in wasm (PSS's masks, the nonces of ES256) is hashed by the own code too: there is one SHA-256.
extern "C" int mbedtls_internal_sha256_process(mbedtls_sha256_context* context, const unsigned char* block) {
  postern::sha256::State state;
  std::copy_n(context->MBEDTLS_PRIVATE(state), state.size(), state.begin());
  postern::sha256::compress(state, block, 1);
  std::copy(state.begin(), state.end(), context->MBEDTLS_PRIVATE(state));
  mbedtls_platform_zeroize(state.data(), sizeof state);  // a nonce's is a secret
  return 0;
}
#endif

namespace postern::crypto {

namespace {

// Asks for a larger table than the 7 KB that every Ed25519 key has, once it is busy.
class Ed25519User final : public TableUser {
 public:
  Ed25519User(TableBudget& budget, ed25519::PublicKey& key) : TableUser(budget), key_(key) {}

 private:
  // It costs some eight verifications and takes a quarter off each.
  static constexpr std::uint64_t large_table_uses = 32;

  [[nodiscard]] std::optional<TableOffer> offer(TableSize size) const override {
    if (size == TableSize::small) return std::nullopt;
    return TableOffer{ed25519::PublicKey::table_bytes(ed25519::TableSize::large), large_table_uses};
  }
  bool build_slice(TableSize /*large*/) override {
    key_.set_table_size(ed25519::TableSize::large);
    return true;
  }
  void drop_table() override { key_.set_table_size(ed25519::TableSize::small); }

  ed25519::PublicKey& key_;
};

}  // namespace

// What mbedTLS computes once per key (Montgomery constants, comb tables) it keeps in these, so verifying
// writes to them: a Key is used by one thread.
struct Key::State {
  explicit State(KeyKind of_kind) : kind(of_kind) {
    mbedtls_rsa_init(&rsa);
    mbedtls_ecp_group_init(&group);
    mbedtls_ecp_point_init(&point);
  }
  ~State() {
    mbedtls_rsa_free(&rsa);
    mbedtls_ecp_group_free(&group);
    mbedtls_ecp_point_free(&point);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  KeyKind kind;
  mutable mbedtls_rsa_context rsa;  // rsa only
  mutable mbedtls_ecp_group group;  // ec_* only
  mutable mbedtls_ecp_point point;  // ec_* only
  std::optional<Hmac> hmac;         // symmetric only
  std::string coordinates;          // ec_* only: x, then y
  std::optional<ed25519::PublicKey> ed25519_key;

  // After use_tables. The budget outlives who uses it.
  std::shared_ptr<TableBudget> tables;
  std::unique_ptr<EcdsaKey> ecdsa;  // ec_p256 and ec_p384 only
  std::unique_ptr<Ed25519User> ed25519_user;
};

Key::Key(std::unique_ptr<State> state) : state_(std::move(state)) {}
Key::Key(Key&&) noexcept = default;
Key& Key::operator=(Key&&) noexcept = default;
Key::~Key() = default;

KeyKind Key::kind() const { return state_->kind; }

std::size_t Key::signature_bytes(const Jwa& jwa) const {
  return state_->kind == KeyKind::rsa ? mbedtls_rsa_get_len(&state_->rsa) : jwa.signature_bytes;
}

void Key::use_tables(std::shared_ptr<TableBudget> tables) {
  State& state = *state_;
  if (state.tables != nullptr) return;
  state.tables = std::move(tables);
  if (state.kind == KeyKind::ed25519) state.ed25519_user = std::make_unique<Ed25519User>(*state.tables, *state.ed25519_key);
  if (state.kind != KeyKind::ec_p256 && state.kind != KeyKind::ec_p384) return;
  const std::string_view x = std::string_view(state.coordinates).substr(0, state.coordinates.size() / 2);
  const std::string_view y = std::string_view(state.coordinates).substr(x.size());
  state.ecdsa = state.kind == KeyKind::ec_p256 ? make_p256_key(*state.tables, x, y) : make_p384_key(*state.tables, x, y);
  if (state.ecdsa == nullptr) __builtin_trap();  // mbedTLS took the point
}

namespace {

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

class Mpi {
 public:
  Mpi() { mbedtls_mpi_init(&value_); }
  ~Mpi() { mbedtls_mpi_free(&value_); }
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;
  [[nodiscard]] bool read(std::string_view big_endian) {
    return mbedtls_mpi_read_binary(&value_, bytes_of(big_endian), big_endian.size()) == 0;
  }
  mbedtls_mpi* get() { return &value_; }

 private:
  mbedtls_mpi value_;
};

mbedtls_md_type_t md_type(Hash hash) {
  switch (hash) {
    case Hash::sha256:
      return MBEDTLS_MD_SHA256;
    case Hash::sha384:
      return MBEDTLS_MD_SHA384;
    case Hash::sha512:
      return MBEDTLS_MD_SHA512;
    case Hash::none:
      break;
  }
  return MBEDTLS_MD_NONE;
}

struct Curve {
  mbedtls_ecp_group_id id = MBEDTLS_ECP_DP_NONE;
  std::size_t coordinate_bytes = 0;  // RFC 7518 6.2.1.2: the field size, rounded up
};

Curve curve_of(KeyKind kind) {
  switch (kind) {
    case KeyKind::ec_p256:
      return {MBEDTLS_ECP_DP_SECP256R1, 32};
    case KeyKind::ec_p384:
      return {MBEDTLS_ECP_DP_SECP384R1, 48};
    case KeyKind::ec_p521:
      return {MBEDTLS_ECP_DP_SECP521R1, 66};
    case KeyKind::ec_secp256k1:
      return {MBEDTLS_ECP_DP_SECP256K1, 32};
    case KeyKind::symmetric:
    case KeyKind::rsa:
    case KeyKind::ed25519:
      break;
  }
  return {};
}

std::uint32_t remainder(std::string_view big_endian, std::uint32_t divisor) {
  std::uint32_t rest = 0;
  for (const char c : big_endian) rest = ((rest << 8U) | static_cast<unsigned char>(c)) % divisor;
  return rest;
}

// Whether the modulus carries the ROCA fingerprint (CVE-2017-15361): Nemec, Sys, Svenda, Klinec, Matyas, "The
// Return of Coppersmith's Attack", CCS 2017, section 3. The faulty generator made primes k * M + (65537^a mod M),
// M a product of the first primes (39 at least, for every key size), so their product is a power of 65537 modulo
// each of these. A sound modulus is one by chance in fewer than one of 2^27 cases.
bool has_roca_fingerprint(std::string_view modulus) {
  constexpr std::array<std::uint8_t, 38> primes{3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                                47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                                107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
  for (const std::uint32_t prime : primes) {
    const std::uint32_t rest = remainder(modulus, prime);
    std::uint32_t power = 1;
    bool member = false;
    do {
      member = member || power == rest;
      power = power * 65537U % prime;
    } while (power != 1);
    if (!member) return false;
  }
  return true;
}

// As long as the longest hash; a shorter one's bytes come first, then zeros.
using Digest = std::array<unsigned char, 64>;

std::string_view text_of(const Digest& digest, std::size_t size) { return {reinterpret_cast<const char*>(digest.data()), size}; }

std::size_t hash_bytes(Hash hash) { return hash == Hash::sha256 ? 32 : hash == Hash::sha384 ? 48 : 64; }

// SHA-384 and SHA-512; its copies go on from where it stands.
class Sha512 {
 public:
  explicit Sha512(Hash hash) {
    mbedtls_sha512_init(&context_);
    require(mbedtls_sha512_starts(&context_, hash == Hash::sha384 ? 1 : 0));
  }
  Sha512(const Sha512& other) : context_(other.context_) {}
  Sha512& operator=(const Sha512&) = delete;
  ~Sha512() { mbedtls_sha512_free(&context_); }  // zeroizes it

  Sha512& update(std::string_view bytes) {
    require(mbedtls_sha512_update(&context_, bytes_of(bytes), bytes.size()));
    return *this;
  }
  Digest finish() {
    Digest out{};
    require(mbedtls_sha512_finish(&context_, out.data()));
    return out;
  }

 private:
  // Fails only for wrong arguments or hardware acceleration, which is not configured; a digest of zeros must never pass for one.
  static void require(int result) {
    if (result != 0) __builtin_trap();
  }
  mbedtls_sha512_context context_;
};

Digest digest_of(Hash hash, std::string_view input) {
  if (hash != Hash::sha256) return Sha512(hash).update(input).finish();
  Digest out{};
  sha256::Digest digest = sha256::digest(input);
  std::copy(digest.begin(), digest.end(), out.begin());
  mbedtls_platform_zeroize(digest.data(), digest.size());  // what is hashed may be a secret
  return out;
}

}  // namespace

struct Hmac::State {
  explicit State(Hash of_hash) : hash(of_hash) {}
  ~State() {
    mbedtls_platform_zeroize(inner256.data(), sizeof inner256);
    mbedtls_platform_zeroize(outer256.data(), sizeof outer256);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  Hash hash;
  // After a block of the padded secret, exclusive-or 0x36 and 0x5c.
  sha256::State inner256 = sha256::initial;
  sha256::State outer256 = sha256::initial;
  std::optional<Sha512> inner512;  // SHA-384 and SHA-512
  std::optional<Sha512> outer512;
};

Hmac::Hmac(Hmac&&) noexcept = default;
Hmac& Hmac::operator=(Hmac&&) noexcept = default;
Hmac::~Hmac() = default;

// FIPS 198-1 section 4, steps 1 to 5 and 7.
Hmac::Hmac(Hash hash, std::string_view secret) : state_(std::make_unique<State>(hash)) {
  const std::size_t block_bytes = hash == Hash::sha256 ? 64 : 128;
  std::array<unsigned char, 128> block{};
  if (secret.size() > block_bytes) {
    Digest digest = digest_of(hash, secret);
    std::copy_n(digest.begin(), hash_bytes(hash), block.begin());
    mbedtls_platform_zeroize(digest.data(), digest.size());
  } else {
    std::copy_n(bytes_of(secret), secret.size(), block.begin());
  }
  const auto take = [&](unsigned char pad, sha256::State& state256, std::optional<Sha512>& state512) {
    for (unsigned char& byte : block) byte ^= pad;
    if (hash == Hash::sha256) {
      sha256::compress(state256, block.data(), 1);
    } else {
      state512.emplace(hash).update({reinterpret_cast<const char*>(block.data()), block.size()});
    }
  };
  take(0x36, state_->inner256, state_->inner512);
  take(0x36 ^ 0x5c, state_->outer256, state_->outer512);
  mbedtls_platform_zeroize(block.data(), block.size());
}

Hash Hmac::hash() const { return state_->hash; }

// Steps 6, 8 and 9.
std::array<std::uint8_t, 64> Hmac::mac(std::string_view input) const {
  const State& state = *state_;
  if (state.hash != Hash::sha256) {
    const Digest inner = Sha512(*state.inner512).update(input).finish();
    return Sha512(*state.outer512).update(text_of(inner, hash_bytes(state.hash))).finish();
  }
  const sha256::Digest inner = sha256::finish(state.inner256, sha256::block_bytes, input);
  const sha256::Digest outer =
      sha256::finish(state.outer256, sha256::block_bytes, {reinterpret_cast<const char*>(inner.data()), inner.size()});
  Digest out{};
  std::copy(outer.begin(), outer.end(), out.begin());
  return out;
}

namespace {

bool verify_hmac(const Hmac& key, Hash hash, std::string_view input, std::string_view signature) {
  if (key.hash() != hash) return false;
  return equal_constant_time(text_of(key.mac(input), hash_bytes(hash)), signature);
}

bool verify_rsa(const Key::State& key, const Jwa& jwa, const Digest& digest, std::size_t digest_size,
                std::string_view signature) {
  const mbedtls_md_type_t md = md_type(jwa.hash);
  if (jwa.scheme == Scheme::rsa_pss) {
    // RFC 7518 3.5: the salt is as long as the hash, and MGF1 uses the same hash.
    return mbedtls_rsa_rsassa_pss_verify_ext(&key.rsa, md, static_cast<unsigned>(digest_size), digest.data(), md,
                                             static_cast<int>(digest_size), bytes_of(signature)) == 0;
  }
  return mbedtls_rsa_rsassa_pkcs1_v15_verify(&key.rsa, md, static_cast<unsigned>(digest_size), digest.data(),
                                             bytes_of(signature)) == 0;
}

// RFC 7518 3.4: r and s, big-endian, each as long as the order. mbedtls_ecdsa_verify refuses r and s outside
// [1, n-1] first of all (CVE-2022-21449 is what happens otherwise).
bool verify_ecdsa(const Key::State& key, const Digest& digest, std::size_t digest_size, std::string_view signature) {
  if (key.ecdsa != nullptr) {
    switch (key.ecdsa->verify(std::span(digest.data(), digest_size), signature)) {
      case EcdsaAnswer::accepted:
        return true;
      case EcdsaAnswer::refused:
        return false;
      case EcdsaAnswer::undecided:
        break;
    }
  }
  const std::size_t half = signature.size() / 2;
  Mpi r;
  Mpi s;
  if (!r.read(signature.substr(0, half)) || !s.read(signature.substr(half))) return false;
  return mbedtls_ecdsa_verify(&key.group, digest.data(), digest_size, &key.point, r.get(), s.get()) == 0;
}

// RFC 8032 5.1.7, with the SHA-512(R || A || M) of its step 2.
bool verify_ed25519(const Key::State& state, std::string_view input, std::string_view signature) {
  if (!state.ed25519_key) return false;
  const ed25519::PublicKey& key = *state.ed25519_key;
  const ed25519::Hash hash = Sha512(Hash::sha512).update(signature.substr(0, 32)).update(key.encoded()).update(input).finish();
  const bool good = key.verify(signature, hash);
  if (good && state.ed25519_user != nullptr) state.ed25519_user->count_use();
  return good;
}

}  // namespace

Result<Key, KeyFault> import_rsa(std::string_view modulus, std::string_view exponent) {
  // 2048: RFC 7518 3.3. 8192: four times the cost of 4096, and nobody is known to publish more.
  constexpr std::size_t bits_min = 2048;
  constexpr std::size_t bits_max = 8192;
  // Larger exponents are legal but only make each verification dearer, which is for the issuer to abuse.
  constexpr std::size_t exponent_bytes_max = 8;

  if (modulus.empty() || modulus.front() == '\0' || modulus.size() > bits_max / 8) return KeyFault::rsa_modulus_size;
  if (exponent.empty() || exponent.front() == '\0' || exponent.size() > exponent_bytes_max) {
    return KeyFault::rsa_exponent;
  }
  std::uint64_t e = 0;
  for (const char c : exponent) e = (e << 8U) | static_cast<unsigned char>(c);
  if (e % 2 == 0 || e <= 0x10000) return KeyFault::rsa_exponent;

  auto state = std::make_unique<Key::State>(KeyKind::rsa);
  if (mbedtls_rsa_import_raw(&state->rsa, bytes_of(modulus), modulus.size(), nullptr, 0, nullptr, 0, nullptr, 0,
                             bytes_of(exponent), exponent.size()) != 0) {
    return KeyFault::unsupported;
  }
  if (mbedtls_rsa_get_bitlen(&state->rsa) < bits_min) return KeyFault::rsa_modulus_size;
  if (static_cast<unsigned char>(modulus.back()) % 2 == 0) return KeyFault::rsa_modulus_even;
  if (has_roca_fingerprint(modulus)) return KeyFault::rsa_weak;
  if (mbedtls_rsa_complete(&state->rsa) != 0 || mbedtls_rsa_check_pubkey(&state->rsa) != 0) {
    return KeyFault::unsupported;
  }
  return Key(std::move(state));
}

#ifdef POSTERN_WASM
std::optional<RsaNumbers> export_rsa(const Key& key) {
  if (key.kind() != KeyKind::rsa) return std::nullopt;
  RsaNumbers out;
  out.modulus.resize(mbedtls_rsa_get_len(&key.state().rsa));
  out.exponent.resize(8);  // import_rsa takes no longer ones
  if (mbedtls_rsa_export_raw(&key.state().rsa, reinterpret_cast<unsigned char*>(out.modulus.data()), out.modulus.size(), nullptr,
                             0, nullptr, 0, nullptr, 0, reinterpret_cast<unsigned char*>(out.exponent.data()),
                             out.exponent.size()) != 0) {
    return std::nullopt;
  }
  out.exponent.erase(0, out.exponent.find_first_not_of('\0'));  // RFC 7518 6.3.1.2: no leading zeros
  return out;
}
#endif

Result<Key, KeyFault> import_ec(KeyKind kind, std::string_view x, std::string_view y) {
  const Curve curve = curve_of(kind);
  if (curve.id == MBEDTLS_ECP_DP_NONE) return KeyFault::unsupported;
  if (x.size() != curve.coordinate_bytes || y.size() != curve.coordinate_bytes) return KeyFault::point_size;

  auto state = std::make_unique<Key::State>(kind);
  if (mbedtls_ecp_group_load(&state->group, curve.id) != 0) return KeyFault::unsupported;
  constexpr char uncompressed = '\x04';  // SEC 1, 2.3.3
  std::string encoded(1, uncompressed);
  encoded.append(x).append(y);
  if (mbedtls_ecp_point_read_binary(&state->group, &state->point, bytes_of(encoded), encoded.size()) != 0 ||
      mbedtls_ecp_check_pubkey(&state->group, &state->point) != 0) {
    return KeyFault::point_not_on_curve;
  }
  state->coordinates = encoded.substr(1);
  return Key(std::move(state));
}

Result<Key, KeyFault> import_ed25519(std::string_view point) {
  auto key = ed25519::PublicKey::import(point);
  if (!key) {
    switch (key.error()) {
      case ed25519::Fault::size:
        return KeyFault::point_size;
      case ed25519::Fault::not_canonical:
        return KeyFault::point_not_canonical;
      case ed25519::Fault::not_on_curve:
        return KeyFault::point_not_on_curve;
      case ed25519::Fault::small_order:
        return KeyFault::point_small_order;
    }
    return KeyFault::unsupported;
  }
  auto state = std::make_unique<Key::State>(KeyKind::ed25519);
  state->ed25519_key = std::move(key).value();
  return Key(std::move(state));
}

Result<Key, KeyFault> import_symmetric(Hash hash, std::string_view secret, std::size_t secret_bytes_min) {
  if (hash == Hash::none) return KeyFault::unsupported;
  if (secret.empty() || secret.size() < secret_bytes_min) return KeyFault::secret_too_short;
  auto state = std::make_unique<Key::State>(KeyKind::symmetric);
  state->hmac.emplace(hash, secret);
  return Key(std::move(state));
}

bool verify(const Key& key, const Jwa& jwa, std::string_view input, std::string_view signature) {
  if (key.kind() != jwa.key_kind) return false;
  if (signature.size() != key.signature_bytes(jwa) || signature.empty()) return false;
  const Key::State& state = key.state();
  const std::size_t digest_size = hash_bytes(jwa.hash);
  if (jwa.scheme == Scheme::hmac) return verify_hmac(*state.hmac, jwa.hash, input, signature);
  if (jwa.scheme == Scheme::eddsa) return verify_ed25519(state, input, signature);

  const Digest digest = digest_of(jwa.hash, input);
  switch (jwa.scheme) {
    case Scheme::rsa_pkcs1:
    case Scheme::rsa_pss:
      return verify_rsa(state, jwa, digest, digest_size, signature);
    case Scheme::ecdsa:
      return verify_ecdsa(state, digest, digest_size, signature);
    case Scheme::hmac:
    case Scheme::eddsa:
      break;
  }
  return false;
}

bool equal_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && mbedtls_ct_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace postern::crypto
