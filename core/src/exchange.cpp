#include "exchange.h"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "credential.h"
#include "json.h"
#include "policy.h"
#include "refusal.h"
#include "rewrite.h"
#include "route.h"
#include "user.h"

namespace postern {
namespace {

// What a client may say to the upstream in headers. Everything else stays outside: LangGraph's JS server
// copies x-* headers, and what they claim, into the run's configuration.
constexpr std::array<std::string_view, 3> forwarded_headers = {"accept", "last-event-id", "user-agent"};

// The gate answers for the upstream, also about origins.
constexpr std::array<std::string_view, 6> dropped_reply_headers = {
    "access-control-allow-origin",  "access-control-allow-credentials", "access-control-expose-headers",
    "access-control-allow-methods", "access-control-allow-headers",     "access-control-max-age"};

// RFC 9110 section 7.6.1, and what an inspected reply gets anew.
constexpr std::array<std::string_view, 10> hop_by_hop_headers = {
    "connection",        "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer",
    "transfer-encoding", "upgrade",    "content-length",     "content-encoding"};

// Bounds the memory that one reply costs while it is judged: a tree takes about a hundred bytes a value, an edge
// isolate has 128 MB. A long chat has some ten thousand values.
constexpr json::Limits reply_limits{.depth_max = 128, .values_max = 400'000};

// A thread or an assistant without its values is small; more is no answer to the question asked.
constexpr std::size_t object_bytes_max = 1024 * 1024;

Result<json::Value, json::ParseFault> parse_reply(std::string_view body) {
  return json::parse(json::replace_lone_surrogates(body), reply_limits);
}

// What is made under a decision: the filter's fields and the stamp are the gate's, or a client could plant objects in
// somebody else's view.
void own_metadata(json::Value& body, const Decision& decision) {
  if (decision.filter) {
    if (const auto equalities = decision.filter->equalities(); !equalities.empty()) require_metadata(body, equalities);
  }
  stamp_metadata(body, decision.stamp);
}

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& names) {
  return std::find(names.begin(), names.end(), text) != names.end();
}

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

std::string_view not_found_text(Resource resource) {
  return resource == Resource::assistants ? "Assistant not found" : "Thread not found";
}

std::string challenge(Error error) {
  // RFC 6750 section 3.1: no error word when the request carried no credential.
  if (error == Error::credential_missing) return "Bearer";
  const std::string_view word = http_status(error) == 400 ? "invalid_request" : "invalid_token";
  return "Bearer error=\"" + std::string(word) + "\", error_description=\"" + std::string(sentence(error)) + "\"";
}

Respond respond(const Refusal& refusal, std::int64_t retry_after_seconds = 1) {
  Respond out;
  out.status = http_status(refusal.error);
  out.error = refusal.error;
  out.headers.push_back({"content-type", "application/json"});
  out.headers.push_back({"cache-control", "no-store"});
  const bool about_credential =
      out.status == 401 || refusal.error == Error::credential_malformed || refusal.error == Error::credential_duplicated;
  if (about_credential) out.headers.push_back({"www-authenticate", challenge(refusal.error)});
  if (out.status == 503) out.headers.push_back({"retry-after", std::to_string(retry_after_seconds)});
  if (!refusal.allow.empty()) out.headers.push_back({"allow", refusal.allow});
  // The shape of LangGraph's Python server, with a code beside it.
  out.body = "{\"detail\":";
  json::write_string(out.body, refusal.detail.empty() ? sentence(refusal.error) : std::string_view(refusal.detail));
  out.body += ",\"code\":";
  json::write_string(out.body, name(refusal.error));
  out.body += "}";
  return out;
}

Respond respond(Error error) { return respond(Refusal{error, {}, {}}); }

// An upstream's reply that was read whole, on to the client.
Respond pass_on(IncomingResponse reply) {
  Respond out;
  out.status = reply.status;
  for (Header& header : reply.headers) {
    std::string name = lower_case(header.name);
    if (is_one_of(name, hop_by_hop_headers) || is_one_of(name, dropped_reply_headers)) continue;
    out.headers.push_back({std::move(name), std::move(header.value)});
  }
  out.body = std::move(reply.body);
  return out;
}

const json::Value& metadata_of(const json::Value& object) {
  static const json::Value none;
  const json::Value* metadata = object.find("metadata");
  return metadata == nullptr ? none : *metadata;
}

bool is_system_assistant(const json::Value& assistant) {
  const json::Value* created_by = metadata_of(assistant).find("created_by");
  return created_by != nullptr && created_by->is_string() && created_by->as_string() == "system";
}

bool has_id(const json::Value& object, std::string_view key, std::string_view id) {
  const json::Value* value = object.find(key);
  return value != nullptr && value->is_string() && value->as_string() == id;
}

}  // namespace

// The stages run in the order of the enumerators; each either yields a step or leads to the next.
class ExchangeState final : public Exchange {
 public:
  ExchangeState(GateState& gate, const RequestHead& head, Time now, Purpose purpose);
  ~ExchangeState() override {
    if (fetch_id_ != 0) gate_.end_fetch(fetch_id_);
  }
  ExchangeState(const ExchangeState&) = delete;
  ExchangeState& operator=(const ExchangeState&) = delete;

