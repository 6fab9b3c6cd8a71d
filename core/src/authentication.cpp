#include "authentication.h"

#include <algorithm>
#include <variant>

#include "user.h"

namespace postern {
namespace {

// Looks for the key of the token's header: `token.key`, or nullptr and in `token.awaited` what must come first. False: refused.
bool find_key(ReadToken& token, Time opened_at, Time now) {
  IssuerState& issuer = *token.issuer;
  const ParsedJws& jws = token.jws;
  token.key = nullptr;
  if (!issuer.settings.fetches_keys) {
    auto selected = select_key(issuer.settings.static_keys, jws.kid, *jws.alg);
    if (!selected) {
      token.refusal = selected.error();
    } else {
      token.key = selected.value();
    }
    return token.key != nullptr;
  }
  token.awaited = issuer.keys.find(jws.kid, *jws.alg, opened_at, now);
  if (const auto* found = std::get_if<KeyCache::Found>(&token.awaited)) {
    token.key = found->key;
  } else if (const auto* error = std::get_if<Error>(&token.awaited)) {
    token.refusal = *error;
    return false;
  } else if (const auto* unavailable = std::get_if<KeyCache::Unavailable>(&token.awaited)) {
    token.refusal = Error::keys_unavailable;
    token.refusal.details().retry_after_seconds = unavailable->retry_after_seconds;
    return false;
  }
  return true;
}

#ifdef POSTERN_WASM
// Whether the host is asked about this signature. What cannot verify is refused by the core, without a question.
bool is_for_host(const GateState& gate, const ReadToken& token) {
  const auto& algorithms = gate.host_algorithms;
  return std::find(algorithms.begin(), algorithms.end(), token.jws.alg) != algorithms.end() &&
         !VerifiedJws::misfit(token.jws, *token.key);
}
#endif

// The end of it, without a stop since the key was found.
Result<Caller, Refusal> conclude(GateState& gate, const ReadToken& token, Result<VerifiedJws> verified, Time now) {
  if (!verified) return Refusal(verified.error());
  IssuerState& issuer = *token.issuer;
  if (!verified->header_known()) gate.headers.keep(token.text.substr(0, token.text.find('.')), verified->header());
  auto claims = validate_claims(std::move(verified).value(), issuer.settings.claims, now);
  if (!claims) return Refusal(claims.error());
  VerifiedToken found;
  found.issuer = issuer.index;
  found.key_generation = issuer.key_generation();
  found.usable_from = claims->usable_from;
  found.usable_until = claims->usable_until;
  found.user = std::make_shared<const User>(
      make_user(std::move(claims).value(), issuer.settings.identity_prefix, issuer.settings.mapping));
  Caller caller{found.user};
  if (gate.tokens.on()) {
    const TokenCache::Hit kept = gate.tokens.insert(gate.tokens.name_of(token.text), std::move(found));
    if (kept.token != nullptr) {
      caller.cache_slot = kept.slot;
      caller.cache_serial = kept.serial;
    }
  }
  return caller;
}

}  // namespace

std::optional<Caller> recall(GateState& gate, std::string_view token, Time now) {
  if (!gate.tokens.on()) return std::nullopt;
  const TokenCache::Hit hit = gate.recall(gate.tokens.name_of(token), now);
  if (hit.token == nullptr) return std::nullopt;
  return Caller{hit.token->user, hit.slot, hit.serial};
}

std::optional<Result<Caller, Refusal>> authenticate_at_once(GateState& gate, std::string_view text, Time opened_at, Time now,
                                                            std::unique_ptr<ReadToken>& unfinished) {
  auto parsed = parse_jws(text, &gate.headers);
  if (!parsed) return Refusal(parsed.error());
  unfinished = std::make_unique<ReadToken>(text, std::move(parsed).value());
  ReadToken& token = *unfinished;
  const auto named = unverified_issuer(token.jws);
  if (!named) return Refusal(named.error());
  token.issuer = gate.find_issuer(named.value());
  if (token.issuer == nullptr) return Refusal(Error::issuer_unknown);
  const auto& algorithms = token.issuer->settings.algorithms;
  if (std::find(algorithms.begin(), algorithms.end(), token.jws.alg) == algorithms.end()) {
    return Refusal(Error::algorithm_not_allowed);
  }
  if (!find_key(token, opened_at, now)) return std::move(token.refusal);
  if (token.key == nullptr) return std::nullopt;
#ifdef POSTERN_WASM
  if (is_for_host(gate, token)) return std::nullopt;
#endif
  return conclude(gate, token, VerifiedJws::verify(std::move(token.jws), *token.key), now);
}

Flow<Result<Caller, Refusal>> authenticate(FlowDriver& driver, GateState& gate, ReadToken& token, Time opened_at) {
  while (token.key == nullptr) {
    co_await driver.until_asked_again(token.awaited);
    if (!find_key(token, opened_at, driver.now())) co_return std::move(token.refusal);
  }
#ifdef POSTERN_WASM
  // While the host's verifier is at work the issuer's set may be replaced: what it says then is about a key of yesterday, and the
  // question is put again. A set that changes twice in a row is not waited for: the core verifies.
  for (int tries = 0; tries < 2 && is_for_host(gate, token); ++tries) {
    const std::uint64_t handle = gate.handle_of(*token.issuer, token.key);
    VerifySignature& question = driver.stop_at<VerifySignature>(Awaited::verdict);
    question.key_handle = handle;
    question.alg = token.jws.alg->name;
    question.input = token.jws.signing_input;
    question.signature = token.jws.signature;
    const SignatureVerdict verdict = co_await driver.verdict();
    if (!find_key(token, opened_at, driver.now())) co_return std::move(token.refusal);
    while (token.key == nullptr) {
      co_await driver.until_asked_again(token.awaited);
      if (!find_key(token, opened_at, driver.now())) co_return std::move(token.refusal);
    }
    if (gate.handle_of(*token.issuer, token.key) != handle) continue;
    if (verdict == SignatureVerdict::unable) break;
    co_return conclude(gate, token, VerifiedJws::from_host(std::move(token.jws), *token.key, verdict), driver.now());
  }
#endif
  co_return conclude(gate, token, VerifiedJws::verify(std::move(token.jws), *token.key), driver.now());
}

}  // namespace postern
