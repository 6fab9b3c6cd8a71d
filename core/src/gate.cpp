#include "postern/gate.h"

#include "authentication.h"
#include "base64url.h"
#include "credential.h"
#include "crypto.h"
#include "exchange.h"
#include "filter_render.h"
#include "json.h"
#include "sha256.h"
#include "user.h"

namespace postern {

Gate::Gate(std::unique_ptr<GateState> state) : state_(std::move(state)) {}
Gate::Gate(Gate&&) noexcept = default;
Gate& Gate::operator=(Gate&&) noexcept = default;
Gate::~Gate() = default;

Result<Gate, ConfigError> Gate::create(std::string_view config, const Environment& environment, HostHandlers handlers) {
  auto settings = parse_settings(config, environment, handlers);
  if (!settings) return settings.error();
  return Gate(std::make_unique<GateState>(std::move(settings).value()));
}

std::unique_ptr<Exchange> Gate::open(const RequestHead& head, Time now, Purpose purpose) {
  return open_exchange(*state_, head, now, purpose);
}

bool Gate::seed(const std::array<std::uint8_t, 16>& random) {
  state_->tokens.seed(random);
  return state_->tokens.on();
}

std::optional<Gate::Recalled> Gate::recall(std::string_view authorization, Time now) {
  // Where another source comes first, or Studio has its own, what else the request carries may decide.
  if (state_->settings.credentials.studio || !std::holds_alternative<JwtSource>(state_->settings.credentials.chain.front()))
    return std::nullopt;
  const auto token = bearer_text(authorization);
  if (!token || !state_->tokens.on()) return std::nullopt;
  const TokenCache::Hit hit = state_->recall(state_->tokens.name_of(token.value()), now);
  if (hit.token == nullptr) return std::nullopt;
  return Recalled{hit.slot, hit.serial};
}

#ifdef POSTERN_WASM
void Gate::use_host_verifier(const std::vector<std::string>& algorithms) {
  state_->host_algorithms.clear();
  if (state_->settings.verifier == Verifier::portable) return;
  for (const std::string& algorithm : algorithms) {
    const Jwa* row = find_jwa(algorithm);
    if (row != nullptr && row->key_kind == KeyKind::rsa) state_->host_algorithms.push_back(row);
  }
}

std::string Gate::key_jwk(std::uint64_t key_handle) const {
  const Jwk* key = state_->find_key(key_handle);
  const auto numbers = key == nullptr ? std::nullopt : crypto::export_rsa(key->key);
  if (!numbers) return {};
  return R"({"kty":"RSA","n":")" + base64url::encode(numbers->modulus) + R"(","e":")" + base64url::encode(numbers->exponent) +
         "\"}";
}
#endif

void Gate::give(std::uint64_t fetch_id, IncomingResponse response, Time now) { state_->give(fetch_id, std::move(response), now); }

// While keys may still earn tables, due() is asked about them once a second: nothing tells a host that a key has become busy.
constexpr std::int64_t table_pause_ms = 1000;

Due Gate::due(Time now) {
  // An hour: nothing to do is asked about again, in case the clock jumped.
  Due due{{}, now.plus_seconds(3600)};
  for (IssuerState& issuer : state_->issuers) {
    if (!issuer.settings.fetches_keys) continue;
    if (auto fetch = issuer.keys.due(now)) due.fetches.push_back(std::move(*fetch));
    due.next_at = std::min(due.next_at, issuer.keys.due_at());
  }
  if (TableBudget* tables = state_->tables.get()) {
    // Said first and done by the next call, since this one may have been made on the way to an answer. One slice a call, so that
    // whoever waits for this thread meanwhile waits for no more than that.
    if (state_->building_said) (void)tables->build_step();
    state_->building_said = tables->building_waits();
    if (state_->building_said) {
      due.next_at = now;
    } else if (tables->may_grow()) {
      due.next_at = std::min(due.next_at, now.plus_ms(table_pause_ms));
    }
  }
  return due;
}

namespace {

constexpr std::string_view snapshot_format = "postern keys 1";

// What the keys' trust rests on: a snapshot taken under another issuer, address or rule is not ours.
std::string issuer_digest(const IssuerSettings& issuer) {
  std::string text = std::string(snapshot_format) + "\n" + issuer.claims.issuer + "\n" + issuer.keys.jwks_uri;
  for (const std::string& origin : issuer.keys.jwks_origins) text += "\n" + origin;
  const auto digest = sha256::digest(text);
  return base64url::encode(std::string_view(reinterpret_cast<const char*>(digest.data()), digest.size()));
}

}  // namespace

std::string Gate::export_keys() const {
  json::Value list = json::Value::array();
  for (const IssuerState& issuer : state_->issuers) {
    const auto snapshot = issuer.keys.snapshot();
    if (!snapshot) continue;
    json::Value one = json::Value::object();
    one.set("config", json::Value::string(issuer_digest(issuer.settings)));
    one.set("fetched_at_ms", json::Value::number(snapshot->fetched_at.unix_ms));
    one.set("max_age_seconds", json::Value::number(snapshot->max_age_seconds));
    one.set("jwks", json::Value::string(snapshot->jwks));
    list.push_back(std::move(one));
  }
  if (list.items().empty()) return {};
  json::Value out = json::Value::object();
  out.set("format", json::Value::string(snapshot_format));
  out.set("issuers", std::move(list));
  return json::write(out);
}

