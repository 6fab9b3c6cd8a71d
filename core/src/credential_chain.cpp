#include "credential_chain.h"

#include <algorithm>

#include "handler.h"
#include "known_user.h"

namespace postern {
namespace {

// Why the issuers are not the ones to decide about this token; nothing when they are.
std::optional<Error> not_of_an_issuer(GateState& gate, std::string_view token) {
  auto parsed = parse_jws(token);
  if (!parsed) return parsed.error();
  const auto named = unverified_issuer(parsed.value());
  if (!named) return named.error();
  if (gate.find_issuer(named.value()) == nullptr) return Error::issuer_unknown;
  return std::nullopt;
}

// The authority's word about a token, once it can be had.
Flow<Result<User, Refusal>> ask(FlowDriver& driver, OnlineCheck& check, std::string token, Time opened_at) {
  for (;;) {
    OnlineCheck::Answer answer = check.find(token, opened_at, driver.now());
    if (auto* user = std::get_if<User>(&answer)) co_return std::move(*user);
    if (auto* error = std::get_if<Error>(&answer)) co_return *error;
    if (auto* unavailable = std::get_if<OnlineCheck::Unavailable>(&answer)) {
      Refusal refusal{Error::authority_unavailable};
      refusal.details().retry_after_seconds = unavailable->retry_after_seconds;
      co_return refusal;
    }
    co_await driver.until_asked_again(std::move(answer));
  }
}

bool takes_bearer(const CredentialSource& source) { return !std::holds_alternative<ApiKeys>(source); }

}  // namespace

Flow<Result<Caller, Refusal>> identify(FlowDriver& driver, GateState& gate, CarriedCredentials carried, Time opened_at) {
  const auto admit = [&gate](Caller caller) -> Result<Caller, Refusal> {
    if (gate.is_denied(caller.user->credential)) return Refusal{Error::credential_revoked};
    return caller;
  };
  const auto admit_user = [&admit](const User& user) { return admit(Caller{std::make_shared<const User>(user)}); };
  const std::vector<CredentialSource>& chain = gate.settings.credentials.chain;
  Error doubt = Error::credential_unknown;
  std::size_t online_checks = 0;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    if (const auto* keys = std::get_if<ApiKeys>(&chain[i])) {
      const auto sent = std::find_if(carried.api_keys.begin(), carried.api_keys.end(),
                                     [&](const auto& one) { return one.first == keys->header; });
      if (sent == carried.api_keys.end()) continue;
      if (!sent->second) co_return sent->second.error();
      const KnownUser* known = find_api_key(*keys, sent->second.value());
      if (known == nullptr) co_return Error::credential_unknown;
      co_return admit_user(known->user);
    }
    if (const auto* handler = std::get_if<HandlerSource>(&chain[i])) {
      if (carried.studio) continue;
      CallHandler call;
      const HandlerResult answered = co_await driver.handled(std::move(call));
      auto user = handler_user(answered, handler->identity_prefix);
      if (!user) co_return user.error();
      co_return admit_user(user.value());
    }
    OnlineCheck* check = nullptr;
    if (std::holds_alternative<OnlineCheckSettings>(chain[i])) check = &gate.online_checks[online_checks++];
    if (!carried.bearer) {
      // A handler at the end may know other schemes.
      const bool handled = std::holds_alternative<HandlerSource>(chain.back());
      if (handled || carried.bearer.error() == Error::credential_missing) continue;
      break;
    }
    const std::string& token = carried.bearer.value();
    if (const auto* tokens = std::get_if<StaticTokens>(&chain[i])) {
      const KnownUser* known = find_static_token(*tokens, token);
      if (known != nullptr) co_return admit_user(known->user);
      continue;
    }
    if (check != nullptr) {
      if (!check->applies(token)) continue;
      auto user = co_await ask(driver, *check, token, opened_at);
      if (!user) co_return user.error();
      co_return admit_user(user.value());
    }
    if (auto known = recall(gate, token, driver.now())) co_return admit(*std::move(known));
    // The last one decides without being asked whether it applies: its own reason is the best there is.
    const bool last = std::none_of(chain.begin() + static_cast<std::ptrdiff_t>(i) + 1, chain.end(), takes_bearer);
    if (!last) {
      if (const auto reason = not_of_an_issuer(gate, token)) {
        doubt = *reason;
        continue;
      }
    }
    auto caller = co_await authenticate(driver, gate, token, opened_at);
    if (!caller) co_return caller.error();
    co_return admit(std::move(caller).value());
  }
  co_return Refusal{carried.bearer ? doubt : carried.bearer.error()};
}

}  // namespace postern
