#include "exchange.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "credential_chain.h"
#include "enforcement.h"
#include "json.h"
#include "reply.h"
#include "text.h"

namespace postern {
namespace {

// What a client may say to the upstream in headers. Everything else stays outside: LangGraph's JS server
// copies x-* headers, and what they claim, into the run's configuration.
constexpr std::array<std::string_view, 3> forwarded_headers = {"accept", "last-event-id", "user-agent"};

// What a page may read of a reply besides the headers that the Fetch standard lists.
constexpr std::string_view exposed_headers =
    "content-location, location, x-pagination-total, x-pagination-next, www-authenticate, retry-after";
// What the SDKs send from browsers.
constexpr std::string_view preflight_headers = "authorization, content-type, accept, last-event-id";

bool is_opened(const Route& route, const UpstreamSettings& upstream) {
  return std::find(upstream.open_routes.begin(), upstream.open_routes.end(), route.path) != upstream.open_routes.end();
}

const std::string_view* find_header(const RequestHead& head, std::string_view name) {
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    if (equal_ignoring_case(head.headers[i].name, name)) return &head.headers[i].value;
  }
  return nullptr;
}

}  // namespace

class ExchangeState final : public Exchange {
 public:
  ExchangeState(GateState& gate, const RequestHead& head, Time now, Purpose purpose, std::optional<User> host_user);
  ~ExchangeState() override { gate_.end_fetch(driver_); }
  ExchangeState(const ExchangeState&) = delete;
  ExchangeState& operator=(const ExchangeState&) = delete;

  Step next(Time now) override;
  void give(std::uint64_t step_id, BodyResult body, Time now) override;
  void give(std::uint64_t step_id, IncomingResponse reply, Time now) override;
  void give(std::uint64_t step_id, HandlerResult result, Time now) override;
#ifdef POSTERN_WASM
  void give(std::uint64_t step_id, SignatureVerdict verdict, Time now) override;
#endif
  void fail(std::uint64_t) override { fault_ = Error::host_failed; }

  void explain_only() { explaining_ = true; }
  [[nodiscard]] json::Value explanation() const;

 private:
  [[nodiscard]] Flow<bool> run();
  void take(Result<Caller, Refusal> caller);
  bool refuse(const Refusal& refusal);
  [[nodiscard]] std::optional<Respond> preflight(const RequestHead& head) const;
  // While the body came in, which the client may draw out, the host may have read a list that names the caller.
  [[nodiscard]] bool denied_since() const { return gate_.denylist_given && gate_.is_denied(caller_.user->credential); }
  [[nodiscard]] bool expects(Awaited awaited, std::uint64_t step_id);
  Step step();

  GateState& gate_;
  const Purpose purpose_;
  const Time opened_at_;
  FlowDriver driver_;
  std::optional<Flow<bool>> flow_;
  bool over_ = false;
  std::uint64_t awaited_step_ = 0;
  std::optional<Error> fault_;  // the host's
  bool explaining_ = false;

  std::optional<Refusal> route_refusal_;  // waits until the caller is known to be somebody
  std::optional<Respond> at_once_;        // a preflight or the metadata: for whoever asks
  std::string allowed_origin_;            // the page's, when the configuration lists it
  std::optional<RouteMatch> match_;
  std::optional<Refusal> stranger_;  // why the caller is nobody who is known
  Authority asked_;                  // who has to be asked about the caller first
  std::vector<Header> kept_headers_;
  bool body_encoded_ = false;
  std::optional<User> host_user_;  // said by a policy test; no credential is looked at
  Caller caller_;                  // its user is never null
  std::optional<Enforcement> enforcement_;
};

