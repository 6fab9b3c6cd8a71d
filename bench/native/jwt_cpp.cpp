// jwt-cpp over OpenSSL: a string in, the verified and decoded token out. It is told which key, in its favour.
#include "contestant.h"

#if POSTERN_BENCH_JWT_CPP
#include <jwt-cpp/traits/nlohmann-json/traits.h>

#include <optional>

namespace bench {
namespace {

using traits = jwt::traits::nlohmann_json;
using Verifier = jwt::verifier<jwt::default_clock, traits>;
using Decoded = jwt::decoded_jwt<traits>;

Verifier make_verifier(const std::string& alg, const Key& key) {
  auto verifier = jwt::verify<jwt::default_clock, traits>(jwt::default_clock{}).with_issuer(issuer).with_audience(audience);
  if (alg == "ES256") verifier.allow_algorithm(jwt::algorithm::es256(key.pem));
  if (alg == "ES384") verifier.allow_algorithm(jwt::algorithm::es384(key.pem));
  if (alg == "EdDSA") verifier.allow_algorithm(jwt::algorithm::ed25519(key.pem));
  if (alg == "HS256") verifier.allow_algorithm(jwt::algorithm::hs256(key.pem));
  if (alg == "RS256") verifier.allow_algorithm(jwt::algorithm::rs256(key.pem));
  if (alg == "PS256") verifier.allow_algorithm(jwt::algorithm::ps256(key.pem));
  return verifier;
}

class JwtCpp final : public Contestant {
 public:
  explicit JwtCpp(const Suite& suite) {
    for (const Key& key : suite.keys) verifiers_.push_back(make_verifier(suite.alg, key));
  }
  void prepare(const std::vector<const Token*>& tokens) override {
    tokens_ = tokens;
    inputs_.clear();
    for (const Token* token : tokens) inputs_.push_back(token->text);
    results_.assign(tokens.size(), std::nullopt);
  }
  void run() override {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      std::error_code fault;
      auto decoded = jwt::decode<traits>(inputs_[i]);
      verifiers_[tokens_[i]->key].verify(decoded, fault);
      if (!fault) results_[i] = std::move(decoded);
    }
  }
  [[nodiscard]] Outcome outcome(std::size_t index) const override {
    if (!results_[index]) return Outcome::refused;
    const Token& token = *tokens_[index];
    const bool right = results_[index]->get_subject() == token.subject &&
                       results_[index]->get_payload_claim("email").as_string() == token.subject + "@users.example";
    return right ? Outcome::right : Outcome::mixed_up;
  }

 private:
  std::vector<Verifier> verifiers_;
  std::vector<const Token*> tokens_;
  std::vector<std::string> inputs_;
  std::vector<std::optional<Decoded>> results_;
};

}  // namespace

void add_jwt_cpp(const Suite& suite, Contestants& out) {
  if (suite.kind == "verify") out.emplace_back("jwt-cpp", std::make_unique<JwtCpp>(suite));
}

}  // namespace bench

#else

void bench::add_jwt_cpp(const Suite&, Contestants&) {}

#endif
