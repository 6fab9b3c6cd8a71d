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

Caller caller_of(User user) { return {std::make_shared<const User>(std::move(user))}; }

// The authority's word about a token, once it can be had.
Flow<Result<Caller, Refusal>> ask_online(FlowDriver& driver, OnlineCheck& check, const std::string& token, Time opened_at) {
  for (;;) {
    OnlineCheck::Answer answer = check.find(token, opened_at, driver.now());
    if (auto* user = std::get_if<std::shared_ptr<const User>>(&answer)) co_return Caller{std::move(*user)};
    if (auto* error = std::get_if<Error>(&answer)) co_return Refusal(*error);
    if (auto* unavailable = std::get_if<OnlineCheck::Unavailable>(&answer)) {
      Refusal refusal{Error::authority_unavailable};
      refusal.details().retry_after_seconds = unavailable->retry_after_seconds;
      co_return refusal;
    }
    co_await driver.until_asked_again(answer);
  }
}

Flow<Result<Caller, Refusal>> ask_handler(FlowDriver& driver, const HandlerSource& handler) {
  driver.stop_at<CallHandler>(Awaited::handled).kind = CallHandler::Kind::authenticate;
  auto user = handler_user(co_await driver.handled(), handler.identity_prefix);
  if (!user) co_return user.error();
  co_return caller_of(std::move(user).value());
}

bool takes_bearer(const CredentialSource& source) { return !std::holds_alternative<ApiKeys>(source); }

}  // namespace

std::optional<Result<Caller, Refusal>> ask_at_once(GateState& gate, Authority& asked, Time opened_at, Time now) {
  if (!std::holds_alternative<JwtSource>(*asked.source)) return std::nullopt;
  return authenticate_at_once(gate, asked.token, opened_at, now, asked.read);
}

Flow<Result<Caller, Refusal>> ask(FlowDriver& driver, GateState& gate, Authority& asked, Time opened_at) {
  if (const auto* handler = std::get_if<HandlerSource>(asked.source)) return ask_handler(driver, *handler);
  if (asked.check != nullptr) return ask_online(driver, *asked.check, asked.token, opened_at);
  return authenticate(driver, gate, *asked.read, opened_at);
}

Result<Caller, Refusal> identify(GateState& gate, const CarriedCredentials& carried, Time now, Authority& asked) {
  const std::vector<CredentialSource>& chain = gate.settings.credentials.chain;
  // Of a token that was verified before, the characters were looked at before.
  Result<std::string_view> bearer = carried.bearer;
  bool is_token = false;
  Error doubt = Error::credential_unknown;
  std::size_t online_checks = 0;
  for (std::size_t i = 0; i < chain.size(); ++i) {
    const CredentialSource& source = chain[i];
    if (const auto* keys = std::get_if<ApiKeys>(&source)) {
      const auto sent = std::find_if(carried.api_keys.begin(), carried.api_keys.end(),
                                     [&](const auto& one) { return one.first == keys->header; });
      if (sent == carried.api_keys.end()) continue;
      if (!sent->second) return Refusal(sent->second.error());
      const KnownUser* known = find_api_key(*keys, sent->second.value());
      if (known == nullptr) return Refusal(Error::credential_unknown);
      return caller_of(known->user);
    }
    if (std::holds_alternative<HandlerSource>(source)) {
      if (carried.studio) continue;
      asked.source = &source;
      break;
    }
    OnlineCheck* check = nullptr;
    if (std::holds_alternative<OnlineCheckSettings>(source)) check = &gate.online_checks[online_checks++];
    if (std::holds_alternative<JwtSource>(source) && bearer) {
      if (auto known = recall(gate, bearer.value(), now)) return *std::move(known);
    }
    if (bearer && !is_token) bearer = bearer_token(bearer.value());
    is_token = bearer.ok();
    if (!is_token) {
      // A handler at the end may know other schemes.
      const bool handled = std::holds_alternative<HandlerSource>(chain.back());
      if (handled || bearer.error() == Error::credential_missing) continue;
      break;
    }
    const std::string_view token = bearer.value();
    if (const auto* tokens = std::get_if<StaticTokens>(&source)) {
      if (const KnownUser* known = find_static_token(*tokens, token)) return caller_of(known->user);
      continue;
    }
    if (check != nullptr) {
      if (!check->applies(token)) continue;
      asked.source = &source;
      asked.check = check;
      asked.token = token;
      break;
    }
    // The last one decides without being asked whether it applies: its own reason is the best there is.
    const bool last = std::none_of(chain.begin() + static_cast<std::ptrdiff_t>(i) + 1, chain.end(), takes_bearer);
    if (!last) {
      if (const auto reason = not_of_an_issuer(gate, token)) {
        doubt = *reason;
        continue;
      }
    }
    asked.source = &source;
    asked.token = token;
    break;
  }
  if (bearer && !is_token) bearer = bearer_token(bearer.value());
  return Refusal(bearer ? doubt : bearer.error());
}

}  // namespace postern