ExchangeState::ExchangeState(GateState& gate, const RequestHead& head, Time now, Purpose purpose, std::optional<User> host_user)
    : gate_(gate), purpose_(purpose), opened_at_(now), host_user_(std::move(host_user)), caller_{gate.nobody} {
  const Settings& settings = gate.settings;
  if (purpose == Purpose::handle && settings.resource) {
    at_once_ = metadata_reply(*settings.resource, head);
    if (at_once_) return;
  }
  if (purpose == Purpose::handle && !settings.cors.origins.empty()) {
    if (const std::string_view* origin = find_header(head, "origin")) {
      const auto& origins = settings.cors.origins;
      const bool listed = origins.front() == "*" || std::find(origins.begin(), origins.end(), *origin) != origins.end();
      if (listed) allowed_origin_ = origins.front() == "*" ? "*" : *origin;
    }
    at_once_ = preflight(head);
    if (at_once_) return;
  }
  bool anonymous = false;  // the route needs no credential
  if (purpose == Purpose::handle) {
    auto match = match_route(head.method, head.target, settings.upstream.api, settings.upstream.routes);
    if (match) {
      match_ = std::move(match).value();
      const Route& route = *match_->route;
      const bool opened = route.treatment == Treatment::operators && is_opened(route, settings.upstream);
      anonymous = route.treatment == Treatment::open || opened ||
                  (match_->custom != nullptr && match_->custom->access == CustomRoute::Access::open);
      if (route.treatment == Treatment::denied) route_refusal_ = Refusal{Error::route_denied, std::string(route.why)};
      if (route.treatment == Treatment::operators && !opened) {
        route_refusal_ =
            Refusal{Error::route_denied, "this route is for the operator; the gate's upstream.open_routes can open it"};
      }
    } else {
      // Who has not shown a token learns nothing about routes; who has gets the reason after it verified.
      route_refusal_ = match.error();
    }
  }
  if (!anonymous && !host_user_) {
    // Here, where the head is still at hand: of a token that was seen before nothing is copied.
    auto caller = identify(gate, carried_credentials(head, settings.credentials), now, asked_);
    if (asked_.source == nullptr) take(std::move(caller));
  }
  const auto& more = settings.upstream.forward_headers;
  const bool any_body = match_ && match_->custom != nullptr && match_->custom->body == CustomRoute::Body::any;
  kept_headers_.reserve(forwarded_headers.size() + more.size() + 1);
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    const std::string_view name = head.headers[i].name;
    const std::string_view value = head.headers[i].value;
    const auto is = [name](std::string_view other) { return equal_ignoring_case(name, other); };
    if (is("content-encoding") && lower_case(value) != "identity") body_encoded_ = true;
    const bool kept = std::any_of(forwarded_headers.begin(), forwarded_headers.end(), is) ||
                      std::any_of(more.begin(), more.end(), is) || (any_body && is("content-type"));
    if (kept) kept_headers_.push_back({lower_case(name), std::string(value)});
  }
}

// Fetch standard, CORS protocol: the upstream never sees a preflight, so it cannot answer "*" to one.
std::optional<Respond> ExchangeState::preflight(const RequestHead& head) const {
  if (head.method != "OPTIONS" || find_header(head, "origin") == nullptr ||
      find_header(head, "access-control-request-method") == nullptr) {
    return std::nullopt;
  }
  Respond out;
  out.status = 204;
  out.headers.push_back({"vary", "origin, access-control-request-method, access-control-request-headers"});
  if (allowed_origin_.empty()) return out;
  std::string headers(preflight_headers);
  for (const std::string& name : gate_.settings.cors.headers) headers += ", " + name;
  out.headers.push_back({"access-control-allow-methods", "GET, HEAD, POST, PUT, PATCH, DELETE"});
  out.headers.push_back({"access-control-allow-headers", std::move(headers)});
  out.headers.push_back({"access-control-max-age", std::to_string(gate_.settings.cors.max_age_seconds)});
  return out;
}

// The whole of a request, top to bottom. At its end the driver has the last step: a passed Forward, a reply, or the user.
Flow<bool> ExchangeState::run() {
  if (at_once_) {
    driver_.end_with<Respond>() = std::move(*at_once_);
    co_return true;
  }
  if (host_user_) {
    caller_.user = std::make_shared<const User>(*host_user_);
  } else if (asked_.source != nullptr) {
    take(co_await ask(driver_, gate_, asked_, opened_at_));
  }
  if (stranger_) co_return refuse(*stranger_);
  if (!host_user_ && gate_.is_denied(caller_.user->credential)) {
    caller_ = {gate_.nobody};
    co_return refuse(Error::credential_revoked);
  }
  if (purpose_ == Purpose::authenticate) {
    driver_.end_with<Authenticated>() = {caller_.user, caller_.cache_slot, caller_.cache_serial};
    co_return true;
  }
  if (route_refusal_) co_return refuse(*route_refusal_);

  Enforcement& enforcement =
      enforcement_.emplace(driver_, gate_, *caller_.user, *match_, std::move(kept_headers_), body_encoded_);
  if (explaining_) enforcement.explain_only();
  if (!enforcement.decide_row()) co_return refuse(enforcement.refusal());
  if (enforcement.reads_body()) {
    if (body_encoded_) co_return refuse(Error::body_encoding_unsupported);
    if (!enforcement.take_body(co_await driver_.body(gate_.settings.limits.body_bytes_max))) {
      co_return refuse(enforcement.refusal());
    }
  }
  if (enforcement.consults_row()) {
    if (!co_await enforcement.consult_row()) co_return refuse(enforcement.refusal());
  }
  if (!co_await enforcement.treat()) co_return refuse(enforcement.refusal());
  co_return true;
}