std::size_t Gate::import_keys(std::string_view text, Time now) {
  auto parsed = json::parse(text);
  if (!parsed) return 0;
  const json::Value* format = parsed->find("format");
  const json::Value* list = parsed->find("issuers");
  if (format == nullptr || !format->is_string() || format->as_string() != snapshot_format || list == nullptr) return 0;
  std::size_t taken = 0;
  for (const json::Value& one : list->items()) {
    const json::Value* config = one.find("config");
    const json::Value* fetched_at = one.find("fetched_at_ms");
    const json::Value* max_age = one.find("max_age_seconds");
    const json::Value* jwks = one.find("jwks");
    if (config == nullptr || fetched_at == nullptr || max_age == nullptr || jwks == nullptr || !jwks->is_string()) continue;
    const auto fetched_at_ms = fetched_at->as_integer();
    const auto max_age_seconds = max_age->as_integer();
    if (!fetched_at_ms || *fetched_at_ms < 0 || !max_age_seconds || *max_age_seconds < 0) continue;
    for (IssuerState& issuer : state_->issuers) {
      if (!issuer.settings.fetches_keys || !config->is_string() || config->as_string() != issuer_digest(issuer.settings))
        continue;
      if (issuer.keys.restore(KeySnapshot{Time{*fetched_at_ms}, *max_age_seconds, jwks->as_string()}, now)) ++taken;
    }
  }
  return taken;
}

std::uint64_t Gate::keys_version() const {
  std::uint64_t sum = 0;
  for (const IssuerState& issuer : state_->issuers) sum += issuer.keys.fetches();
  return sum;
}

std::vector<std::string> Gate::key_faults() const {
  std::vector<std::string> out;
  for (const IssuerState& issuer : state_->issuers) {
    const std::string& fault = issuer.keys.last_fault();
    if (!fault.empty()) out.push_back(issuer.settings.claims.issuer + ": " + fault);
  }
  return out;
}

Result<std::size_t, ConfigError> Gate::set_denylist(std::string_view text) {
  auto denylist = parse_denylist(text);
  if (!denylist) return denylist.error();
  state_->given_denylist = std::move(denylist).value();
  state_->denylist_given = true;
  return state_->given_denylist.size();
}

bool Gate::is_denied(std::string_view credential) const {
  if (credential.empty()) return false;
  const auto names = read_names(credential);
  return !names || state_->is_denied(*names);
}

std::string Gate::explain(const RequestHead& head, std::string_view body, Time now) {
  return explain_exchange(*state_, head, body, now);
}

namespace {

// A question that a host program asks about a user of its own.
struct Question {
  User user;
  Resource resource = Resource::threads;
  Action action = Action::read;
};

ConfigError argument_fault(std::string path, std::string message) { return {0, 0, std::move(path), std::move(message)}; }

Result<Question, ConfigError> parse_question(const Settings& settings, std::string_view user_text, std::string_view resource_name,
                                             std::string_view action_name) {
  if (settings.handlers.on) return argument_fault("resource", "is decided by the program's own handlers: ask them");
  const auto parsed = json::parse(user_text);
  if (!parsed) return argument_fault("user", "is not JSON: " + parsed.error().what);
  const auto user = parse_user(parsed.value());
  if (!user) return argument_fault("user", user.error().what);
  for (const Resource resource : {Resource::threads, Resource::assistants, Resource::crons}) {
    if (name(resource) != resource_name) continue;
    for (const Action action :
         {Action::create, Action::read, Action::update, Action::delete_, Action::search, Action::create_run}) {
      if (name(action) == action_name) return Question{user.value(), resource, action};
    }
    return argument_fault("action", "must be create, read, update, delete, search or create_run");
  }
  return argument_fault("resource", "must be threads, assistants or crons; the store's rules are about namespaces");
}

}  // namespace

Result<std::string, ConfigError> Gate::filter_for(std::string_view user, std::string_view resource, std::string_view action,
                                                  const FilterForm& form) const {
  const auto question = parse_question(state_->settings, user, resource, action);
  if (!question) return question.error();
  Decision decision;
  const bool denied = state_->settings.policy.decide(question->user, question->resource, question->action, decision).has_value();
  Reach reach = Reach::always_denied;
  if (!denied) reach = decision.filter ? Reach::conditional : Reach::always_allowed;
  auto rendered = render_filter(reach, reach == Reach::conditional ? &*decision.filter : nullptr, form);
  if (!rendered) return argument_fault("form", rendered.error());
  if (!denied) rendered->set("rule", json::Value::string(decision.rule->key));
  return json::write(rendered.value());
}

Result<bool, ConfigError> Gate::filter_matches(std::string_view user, std::string_view resource, std::string_view action,
                                               std::string_view metadata) const {
  const auto question = parse_question(state_->settings, user, resource, action);
  if (!question) return question.error();
  Decision decision;
  if (state_->settings.policy.decide(question->user, question->resource, question->action, decision)) return false;
  if (!decision.filter) return true;
  const auto parsed = json::parse(metadata);
  return parsed.ok() && decision.filter->matches(parsed.value());
}

const std::string& Gate::upstream_url() const { return state_->settings.upstream.url; }
const std::vector<std::string>& Gate::warnings() const { return state_->settings.warnings; }

}  // namespace postern
