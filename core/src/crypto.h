// Verification keys and hashes; with signing.cpp, crypto.cpp alone includes mbedTLS.
//
// Everything here works on public data except HMAC, whose comparison is constant-time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "jwa.h"
#include "postern/result.h"

namespace postern {
class TableBudget;
}

namespace postern::crypto {

// HMAC (RFC 2104, FIPS 198-1) under one secret. What the padded secret does to both hashes is computed once, here, and each MAC
// goes on from there.
class Hmac {
 public:
  // As FIPS 198-1 has it, any length; what is too short for a JWS is for import_symmetric to say.
  Hmac(Hash hash, std::string_view secret);
  Hmac(Hmac&&) noexcept;
  Hmac& operator=(Hmac&&) noexcept;
  ~Hmac();
  [[nodiscard]] Hash hash() const;
  // As many bytes as the hash has; the others are zeros.
  [[nodiscard]] std::array<std::uint8_t, 64> mac(std::string_view input) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// An imported key that passed the hygiene checks. Movable, not copyable.
class Key {
 public:
  Key(Key&&) noexcept;
  Key& operator=(Key&&) noexcept;
  ~Key();
  [[nodiscard]] KeyKind kind() const;
  [[nodiscard]] std::size_t signature_bytes(const Jwa& jwa) const;  // exact length for this key
  // From now on this key is verified by the own code where there is some for its kind (P-256, P-384, Ed25519), with tables from
  // this budget; until then by mbedTLS, and Ed25519 with its small table. The answers are the same.
  void use_tables(std::shared_ptr<TableBudget> tables);

  struct State;
  explicit Key(std::unique_ptr<State> state);
  [[nodiscard]] const State& state() const { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

// Why a key was refused; for logs at load, holds nothing of the key.
enum class KeyFault : std::uint8_t {
  rsa_modulus_size,  // under 2048 or over 8192 bits, or leading zeros
  rsa_modulus_even,
  rsa_exponent,         // even, not over 2^16, over 64 bits, or leading zeros (NIST SP 800-56B 6.2)
  rsa_weak,             // ROCA, CVE-2017-15361
  point_size,           // a coordinate of the wrong length (RFC 7518 6.2.1.2)
  point_not_canonical,  // not the one encoding of a point (RFC 8032 5.1.3)
  point_not_on_curve,
  point_small_order,
  secret_too_short,  // shorter than the hash (RFC 7518 3.2)
  unsupported,
};

[[nodiscard]] Result<Key, KeyFault> import_rsa(std::string_view modulus, std::string_view exponent);
[[nodiscard]] Result<Key, KeyFault> import_ec(KeyKind curve, std::string_view x, std::string_view y);
// The 32 bytes of RFC 8037 2, `x`: only the one encoding of a point, and none of small order.
[[nodiscard]] Result<Key, KeyFault> import_ed25519(std::string_view point);
// For HMAC with `hash`; under another one nothing verifies. `secret_bytes_min`: the shortest secret allowed.
[[nodiscard]] Result<Key, KeyFault> import_symmetric(Hash hash, std::string_view secret, std::size_t secret_bytes_min);

#ifdef POSTERN_WASM
// For the host's own verifier: modulus and exponent of an RSA key, big-endian; nothing for other kinds.
struct RsaNumbers {
  std::string modulus;
  std::string exponent;
};
[[nodiscard]] std::optional<RsaNumbers> export_rsa(const Key& key);
#endif

// True only if `signature` has the exact length and verifies. The key's kind must fit the row.
[[nodiscard]] bool verify(const Key& key, const Jwa& jwa, std::string_view input, std::string_view signature);

[[nodiscard]] bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace postern::crypto