void ExchangeState::take(Result<Caller, Refusal> caller) {
  asked_ = {};
  if (caller) {
    caller_ = std::move(caller).value();
  } else {
    stranger_ = caller.error();
  }
}

bool ExchangeState::refuse(const Refusal& refusal) {
  driver_.end_with<Respond>() = refusal_reply(refusal);
  return false;
}

Step ExchangeState::next(Time now) {
  // The host asks on at the end, or without having given what it was asked for.
  if (over_ || (!fault_ && driver_.awaited() != Awaited::nothing)) fault_ = Error::step_mismatch;
  if (fault_) {
    over_ = true;
    refuse(*fault_);
    return step();
  }
  if (!flow_) {
    if (asked_.source != nullptr) {
      if (auto caller = ask_at_once(gate_, asked_, opened_at_, now)) {
        take(*std::move(caller));
      }
    }
    flow_.emplace(run());
    flow_->start(driver_);
  }
  driver_.set_now(now);
  over_ = !driver_.run();
  if (std::holds_alternative<Forward>(driver_.action()) && denied_since()) {
    over_ = true;
    refuse(Error::credential_revoked);
  }
  return step();
}

// The driver's, as the host gets it.
Step ExchangeState::step() {
  Step out{gate_.next_step_id(), std::move(driver_.action())};
  awaited_step_ = out.step_id;
  auto* const forward = std::get_if<Forward>(&out.action);
  auto* const respond = std::get_if<Respond>(&out.action);
  if (forward != nullptr) {
    forward->drop_reply_headers = dropped_reply_headers();
    if (over_ && gate_.denylist_given) forward->credential = write_names(caller_.user->credential);
  }
  if (respond != nullptr && respond->error && gate_.settings.resource) add_metadata_url(*gate_.settings.resource, *respond);
  if (allowed_origin_.empty() || (forward == nullptr && respond == nullptr)) return out;

  std::string exposed(exposed_headers);
  for (const std::string& name : gate_.settings.cors.exposed_headers) exposed += ", " + name;
  std::vector<Header>& headers = forward != nullptr ? forward->add_reply_headers : respond->headers;
  headers.push_back({"access-control-allow-origin", allowed_origin_});
  headers.push_back({"access-control-expose-headers", std::move(exposed)});
  if (allowed_origin_ != "*" && !at_once_) headers.push_back({"vary", "origin"});
  return out;
}

bool ExchangeState::expects(Awaited awaited, std::uint64_t step_id) {
  const bool expected = driver_.awaited() == awaited && step_id == awaited_step_;
  if (!expected) fault_ = Error::step_mismatch;
  return expected;
}

void ExchangeState::give(std::uint64_t step_id, BodyResult body, Time) {
  if (expects(Awaited::body, step_id)) driver_.give(std::move(body));
}

void ExchangeState::give(std::uint64_t step_id, IncomingResponse reply, Time) {
  if (expects(Awaited::reply, step_id)) driver_.give(std::move(reply));
}

void ExchangeState::give(std::uint64_t step_id, HandlerResult result, Time) {
  if (expects(Awaited::handled, step_id)) driver_.give(std::move(result));
}

#ifdef POSTERN_WASM
void ExchangeState::give(std::uint64_t step_id, SignatureVerdict verdict, Time) {
  if (expects(Awaited::verdict, step_id)) driver_.give(verdict);
}
#endif

