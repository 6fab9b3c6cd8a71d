#include "signing.h"

#include <array>
#include <optional>

#include <mbedtls/ecdsa.h>
#include <mbedtls/ecp.h>
#include <mbedtls/hmac_drbg.h>
#include <mbedtls/md.h>
#include <mbedtls/platform_util.h>

#include "base64url.h"
#include "crypto.h"
#include "json.h"
#include "sha256.h"

namespace postern {
namespace {

constexpr std::size_t coordinate_bytes = 32;  // P-256
constexpr std::size_t secret_bytes_min = 32;  // RFC 7518 section 3.2: as long as the hash

const unsigned char* bytes_of(std::string_view text) { return reinterpret_cast<const unsigned char*>(text.data()); }

const mbedtls_md_info_t* sha256_info() { return mbedtls_md_info_from_type(MBEDTLS_MD_SHA256); }

// Random numbers that only who has the key could foretell: they blind the multiplication against measuring, and decide
// nothing of the result.
class Blinding {
 public:
  Blinding(std::string_view secret, std::string_view message) {
    mbedtls_hmac_drbg_init(&state_);
    const std::string seed = std::string(secret) + std::string(message);
    good_ = mbedtls_hmac_drbg_seed_buf(&state_, sha256_info(), bytes_of(seed), seed.size()) == 0;
  }
  ~Blinding() { mbedtls_hmac_drbg_free(&state_); }
  Blinding(const Blinding&) = delete;
  Blinding& operator=(const Blinding&) = delete;
  [[nodiscard]] bool good() const { return good_; }
  mbedtls_hmac_drbg_context* get() { return &state_; }