  Step next(Time now) override;
  void give(std::uint64_t step_id, BodyResult body, Time now) override;
  void give(std::uint64_t step_id, IncomingResponse reply, Time now) override;
  void fail(std::uint64_t step_id) override;
  void give_object(IncomingResponse reply);

  // For explain: what was found so far, and passing a check without asking the upstream.
  [[nodiscard]] json::Value explanation() const;
  void assume_check_passed();

 private:
  enum class Stage : std::uint8_t {
    authenticate,
    authorize,
    await_body,
    check_assistant,
    check_thread,
    check_run,      // the run in the path: LangGraph's JS server streams and joins it whatever thread stands before it
    create_thread,  // a run with if_not_exists=create on a thread that is not there
    forward,
    await_reply,
    check_existing,  // a create that met a taken id, with if_exists=do_nothing
    read_existing,
    over,
  };

  Step step(decltype(Step::action) action) {
    awaited_step_ = gate_.next_step_id();
    return Step{awaited_step_, std::move(action)};
  }
  Step finish(Respond response) {
    stage_ = Stage::over;
    return step(std::move(response));
  }
  // Ends the exchange with the next step, whatever stage it is in.
  void refuse(const Refusal& refusal) { refusal_ = refusal; }
  void refuse(Error error) { refuse(Refusal{error, {}, {}}); }
  void refuse_unknown() { refuse(Refusal{Error::object_unknown, std::string(not_found_text(match_->route->resource)), {}}); }

  std::optional<Step> authenticate(Time now);
  void authorize();
  void take_body(std::string bytes);
  void prepare_existing();
  Step fetch_object(std::string method, std::string path, std::string body);
  Step look_up_thread(std::string_view thread_id);
  Step look_up_assistant();
  [[nodiscard]] bool is_made_thread(const IncomingResponse& reply) const;
  [[nodiscard]] bool is_own_thread(const IncomingResponse& reply, std::string_view thread_id) const;
  Step forward();
  OutgoingRequest outgoing() const;
  void judge_reply(IncomingResponse reply);
  void judge_object(IncomingResponse reply);
  void judge_list(IncomingResponse reply);
  void judge_created(IncomingResponse reply);
  void judge_assistant(const IncomingResponse& reply);
  void judge_run(const IncomingResponse& reply);

  [[nodiscard]] std::string_view asked_assistant() const {
    return match_->assistant_id.empty() ? body_string("assistant_id") : std::string_view(match_->assistant_id);
  }
  // What a thread that is looked up must match.
  [[nodiscard]] const Filter& thread_filter() const { return existing_filter_ ? *existing_filter_ : *decision_.filter; }
  [[nodiscard]] bool filtered() const { return decision_.filter.has_value(); }
  [[nodiscard]] std::string_view body_string(std::string_view field) const {
    const json::Value* value = body_.find(field);
    return value == nullptr ? std::string_view{} : std::string_view(value->as_string());
  }

  GateState& gate_;
  const Purpose purpose_;
  const Time opened_at_;
  Stage stage_ = Stage::authenticate;
  std::uint64_t awaited_step_ = 0;
  std::uint64_t fetch_id_ = 0;  // of this exchange's own fetch under way
  std::optional<Refusal> refusal_;
  std::optional<Refusal> route_refusal_;  // waits until the caller is known to be somebody
  std::int64_t retry_after_seconds_ = 1;
  std::optional<Respond> response_;

  std::optional<RouteMatch> match_;
  std::string token_;
  std::vector<Header> kept_headers_;
  bool body_encoded_ = false;
  std::optional<ParsedJws> jws_;
  IssuerState* issuer_ = nullptr;

