#include "authentication.h"

#include <algorithm>
#include <variant>

#include "user.h"

namespace postern {
namespace {

// The key for a token's header, once it can be had. It is valid until the flow stops again.
Flow<Result<const Jwk*, Refusal>> find_key(FlowDriver& driver, IssuerState& issuer, const ParsedJws& jws, Time opened_at) {
  if (!issuer.settings.fetches_keys) {
    auto selected = select_key(issuer.settings.static_keys, jws.kid, *jws.alg);
    if (!selected) co_return Refusal(selected.error());
    co_return selected.value();
  }
  for (;;) {
    KeyCache::Answer answer = issuer.keys.find(jws.kid, *jws.alg, opened_at, driver.now());
    if (auto* found = std::get_if<KeyCache::Found>(&answer)) co_return found->key;
    if (auto* error = std::get_if<Error>(&answer)) co_return Refusal(*error);
    if (auto* unavailable = std::get_if<KeyCache::Unavailable>(&answer)) {
      Refusal refusal{Error::keys_unavailable};
      refusal.details().retry_after_seconds = unavailable->retry_after_seconds;
      co_return refusal;
    }
    co_await driver.until_asked_again(answer);
  }
}

#ifdef POSTERN_WASM
struct HostAnswer {
  SignatureVerdict verdict = SignatureVerdict::unable;
  const Jwk* key = nullptr;  // the one that it is about; of the set that is in use now
};

// Asks the host's verifier where there is one. While it is at work the issuer's set may be replaced: what it says then is about
// a key of yesterday, and the question is put again.
Flow<Result<HostAnswer, Refusal>> verify_by_host(FlowDriver& driver, GateState& gate, IssuerState& issuer, const ParsedJws& jws,
                                                 const Jwk* key, Time opened_at) {
  const auto& algorithms = gate.host_algorithms;
  const bool asked = std::find(algorithms.begin(), algorithms.end(), jws.alg) != algorithms.end();
  HostAnswer answer;
  answer.key = key;
  // A set that changes twice in a row while a signature is looked at is not waited for: the core verifies.
  for (int tries = 0; asked && tries < 2; ++tries) {
    // What cannot verify is refused by the core, without a question.
    const bool fits = answer.key->key.kind() == jws.alg->key_kind && (answer.key->alg == nullptr || answer.key->alg == jws.alg);
    if (!fits || jws.signature.size() != answer.key->key.signature_bytes(*jws.alg)) break;
    const std::uint64_t handle = gate.handle_of(issuer, answer.key);
    VerifySignature& question = driver.stop_at<VerifySignature>(Awaited::verdict);
    question.key_handle = handle;
    question.alg = jws.alg->name;
    question.input = jws.signing_input;
    question.signature = jws.signature;
    const SignatureVerdict verdict = co_await driver.verdict();
    auto again = co_await find_key(driver, issuer, jws, opened_at);
    if (!again) co_return again.error();
    answer.key = again.value();
    if (gate.handle_of(issuer, answer.key) == handle) {
      answer.verdict = verdict;
      break;
    }
  }
  co_return answer;
}
#endif

}  // namespace

std::optional<Caller> recall(GateState& gate, std::string_view token, Time now) {
  if (!gate.tokens.on()) return std::nullopt;
  const TokenCache::Hit hit = gate.recall(gate.tokens.name_of(token), now);
  if (hit.token == nullptr) return std::nullopt;
  return Caller{hit.token->user, hit.slot, hit.serial};
}

Flow<Result<Caller, Refusal>> authenticate(FlowDriver& driver, GateState& gate, const std::string& token, Time opened_at) {
  auto parsed = parse_jws(token);
  if (!parsed) co_return parsed.error();
  auto named = unverified_issuer(parsed.value());
  if (!named) co_return named.error();
  IssuerState* issuer = gate.find_issuer(named.value());
  if (issuer == nullptr) co_return Error::issuer_unknown;
  const auto& algorithms = issuer->settings.algorithms;
  if (std::find(algorithms.begin(), algorithms.end(), parsed->alg) == algorithms.end()) {
    co_return Error::algorithm_not_allowed;
  }

  auto key = co_await find_key(driver, *issuer, parsed.value(), opened_at);
  if (!key) co_return key.error();
#ifdef POSTERN_WASM
  auto by_host = co_await verify_by_host(driver, gate, *issuer, parsed.value(), key.value(), opened_at);
  if (!by_host) co_return by_host.error();
  key = by_host->key;
  auto verified = by_host->verdict == SignatureVerdict::unable
                      ? VerifiedJws::verify(std::move(parsed).value(), *key.value())
                      : VerifiedJws::from_host(std::move(parsed).value(), *key.value(), by_host->verdict);
#else
  auto verified = VerifiedJws::verify(std::move(parsed).value(), *key.value());
#endif
  // Nothing has stopped since the key was looked up.
  const std::uint64_t key_generation = issuer->key_generation();
  if (!verified) co_return verified.error();
  auto claims = validate_claims(std::move(verified).value(), issuer->settings.claims, driver.now());
  if (!claims) co_return claims.error();
  VerifiedToken found;
  found.issuer = issuer->index;
  found.key_generation = key_generation;
  found.usable_from = claims->usable_from;
  found.usable_until = claims->usable_until;
  found.user = std::make_shared<const User>(
      make_user(std::move(claims).value(), issuer->settings.identity_prefix, issuer->settings.mapping));
  Caller caller{found.user};
  if (gate.tokens.on()) {
    const TokenCache::Hit kept = gate.tokens.insert(gate.tokens.name_of(token), std::move(found));
    if (kept.token != nullptr) {
      caller.cache_slot = kept.slot;
      caller.cache_serial = kept.serial;
    }
  }
  co_return caller;
}

}  // namespace postern