json::Value ExchangeState::explanation() const {
  json::Value out = json::Value::object();
  const User& caller = *caller_.user;
  if (!caller.identity.empty()) {
    json::Value user = json::Value::object();
    user.set("identity", json::Value::string(caller.identity));
    user.set("display_name", json::Value::string(caller.display_name));
    json::Value permissions = json::Value::array();
    for (const std::string& permission : caller.permissions) permissions.push_back(json::Value::string(permission));
    user.set("permissions", std::move(permissions));
    out.set("user", std::move(user));
  }
  if (match_) {
    const Route& row = *match_->route;
    const bool ruled = match_->custom != nullptr;
    json::Value route = json::Value::object();
    route.set("method", json::Value::string(row.method));
    route.set("path", json::Value::string(row.path));
    route.set("resource", json::Value::string(ruled ? std::string_view(match_->custom->resource) : name(row.resource)));
    route.set("action", json::Value::string(ruled ? std::string_view(match_->custom->action) : name(row.action)));
    out.set("route", std::move(route));
  }
  if (enforcement_) {
    json::Value more = enforcement_->explanation();
    for (json::Member& member : more.members()) out.set(member.first, std::move(member.second));
  }
  return out;
}

std::unique_ptr<Exchange> open_exchange(GateState& gate, const RequestHead& head, Time now, Purpose purpose,
                                        std::optional<User> host_user) {
  return std::make_unique<ExchangeState>(gate, head, now, purpose, std::move(host_user));
}

std::string explain_exchange(GateState& gate, const RequestHead& head, std::string_view body, Time now,
                             std::optional<User> host_user) {
#ifdef POSTERN_WASM
  // Explaining has no host to ask: the core verifies.
  struct Aside {
    GateState& gate;
    std::vector<const Jwa*> algorithms = std::exchange(gate.host_algorithms, {});
    ~Aside() { gate.host_algorithms = std::move(algorithms); }
  };
  const Aside aside{gate};
#endif
  ExchangeState exchange(gate, head, now, Purpose::handle, std::move(host_user));
  exchange.explain_only();
  json::Value outcome = json::Value::object();
  Step step = exchange.next(now);
  if (std::holds_alternative<ReadBody>(step.action)) {
    exchange.give(step.step_id, BodyResult{BodyResult::State::whole, std::string(body)}, now);
    step = exchange.next(now);
  }
  if (const auto* forward = std::get_if<Forward>(&step.action)) {
    outcome.set("kind", json::Value::string("forward"));
    outcome.set("method", json::Value::string(forward->request.method));
    outcome.set("url", json::Value::string(forward->request.url));
    outcome.set("body", json::Value::string(forward->request.body));
    outcome.set("reply", json::Value::string(forward->reply == ReplyMode::pass ? "passed" : "judged by the filter"));
  } else if (const auto* answer = std::get_if<Respond>(&step.action)) {
    const bool refused = answer->error.has_value();
    outcome.set("kind", json::Value::string(refused ? "refuse" : "respond"));
    outcome.set("status", json::Value::number(answer->status));
    if (refused) outcome.set("code", json::Value::string(name(*answer->error)));
    auto answer_body = json::parse(answer->body);
    if (answer_body && answer_body->find("detail") != nullptr) outcome.set("detail", *answer_body->find("detail"));
  } else if (const auto* call = std::get_if<CallHandler>(&step.action)) {
    outcome.set("kind", json::Value::string("handler_asked"));
    outcome.set("detail",
                json::Value::string(call->kind == CallHandler::Kind::authenticate
                                        ? "the program's authenticate handler says who is calling"
                                        : "the program's handler decides about " + call->resource + ":" + call->action));
  } else {
    // Nobody will carry a fetch: the next request that needs it must be able to.
    if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
      gate.abandon(fetch->fetch_id);
    }
    outcome.set("kind", json::Value::string("keys_needed"));
    outcome.set("detail", json::Value::string(
                              "the issuer's keys must be fetched first; give them under \"keys\" to explain without a network"));
  }
  json::Value out = exchange.explanation();
  if (auto received = json::parse(body); received && received->is_object()) out.set("body_received", std::move(received).value());
  if (out.find("checks") == nullptr) out.set("checks", json::Value::array());
  out.set("outcome", std::move(outcome));
  return json::write(out);
}

}  // namespace postern