  User user_;
  Decision decision_;
  std::optional<Filter> assistant_filter_;
  bool assistant_open_ = false;  // assistants:read allows every assistant
  json::Value body_;
  bool has_body_ = false;
  bool metadata_selected_ = false;         // by the gate, not by the client
  bool create_if_missing_ = false;         // run: if_not_exists=create
  std::optional<Filter> existing_filter_;  // whose existing thread a create may give back
  bool judges_creation_ = false;
  bool existing_is_fine_ = false;  // thread: if_exists=do_nothing
};

ExchangeState::ExchangeState(GateState& gate, const RequestHead& head, Time now, Purpose purpose)
    : gate_(gate), purpose_(purpose), opened_at_(now) {
  auto token = bearer_token(head);
  if (purpose == Purpose::handle) {
    auto match = match_route(head.method, head.target);
    if (match) {
      match_ = std::move(match).value();
      if (match_->route->treatment == Treatment::open) {
        stage_ = Stage::forward;
        token = std::string_view{};
      }
    } else if (token) {
      // Who has not shown a token learns nothing about routes; who has gets the reason after it verified.
      route_refusal_ = match.error();
    }
  }
  if (!token) {
    refuse(token.error());
    return;
  }
  token_ = *token;
  for (std::size_t i = 0; i < head.headers_size; ++i) {
    std::string name = lower_case(head.headers[i].name);
    if (name == "content-encoding" && lower_case(head.headers[i].value) != "identity") body_encoded_ = true;
    if (is_one_of(name, forwarded_headers)) kept_headers_.push_back({std::move(name), std::string(head.headers[i].value)});
  }
}

Step ExchangeState::next(Time now) {
  if (stage_ == Stage::over) return finish(respond(Error::step_mismatch));
  if (!refusal_ && stage_ == Stage::authenticate) {
    if (auto waiting = authenticate(now)) return std::move(*waiting);
    if (!refusal_) refusal_ = std::move(route_refusal_);
    if (!refusal_ && purpose_ == Purpose::authenticate) {
      stage_ = Stage::over;
      return step(Authenticated{std::move(user_)});
    }
    stage_ = Stage::authorize;
  }
  if (!refusal_ && stage_ == Stage::authorize) authorize();
  if (refusal_) return finish(respond(*refusal_, retry_after_seconds_));
  if (response_) return finish(std::move(*response_));

  switch (stage_) {
    case Stage::await_body:
      if (awaited_step_ == 0) return step(ReadBody{gate_.settings.limits.body_bytes_max});
      break;
    case Stage::check_assistant:
      if (fetch_id_ == 0) return look_up_assistant();
      break;
    case Stage::check_thread:
      if (fetch_id_ == 0) return look_up_thread(match_->thread_id);
      break;
    case Stage::check_run:
      if (fetch_id_ == 0) return fetch_object("GET", "/threads/" + match_->thread_id + "/runs/" + match_->run_id, {});
      break;
    case Stage::create_thread:
      if (fetch_id_ == 0) {
        json::Value thread = json::Value::object();
        thread.set("thread_id", json::Value::string(match_->thread_id));
        thread.set("if_exists", json::Value::string("raise"));
        if (const json::Value* metadata = body_.find("metadata"); metadata != nullptr && metadata->is_object()) {
          thread.set("metadata", *metadata);
        }
        auto creation = gate_.settings.policy.decide(user_, Resource::threads, Action::create);
        if (!creation) {
          refuse_unknown();
          return finish(respond(*refusal_));
        }
        own_metadata(thread, creation.value());
        own_metadata(thread, decision_);
        return fetch_object("POST", "/threads", json::write(thread));
      }
      break;
    case Stage::forward:
      return forward();
    case Stage::check_existing:
      if (fetch_id_ == 0) return look_up_thread(body_string("thread_id"));
      break;
    case Stage::read_existing:
      if (fetch_id_ == 0) return fetch_object("GET", "/threads/" + std::string(body_string("thread_id")), {});
      break;
    case Stage::authenticate:
    case Stage::authorize:
    case Stage::await_reply:
    case Stage::over:
      break;
  }
  // The host asks on without having given what it was asked for.
  return finish(respond(Error::step_mismatch));
}

std::optional<Step> ExchangeState::authenticate(Time now) {
  if (!jws_) {
    auto parsed = parse_jws(token_);
    if (!parsed) return refuse(parsed.error()), std::nullopt;
    auto issuer = unverified_issuer(parsed.value());
    if (!issuer) return refuse(issuer.error()), std::nullopt;
    issuer_ = gate_.find_issuer(issuer.value());
    if (issuer_ == nullptr) return refuse(Error::issuer_unknown), std::nullopt;
    const auto& algorithms = issuer_->settings.algorithms;
    if (std::find(algorithms.begin(), algorithms.end(), parsed->alg) == algorithms.end()) {
      return refuse(Error::algorithm_not_allowed), std::nullopt;
    }
    jws_ = std::move(parsed).value();
  }

  const Jwk* key = nullptr;
  if (!issuer_->settings.fetches_keys) {
    auto selected = select_key(issuer_->settings.static_keys, jws_->kid, *jws_->alg);
    if (!selected) return refuse(selected.error()), std::nullopt;
    key = selected.value();
  } else {
    KeyCache::Answer answer = issuer_->keys.find(jws_->kid, *jws_->alg, opened_at_, now);
    if (auto* fetch = std::get_if<Fetch>(&answer)) return step(std::move(*fetch));
    if (auto* wait = std::get_if<Wait>(&answer)) return step(*wait);
    if (auto* unavailable = std::get_if<KeyCache::Unavailable>(&answer)) {
      retry_after_seconds_ = unavailable->retry_after_seconds;
      return refuse(Error::keys_unavailable), std::nullopt;
    }
    if (auto* error = std::get_if<Error>(&answer)) return refuse(*error), std::nullopt;
    key = std::get<KeyCache::Found>(answer).key;
  }

  auto verified = VerifiedJws::verify(std::move(*jws_), *key);
  if (!verified) return refuse(verified.error()), std::nullopt;
  auto claims = validate_claims(verified.value(), issuer_->settings.claims, now);
  if (!claims) return refuse(claims.error()), std::nullopt;
  user_ = make_user(claims.value(), issuer_->settings.identity_prefix);
  token_ = "verified";  // the credential itself is not needed any more
  return std::nullopt;
}

void ExchangeState::authorize() {
  const Route& route = *match_->route;
  auto decision = gate_.settings.policy.decide(user_, route.resource, route.action);
  if (!decision) return refuse(decision.error());
  decision_ = std::move(decision).value();
  const bool by_search = route.treatment == Treatment::search || route.treatment == Treatment::count;
  if (by_search && filtered() && decision_.filter->equalities().empty()) return refuse(Error::filter_not_enforceable);
  if (route.takes_body()) {
    if (body_encoded_) return refuse(Error::body_encoding_unsupported);
    awaited_step_ = 0;
    stage_ = Stage::await_body;
    return;
  }
  switch (route.treatment) {
    case Treatment::thread_first:
      stage_ = filtered() ? Stage::check_thread : Stage::forward;
      return;
    case Treatment::assistant_first:
      assistant_filter_ = decision_.filter;
      stage_ = filtered() ? Stage::check_assistant : Stage::forward;
      return;
    default:
      stage_ = Stage::forward;
      return;
  }
}

void ExchangeState::give(std::uint64_t step_id, BodyResult body, Time) {
  if (stage_ != Stage::await_body || step_id != awaited_step_) return refuse(Error::step_mismatch);
  switch (body.state) {
    case BodyResult::State::whole:
      return take_body(std::move(body.bytes));
    case BodyResult::State::over_limit:
      return refuse(Error::body_too_large);
    case BodyResult::State::failed:
      return refuse(Error::body_malformed);
  }
}

void ExchangeState::take_body(std::string bytes) {
  const Route& route = *match_->route;
  has_body_ = !bytes.empty() || !route.body.empty();
  body_ = json::Value::object();
  if (!bytes.empty()) {
    auto parsed = json::parse(bytes);
    if (!parsed) {
      return refuse(
          Refusal{Error::body_malformed,
                  "the body is not strict JSON: " + parsed.error().what + " at byte " + std::to_string(parsed.error().offset),
                  {}});
    }
    if (!(parsed->is_null() && route.body.empty())) body_ = std::move(parsed).value();
  }
  if (auto refusal = check_body(body_, *match_)) return refuse(*refusal);

  switch (route.treatment) {
    case Treatment::create_thread:
      stage_ = Stage::forward;
      own_metadata(body_, decision_);
      return prepare_existing();
    case Treatment::search:
    case Treatment::count:
      stage_ = Stage::forward;
      if (filtered()) {
        require_metadata(body_, decision_.filter->equalities());
        if (route.treatment == Treatment::search) metadata_selected_ = select_metadata(body_);
      }
      return;
    case Treatment::thread_first:
      if (route.action == Action::update) {
        keep_metadata(body_, decision_.stamp, filtered() ? decision_.filter->equalities() : Stamp{});
      }
      stage_ = filtered() ? Stage::check_thread : Stage::forward;
      return;
    case Treatment::create_run: {
      own_metadata(body_, decision_);
      create_if_missing_ = body_string("if_not_exists") == "create";
      if (filtered()) body_.set("if_not_exists", json::Value::string("reject"));
      const std::string assistant(body_string("assistant_id"));
      if (!is_uuid(assistant)) {
        const auto& graphs = gate_.settings.upstream.graphs;
        if (!graphs.empty() && std::find(graphs.begin(), graphs.end(), assistant) == graphs.end()) {
          return refuse(Refusal{Error::assistant_not_allowed, "Assistant not found", {}});
        }
        stage_ = filtered() ? Stage::check_thread : Stage::forward;
        return;
      }
      auto readable = gate_.settings.policy.decide(user_, Resource::assistants, Action::read);
      if (!readable) return refuse(Refusal{Error::assistant_not_allowed, "Assistant not found", {}});
      assistant_open_ = !readable->filter.has_value();
      assistant_filter_ = std::move(readable->filter);
      stage_ = assistant_open_ ? (filtered() ? Stage::check_thread : Stage::forward) : Stage::check_assistant;
      return;
    }
    case Treatment::open:
    case Treatment::read_object:
    case Treatment::assistant_first:
      return refuse(Error::host_failed);  // rows without a body; not reached
  }
}

// A taken id: what if_exists=do_nothing gives back is read, so the rule for reading (or the stricter one for creating)
// decides, and the upstream's own atomic create says whether the id is taken.
void ExchangeState::prepare_existing() {
  existing_filter_ = decision_.filter;
  bool readable = true;
  if (!existing_filter_) {
    auto reading = gate_.settings.policy.decide(user_, Resource::threads, Action::read);
    readable = reading.ok();
    if (readable) existing_filter_ = std::move(reading->filter);
  }
  judges_creation_ = existing_filter_ || !readable;
  if (!judges_creation_) return;
  existing_is_fine_ = readable && body_string("if_exists") == "do_nothing";
  if (body_.find("thread_id") != nullptr) body_.set("if_exists", json::Value::string("raise"));
}

Step ExchangeState::fetch_object(std::string method, std::string path, std::string body) {
  fetch_id_ = gate_.begin_fetch(this);
  Fetch fetch;
  fetch.fetch_id = fetch_id_;
  fetch.purpose = FetchPurpose::upstream_object;
  fetch.request.method = std::move(method);
  fetch.request.url = gate_.settings.upstream.url + path;
  fetch.request.headers = gate_.settings.upstream.headers;
  fetch.request.headers.push_back({"accept", "application/json"});
  fetch.request.headers.push_back({"accept-encoding", "identity"});
  if (!body.empty()) fetch.request.headers.push_back({"content-type", "application/json"});
  fetch.request.body = std::move(body);
  // A run's kwargs hold its whole input.
  const bool whole = stage_ == Stage::read_existing || stage_ == Stage::check_run;
  fetch.bytes_max = whole ? gate_.settings.limits.reply_bytes_max : object_bytes_max;
  fetch.time_limit_ms = gate_.settings.limits.upstream_time_limit_ms;
  return step(std::move(fetch));
}

// By id and owner in one search, so that a foreign and a missing thread cost the same call and look the
// same, and no thread's values travel for a question about its owner.
Step ExchangeState::look_up_thread(std::string_view thread_id) {
  json::Value search = json::Value::object();
  json::Value ids = json::Value::array();
  ids.push_back(json::Value::string(thread_id));
  search.set("ids", std::move(ids));
  const auto equalities = thread_filter().equalities();
  if (!equalities.empty()) require_metadata(search, equalities);
  json::Value select = json::Value::array();
  select.push_back(json::Value::string("thread_id"));
  select.push_back(json::Value::string("metadata"));
  search.set("select", std::move(select));
  search.set("limit", json::Value::number(1));
  return fetch_object("POST", "/threads/search", json::write(search));
}

// By id, or for a graph's name by search: the Python server knows GET /assistants/{id} for UUIDs only.
Step ExchangeState::look_up_assistant() {
  const std::string id(asked_assistant());
  if (is_uuid(id)) return fetch_object("GET", "/assistants/" + id, {});
  json::Value search = json::Value::object();
  search.set("graph_id", json::Value::string(id));
  json::Value metadata = json::Value::object();
  metadata.set("created_by", json::Value::string("system"));
  search.set("metadata", std::move(metadata));
  search.set("limit", json::Value::number(1));
  return fetch_object("POST", "/assistants/search", json::write(search));
}

bool ExchangeState::is_own_thread(const IncomingResponse& reply, std::string_view thread_id) const {
  auto list = parse_reply(reply.body);
  if (!list || !list->is_array() || list->items().size() != 1) return false;
  const json::Value& thread = list->items().front();
  return has_id(thread, "thread_id", thread_id) && thread_filter().matches(metadata_of(thread));
}

// An older server may answer a create with the row that is there, whoever's it is.
bool ExchangeState::is_made_thread(const IncomingResponse& reply) const {
  auto thread = parse_reply(reply.body);
  return thread && has_id(thread.value(), "thread_id", match_->thread_id) &&
         decision_.filter->matches(metadata_of(thread.value()));
}

void ExchangeState::give_object(IncomingResponse reply) {
  fetch_id_ = 0;
  if (stage_ == Stage::over || refusal_ || response_) return;
  if (reply.status == 0) return refuse(reply.timed_out ? Error::upstream_timeout : Error::upstream_failed);
  if (reply.body_over_limit) return refuse(Error::reply_too_large);

  switch (stage_) {
    case Stage::check_assistant:
      return judge_assistant(reply);
    case Stage::check_thread:
      if (reply.status != 200) return refuse(Error::upstream_failed);
      if (is_own_thread(reply, match_->thread_id)) {
        stage_ = match_->run_id.empty() ? Stage::forward : Stage::check_run;
      } else if (create_if_missing_) {
        stage_ = Stage::create_thread;
      } else {
        refuse_unknown();
      }
      return;
    case Stage::check_run:
      return judge_run(reply);
    case Stage::create_thread:
      // 409: the thread is there and was not found as the caller's.
      if (reply.status == 409) return refuse_unknown();
      if (reply.status != 200) return refuse(Error::upstream_failed);
      if (!is_made_thread(reply)) return refuse_unknown();
      stage_ = Stage::forward;
      return;
    case Stage::check_existing:
      if (reply.status != 200) return refuse(Error::upstream_failed);
      if (!is_own_thread(reply, body_string("thread_id"))) {
        return refuse(Refusal{Error::object_exists, "Thread already exists", {}});
      }
      stage_ = Stage::read_existing;
      return;
    case Stage::read_existing:
      return judge_object(std::move(reply));
    default:
      return refuse(Error::step_mismatch);
  }
}

void ExchangeState::judge_run(const IncomingResponse& reply) {
  const auto unknown = [&] { refuse(Refusal{Error::object_unknown, "Run not found", {}}); };
  if (reply.status == 404 || reply.status == 422) return unknown();
  if (reply.status != 200) return refuse(Error::upstream_failed);
  auto run = parse_reply(reply.body);
  if (!run) return refuse(Error::upstream_failed);
  if (!has_id(run.value(), "run_id", match_->run_id) || !has_id(run.value(), "thread_id", match_->thread_id)) return unknown();
  stage_ = Stage::forward;
}

void ExchangeState::judge_assistant(const IncomingResponse& reply) {
  const bool on_run = match_->route->treatment == Treatment::create_run;
  const std::string id(asked_assistant());
  const auto unknown = [&] {
    refuse(Refusal{on_run ? Error::assistant_not_allowed : Error::object_unknown, "Assistant not found", {}});
  };
  if (reply.status == 404 || reply.status == 422) return unknown();
  if (reply.status != 200) return refuse(Error::upstream_failed);
  auto parsed = parse_reply(reply.body);
  if (!parsed) return refuse(Error::upstream_failed);
  const json::Value* assistant = &parsed.value();
  if (!is_uuid(id)) {
    if (!parsed->is_array()) return refuse(Error::upstream_failed);
    if (parsed->items().empty()) return unknown();
    assistant = &parsed->items().front();
  }
  if (!has_id(*assistant, is_uuid(id) ? "assistant_id" : "graph_id", id)) return unknown();
  // System assistants are the server's own graphs: who may run at all may run them (as LangGraph's server does).
  const bool visible =
      (on_run && is_system_assistant(*assistant)) || (assistant_filter_ && assistant_filter_->matches(metadata_of(*assistant)));
  if (!visible) return unknown();
  stage_ = on_run && filtered() ? Stage::check_thread : Stage::forward;
}

OutgoingRequest ExchangeState::outgoing() const {
  OutgoingRequest request;
  request.method = match_->route->method;
  request.url = gate_.settings.upstream.url + match_->path + match_->query;
  request.headers = gate_.settings.upstream.headers;
  for (const Header& header : kept_headers_) request.headers.push_back(header);
  request.headers.push_back({"accept-encoding", "identity"});
  if (has_body_) {
    request.body = json::write(body_);
    request.headers.push_back({"content-type", "application/json"});
  }
  return request;
}

Step ExchangeState::forward() {
  Forward out;
  out.request = outgoing();
  out.time_limit_ms = match_->route->streams ? 0 : gate_.settings.limits.upstream_time_limit_ms;
  for (const std::string_view header : dropped_reply_headers) out.drop_reply_headers.emplace_back(header);
  const Treatment treatment = match_->route->treatment;
  const bool inspected = (filtered() && (treatment == Treatment::read_object || treatment == Treatment::search)) ||
                         (treatment == Treatment::create_thread && judges_creation_);
  if (!inspected) {
    if (match_->head) out.request.method = "HEAD";
    stage_ = Stage::over;
    return step(std::move(out));
  }
  out.reply = ReplyMode::inspect;
  out.bytes_max = gate_.settings.limits.reply_bytes_max;
  stage_ = Stage::await_reply;
  return step(std::move(out));
}

void ExchangeState::give(std::uint64_t step_id, IncomingResponse reply, Time) {
  if (stage_ != Stage::await_reply || step_id != awaited_step_) return refuse(Error::step_mismatch);
  if (reply.status == 0) return refuse(reply.timed_out ? Error::upstream_timeout : Error::upstream_failed);
  if (reply.body_over_limit) return refuse(Error::reply_too_large);
  judge_reply(std::move(reply));
}

void ExchangeState::judge_reply(IncomingResponse reply) {
  // A redirect would lead the client, or us, around the gate; the upstream's 401 and 403 are about the gate's own
  // credential there, not about the client's.
  const bool redirect = reply.status >= 300 && reply.status < 400;
  if (reply.status < 200 || redirect || reply.status == 401 || reply.status == 403) return refuse(Error::upstream_failed);
  switch (match_->route->treatment) {
    case Treatment::read_object:
      return judge_object(std::move(reply));
    case Treatment::search:
      return judge_list(std::move(reply));
    case Treatment::create_thread:
      return judge_created(std::move(reply));
    default:
      return refuse(Error::step_mismatch);
  }
}

void ExchangeState::judge_object(IncomingResponse reply) {
  // 400 and 422: the upstream does not take this spelling of an id, so there is no such object.
  if (reply.status == 404 || reply.status == 400 || reply.status == 422) return refuse_unknown();
  if (reply.status != 200) return refuse(Error::upstream_failed);
  auto object = parse_reply(reply.body);
  if (!object || !object->is_object()) return refuse(Error::upstream_failed);
  const bool existing = stage_ == Stage::read_existing;
  const std::string_view key = existing ? "thread_id" : "assistant_id";
  const std::string id(existing ? body_string("thread_id") : std::string_view(match_->assistant_id));
  const Filter& filter = existing ? thread_filter() : *decision_.filter;
  const bool is_asked_one = !is_uuid(id) || has_id(object.value(), key, id);
  if (!is_asked_one || !filter.matches(metadata_of(object.value()))) return refuse_unknown();
  response_ = pass_on(std::move(reply));
}

void ExchangeState::judge_list(IncomingResponse reply) {
  if (reply.status >= 400) {
    // About the client's own query; no object is in it.
    response_ = pass_on(std::move(reply));
    return;
  }
  auto list = parse_reply(reply.body);
  if (!list || !list->is_array()) return refuse(Error::upstream_failed);
  auto& items = list->items();
  const std::size_t size_before = items.size();
  std::erase_if(items, [&](const json::Value& item) { return !decision_.filter->matches(metadata_of(item)); });
  const bool changed = metadata_selected_ || items.size() != size_before;
  if (metadata_selected_) {
    for (json::Value& item : items) item.remove("metadata");
  }
  if (changed) reply.body = json::write(list.value());
  response_ = pass_on(std::move(reply));
}

void ExchangeState::judge_created(IncomingResponse reply) {
  if (reply.status == 409) {
    if (existing_is_fine_ && existing_filter_ && !body_string("thread_id").empty()) {
      stage_ = Stage::check_existing;
      return;
    }
    return refuse(Refusal{Error::object_exists, "Thread already exists", {}});
  }
  if (reply.status >= 400 || !filtered()) {
    response_ = pass_on(std::move(reply));
    return;
  }
  auto thread = parse_reply(reply.body);
  if (!thread || !thread->is_object()) return refuse(Error::upstream_failed);
  // The upstream answered with a thread that is not the caller's: an older server returning an existing row.
  if (!decision_.filter->matches(metadata_of(thread.value()))) {
    if (body_string("thread_id").empty()) return refuse(Error::upstream_failed);
    return refuse(Refusal{Error::object_exists, "Thread already exists", {}});
  }
  response_ = pass_on(std::move(reply));
}

void ExchangeState::fail(std::uint64_t) { refuse(Error::host_failed); }

void ExchangeState::assume_check_passed() {
  if (fetch_id_ != 0) gate_.end_fetch(std::exchange(fetch_id_, 0));
  const bool run_thread_next =
      stage_ == Stage::check_assistant && match_->route->treatment == Treatment::create_run && filtered();
  const bool run_next = stage_ == Stage::check_thread && !match_->run_id.empty();
  stage_ = run_thread_next ? Stage::check_thread : run_next ? Stage::check_run : Stage::forward;
}

json::Value ExchangeState::explanation() const {
  json::Value out = json::Value::object();
  if (!user_.identity.empty()) {
    json::Value user = json::Value::object();
    user.set("identity", json::Value::string(user_.identity));
    user.set("display_name", json::Value::string(user_.display_name));
    json::Value permissions = json::Value::array();
    for (const std::string& permission : user_.permissions) permissions.push_back(json::Value::string(permission));
    user.set("permissions", std::move(permissions));
    out.set("user", std::move(user));
  }
  if (match_) {
    json::Value route = json::Value::object();
    route.set("method", json::Value::string(match_->route->method));
    route.set("path", json::Value::string(match_->route->path));
    route.set("resource", json::Value::string(name(match_->route->resource)));
    route.set("action", json::Value::string(name(match_->route->action)));
    out.set("route", std::move(route));
  }
  if (!decision_.rule_key.empty()) {
    out.set("rule", json::Value::string(decision_.rule_key));
    out.set("filter", decision_.filter ? decision_.filter->to_json() : json::Value{});
    json::Value stamp = json::Value::object();
    for (const auto& [field, value] : decision_.stamp) stamp.set(field, value);
    out.set("stamp", std::move(stamp));
  }
  return out;
}

IssuerState::IssuerState(IssuerSettings s, std::uint32_t index, const std::shared_ptr<TableBudget>& tables)
    : settings(std::move(s)), keys(settings.keys, index, tables) {
  if (tables != nullptr) {
    for (Jwk& key : settings.static_keys) key.key.use_tables(tables);
  }
  if (settings.fetches_keys && !settings.static_keys.empty()) keys.add_static_keys(std::move(settings.static_keys));
}

GateState::GateState(Settings s) : settings(std::move(s)) {
  if (settings.verifier == Verifier::own) tables = std::make_shared<TableBudget>(settings.limits.table_bytes_max);
  std::uint32_t index = 0;
  for (IssuerSettings& issuer : settings.issuers) issuers.emplace_back(std::move(issuer), index++, tables);
  settings.issuers.clear();
}

IssuerState* GateState::find_issuer(std::string_view issuer) {
  for (IssuerState& candidate : issuers) {
    if (candidate.settings.claims.issuer == issuer) return &candidate;
  }
  return nullptr;
}

std::uint64_t GateState::begin_fetch(ExchangeState* owner) {
  object_fetches_.emplace(++last_fetch_id_, owner);
  return last_fetch_id_;
}

void GateState::give(std::uint64_t fetch_id, IncomingResponse response, Time now) {
  if (const auto found = object_fetches_.find(fetch_id); found != object_fetches_.end()) {
    ExchangeState* owner = found->second;
    object_fetches_.erase(found);
    owner->give_object(std::move(response));
    return;
  }
  for (IssuerState& issuer : issuers) {
    if (issuer.keys.give(fetch_id, response, now)) return;
  }
}

std::unique_ptr<Exchange> open_exchange(GateState& gate, const RequestHead& head, Time now, Purpose purpose) {
  return std::make_unique<ExchangeState>(gate, head, now, purpose);
}

std::string explain_exchange(GateState& gate, const RequestHead& head, std::string_view body, Time now) {
  ExchangeState exchange(gate, head, now, Purpose::handle);
  json::Value checks = json::Value::array();
  json::Value outcome = json::Value::object();
  // At most: body, assistant, thread, forward.
  for (int i = 0; i < 8; ++i) {
    Step step = exchange.next(now);
    if (std::holds_alternative<ReadBody>(step.action)) {
      exchange.give(step.step_id, BodyResult{BodyResult::State::whole, std::string(body)}, now);
      continue;
    }
    if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
      if (fetch->purpose != FetchPurpose::upstream_object) {
        // Nobody will carry it: the next request that needs it must be able to.
        for (IssuerState& issuer : gate.issuers) issuer.keys.abandon(fetch->fetch_id);
        outcome.set("kind", json::Value::string("keys_needed"));
        outcome.set("detail",
                    json::Value::string(
                        "the issuer's keys must be fetched first; give them under \"keys\" to explain without a network"));
        break;
      }
      json::Value check = json::Value::object();
      check.set("method", json::Value::string(fetch->request.method));
      check.set("url", json::Value::string(fetch->request.url));
      check.set("body", json::Value::string(fetch->request.body));
      checks.push_back(std::move(check));
      exchange.assume_check_passed();
      continue;
    }
    if (const auto* forward = std::get_if<Forward>(&step.action)) {
      outcome.set("kind", json::Value::string("forward"));
      outcome.set("method", json::Value::string(forward->request.method));
      outcome.set("url", json::Value::string(forward->request.url));
      outcome.set("body", json::Value::string(forward->request.body));
      outcome.set("reply", json::Value::string(forward->reply == ReplyMode::pass ? "passed" : "judged by the filter"));
    } else if (const auto* answer = std::get_if<Respond>(&step.action)) {
      outcome.set("kind", json::Value::string("refuse"));
      outcome.set("status", json::Value::number(answer->status));
      if (answer->error) outcome.set("code", json::Value::string(name(*answer->error)));
      auto answer_body = json::parse(answer->body);
      if (answer_body && answer_body->find("detail") != nullptr) outcome.set("detail", *answer_body->find("detail"));
    } else {
      outcome.set("kind", json::Value::string("keys_needed"));
    }
    break;
  }
  json::Value out = exchange.explanation();
  if (auto received = json::parse(body); received && received->is_object()) out.set("body_received", std::move(received).value());
  out.set("checks", std::move(checks));
  out.set("outcome", std::move(outcome));
  return json::write(out);
}

}  // namespace postern