 private:
  mbedtls_hmac_drbg_context state_;
  bool good_ = false;
};

}  // namespace

struct SigningKey::State {
  State() {
    mbedtls_ecp_group_init(&group);
    mbedtls_mpi_init(&d);
  }
  ~State() {
    mbedtls_ecp_group_free(&group);
    mbedtls_mpi_free(&d);
    mbedtls_platform_zeroize(secret.data(), secret.size());
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  const Jwa* alg = nullptr;
  std::string kid;
  std::optional<crypto::Hmac> hmac;  // HS256
  std::string secret;                // ES256: the bytes of d
  mutable mbedtls_ecp_group group;   // ES256; mbedTLS keeps tables in it
  mbedtls_mpi d;
};

SigningKey::SigningKey(std::unique_ptr<State> state) : state_(std::move(state)) {}
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;
SigningKey::~SigningKey() = default;

const Jwa& SigningKey::alg() const { return *state_->alg; }
const std::string& SigningKey::kid() const { return state_->kid; }

Result<SigningKey, const char*> SigningKey::import(const Jwa& alg, std::string_view text) {
  auto state = std::make_unique<State>();
  state->alg = &alg;
  if (alg.scheme == Scheme::hmac && alg.hash == Hash::sha256) {
    if (text.size() < secret_bytes_min) return "a secret for HS256 has 32 bytes or more";
    state->hmac.emplace(alg.hash, text);
    return SigningKey(std::move(state));
  }
  if (alg.scheme != Scheme::ecdsa || alg.key_kind != KeyKind::ec_p256) return "only ES256 and HS256 sign here";

  const auto jwk = json::parse(text);
  const auto member = [&](std::string_view name) {
    const json::Value* value = jwk ? jwk->find(name) : nullptr;
    return value == nullptr ? std::string{} : value->as_string();
  };
  if (member("kty") != "EC" || member("crv") != "P-256") {
    return "must be a private JWK of kty EC and crv P-256; `postern new-key` makes one";
  }
  const auto x = base64url::decode(member("x"));
  const auto y = base64url::decode(member("y"));
  auto d = base64url::decode(member("d"));
  const auto right_size = [](const auto& bytes) { return bytes && bytes->size() == coordinate_bytes; };
  if (!right_size(x) || !right_size(y) || !right_size(d)) return "x, y and d must have 32 bytes each, in base64url";
  if (!crypto::import_ec(KeyKind::ec_p256, *x, *y)) return "x and y are no point of P-256";

  state->secret = *d;
  mbedtls_platform_zeroize(d->data(), d->size());
  if (mbedtls_ecp_group_load(&state->group, MBEDTLS_ECP_DP_SECP256R1) != 0 ||
      mbedtls_mpi_read_binary(&state->d, bytes_of(state->secret), state->secret.size()) != 0 ||
      mbedtls_ecp_check_privkey(&state->group, &state->d) != 0) {
    return "d is no private key of P-256";
  }
  // What is published must be what verifies: d and the point belong together.
  mbedtls_ecp_point point;
  mbedtls_ecp_point_init(&point);
  Blinding blinding(state->secret, "import");
  std::array<unsigned char, 1 + 2 * coordinate_bytes> encoded{};
  std::size_t size = 0;
  const bool computed =
      blinding.good() &&
      mbedtls_ecp_mul(&state->group, &point, &state->d, &state->group.G, mbedtls_hmac_drbg_random, blinding.get()) == 0 &&
      mbedtls_ecp_point_write_binary(&state->group, &point, MBEDTLS_ECP_PF_UNCOMPRESSED, &size, encoded.data(), encoded.size()) ==
          0;
  mbedtls_ecp_point_free(&point);
  if (!computed || std::string_view(reinterpret_cast<const char*>(encoded.data()) + 1, size - 1) != *x + *y) {
    return "x and y are not the public key of d";
  }
  state->kid = member("kid");
  if (state->kid.empty()) {
    // RFC 7638 section 3.2: the required members in this order.
    const auto thumbprint =
        sha256::digest(R"({"crv":"P-256","kty":"EC","x":")" + member("x") + R"(","y":")" + member("y") + R"("})");
    state->kid = base64url::encode({reinterpret_cast<const char*>(thumbprint.data()), thumbprint.size()});
  }
  return SigningKey(std::move(state));
}

std::string SigningKey::sign(std::string_view input) const {
  if (state_->hmac) {
    const auto mac = state_->hmac->mac(input);
    return {reinterpret_cast<const char*>(mac.data()), state_->alg->signature_bytes};
  }
  std::array<unsigned char, 2 * coordinate_bytes> out{};
  const auto digest = sha256::digest(input);
  Blinding blinding(state_->secret, {reinterpret_cast<const char*>(digest.data()), digest.size()});
  mbedtls_mpi r;
  mbedtls_mpi s;
  mbedtls_mpi_init(&r);
  mbedtls_mpi_init(&s);
  const bool done = blinding.good() &&
                    mbedtls_ecdsa_sign_det_ext(&state_->group, &r, &s, &state_->d, digest.data(), digest.size(),
                                               MBEDTLS_MD_SHA256, mbedtls_hmac_drbg_random, blinding.get()) == 0 &&
                    mbedtls_mpi_write_binary(&r, out.data(), coordinate_bytes) == 0 &&
                    mbedtls_mpi_write_binary(&s, out.data() + coordinate_bytes, coordinate_bytes) == 0;
  mbedtls_mpi_free(&r);
  mbedtls_mpi_free(&s);
  if (!done) __builtin_trap();
  return {reinterpret_cast<const char*>(out.data()), out.size()};
}

std::string sign_jws(const SigningKey& key, std::string_view payload) {
  std::string header = R"({"alg":")" + std::string(key.alg().name) + R"(","typ":"postern+jwt")";
  if (!key.kid().empty()) {
    header += R"(,"kid":)";
    json::write_string(header, key.kid());
  }
  const std::string input = base64url::encode(header + "}") + "." + base64url::encode(payload);
  return input + "." + base64url::encode(key.sign(input));
}

}  // namespace postern
