#include "enforcement.h"

#include <algorithm>
#include <array>

#include "reply.h"
#include "rewrite.h"
#include "text.h"

namespace postern {
namespace {

// A thread or an assistant without its values is small; more is no answer to the question asked.
constexpr std::size_t object_bytes_max = 1024 * 1024;
// Each costs an upstream call, or a look through the reply.
constexpr std::size_t cancelled_runs_max = 32;
constexpr std::size_t pruned_threads_max = 100;
constexpr std::size_t batched_runs_max = 100;
// The servers' own bound on a page.
constexpr std::int64_t page_max = 1000;

// Protocol v2 (POST /threads/{id}/commands): a method, the action it is, and the parameters it takes. What is not listed is
// refused: subscriptions belong to a socket, and listing or forking checkpoints is not served by either server.
constexpr std::array run_start_fields = {
    Field{"assistant_id", FieldKind::assistant},
    Field{"input", FieldKind::any},
    Field{"config", FieldKind::config},
    Field{"metadata", FieldKind::metadata},
    Field{"multitask_strategy", FieldKind::string},
};
constexpr std::array input_respond_fields = {
    Field{"namespace", FieldKind::any}, Field{"interrupt_id", FieldKind::string}, Field{"response", FieldKind::any},
    Field{"responses", FieldKind::any}, Field{"update", FieldKind::any},          Field{"goto", FieldKind::any},
    Field{"config", FieldKind::config}, Field{"metadata", FieldKind::metadata},
};
constexpr std::array state_get_fields = {Field{"namespace", FieldKind::any}, Field{"keys", FieldKind::strings}};

struct ProtocolMethod {
  std::string_view name;
  Action action;
  std::span<const Field> fields;
};
constexpr std::array protocol_methods = {
    ProtocolMethod{"run.start", Action::create_run, run_start_fields},
    ProtocolMethod{"input.respond", Action::create_run, input_respond_fields},
    ProtocolMethod{"state.get", Action::read, state_get_fields},
    ProtocolMethod{"agent.getTree", Action::read, {}},
};

// What is made under a decision: the filter's fields and the stamp are the gate's, or a client could plant objects in
// somebody else's view.
void own_metadata(json::Value& body, const Decision& decision) {
  if (decision.filter) {
    if (const auto necessary = decision.filter->necessary(); !necessary.empty()) require_metadata(body, necessary);
  }
  stamp_metadata(body, decision.stamp);
}

// Whether what is made will be seen by the rule that lets it be made.
Refusal not_ones_own() {
  return Refusal{Error::policy_denied, "what is to be made would not match the filter of the policy's rule for making it"};
}

bool is_system_assistant(const json::Value& metadata) { return has_string(metadata, "created_by", "system"); }

std::string_view not_found_text(Resource resource) {
  switch (resource) {
    case Resource::assistants:
      return "Assistant not found";
    case Resource::crons:
      return "Cron not found";
    default:
      return "Thread not found";
  }
}

std::string camel_case(std::string_view field) {
  std::string out;
  bool upper = false;
  for (const char c : field) {
    if (c != '_') out += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = c == '_';
  }
  return out;
}

// The JS SDK sends each run of a batch in its own spelling as well (assistantId beside assistant_id). No server reads that.
void remove_camel_case(json::Value& run, std::span<const Field> fields) {
  for (const Field& field : fields) {
    if (field.name.find('_') != std::string_view::npos) run.remove(camel_case(field.name));
  }
}

// A handler's no about what a request only mentions looks as if there were no such thing; that it failed does not.
Refusal hidden(const Refusal& refusal, const Refusal& unknown) {
  return refusal.error() == Error::handler_denied ? unknown : refusal;
}

// Of an assistant, or one of its versions, against upstream.graphs.
bool is_of_listed_graph(const json::Value& assistant, const std::vector<std::string>& graphs) {
  const json::Value* graph = assistant.find("graph_id");
  return graphs.empty() || (graph != nullptr && holds(graphs, graph->as_string()));
}

}  // namespace

Enforcement::Enforcement(FlowDriver& driver, GateState& gate, const User& user, const RouteMatch& match,
                         std::vector<Header> headers, bool encoded)
    : driver_(driver),
      gate_(gate),
      user_(user),
      match_(match),
      headers_(std::move(headers)),
      encoded_(encoded),
      query_(match.query) {}

Flow<Outcome> Enforcement::run() {
  const Treatment treatment = route().treatment;
  if (treatment == Treatment::open || treatment == Treatment::operators) co_return forward();
  if (treatment == Treatment::custom) co_return co_await treat();
  // A protocol command's action stands in its body.
  if (treatment != Treatment::command) {
    auto decision = gate_.settings.policy.decide(user_, route().resource, route().action);
    if (!decision) co_return decision.error();
    decision_ = std::move(decision).value();
  }
  if (route().takes_body()) {
    if (auto failure = co_await read_body()) co_return *failure;
  }
  if (asks_handlers()) {
    switch (treatment) {
      case Treatment::create_runs:
      case Treatment::prune_threads:
      case Treatment::copy_thread:
      case Treatment::command:
      case Treatment::store_item:
      case Treatment::store_search:
      case Treatment::store_namespaces:
        break;  // what is asked about is known further on
      default:
        if (auto failure = co_await consult_row()) co_return *failure;
    }
  }
  co_return co_await treat();
}

Flow<Outcome> Enforcement::treat() {
  switch (route().treatment) {
    case Treatment::create:
      return create();
    case Treatment::search:
      return search();
    case Treatment::count:
      return count();
    case Treatment::object:
      return object();
    case Treatment::read_object:
      return read_object();
    case Treatment::create_run:
      return create_run();
    case Treatment::create_runs:
      return create_runs();
    case Treatment::cancel_runs:
      return cancel_runs();
    case Treatment::prune_threads:
      return prune_threads();
    case Treatment::copy_thread:
      return copy_thread();
    case Treatment::command:
      return command();
    case Treatment::assistant_versions:
      return assistant_versions();
    case Treatment::assistant_latest:
      return assistant_latest();
    case Treatment::create_cron:
      return create_cron();
    case Treatment::store_item:
      return store_item();
    case Treatment::store_search:
      return store_search();
    case Treatment::store_namespaces:
      return store_namespaces();
    case Treatment::custom:
      return custom();
    case Treatment::open:
    case Treatment::operators:
    case Treatment::denied:
      break;
  }
  return denied();
}

Flow<Outcome> Enforcement::denied() { co_return Error::route_denied; }

// ---------------------------------------------------------------------------------------------------------------- parts

Flow<Enforcement::Failure> Enforcement::read_body() {
  if (encoded_) co_return Error::body_encoding_unsupported;
  const BodyResult body = co_await driver_.body(gate_.settings.limits.body_bytes_max);
  if (body.state == BodyResult::State::over_limit) co_return Error::body_too_large;
  if (body.state == BodyResult::State::failed) co_return Error::body_malformed;

  const bool custom_body = match_.custom != nullptr;
  has_body_ = !body.bytes.empty() || !route().body.empty();
  body_ = route().treatment == Treatment::create_runs ? json::Value::array() : json::Value::object();
  if (body.bytes.empty()) co_return std::nullopt;
  auto parsed = json::parse(body.bytes);
  if (!parsed) {
    co_return Refusal{Error::body_malformed, "the body is not strict JSON: " + parsed.error().what + " at byte " +
                                                 std::to_string(parsed.error().offset)};
  }
  if (!parsed->is_null() || !route().body.empty() || custom_body) body_ = std::move(parsed).value();
  if (custom_body || route().treatment == Treatment::create_runs) co_return std::nullopt;
  co_return check(body_);
}

Enforcement::Failure Enforcement::check(const json::Value& body) const {
  BodyRules rules;
  rules.fields = route().body;
  rules.thread_id = match_.thread_id;
  rules.webhook_origins = &gate_.settings.upstream.webhook_origins;
  rules.assistants = route().resource == Resource::assistants;
  for (const AllowedFields& allowed : gate_.settings.upstream.allow_fields) {
    if (allowed.method == route().method && allowed.path == route().path) rules.more_fields = &allowed.fields;
  }
  return check_body(body, rules);
}

std::string_view Enforcement::body_string(const char* field) const {
  const json::Value* value = body_.find(field);
  return value == nullptr ? std::string_view{} : std::string_view(value->as_string());
}

Refusal Enforcement::unknown_object() const {
  return Refusal{Error::object_unknown, std::string(not_found_text(route().resource))};
}

// What a person asks about is printed: their secrets stay out of it.
void Enforcement::tell_identity(json::Value& run) const {
  const HandoverSettings& settings = gate_.settings.upstream.identity;
  if (!explaining_) return add_identity_to_run(run, user_, settings);
  User shown = user_;
  shown.secret_fields.clear();
  add_identity_to_run(run, shown, settings);
}

OutgoingRequest Enforcement::outgoing() const {
  OutgoingRequest request;
  request.method = route().method;
  request.url = gate_.settings.upstream.url + match_.path + query_;
  request.headers.reserve(gate_.settings.upstream.headers.size() + headers_.size() + 4);
  request.headers = gate_.settings.upstream.headers;
  for (const Header& header : headers_) request.headers.push_back(header);
  request.headers.push_back({"accept-encoding", "identity"});
  if (!raw_body_.empty()) {
    request.body = raw_body_;
  } else if (has_body_) {
    request.body = json::write(body_);
    request.headers.push_back({"content-type", "application/json"});
  }
  return request;
}

Forward Enforcement::forward() const {
  Forward out;
  out.request = outgoing();
  out.time_limit_ms = route().streams ? 0 : gate_.settings.limits.upstream_time_limit_ms;
  if (match_.head) out.request.method = "HEAD";
  add_identity(out.request, user_, gate_.settings.upstream.identity, driver_.now());
  return out;
}

StepResult<IncomingResponse> Enforcement::forward_inspected() const {
  Forward out;
  out.request = outgoing();
  out.time_limit_ms = route().streams ? 0 : gate_.settings.limits.upstream_time_limit_ms;
  add_identity(out.request, user_, gate_.settings.upstream.identity, driver_.now());
  out.reply = ReplyMode::inspect;
  out.bytes_max = gate_.settings.limits.reply_bytes_max;
  return driver_.inspected(std::move(out));
}

// A redirect would lead the client, or us, around the gate; the upstream's 401 and 403 are about the gate's own
// credential there, not about the client's.
Enforcement::Failure Enforcement::unusable(const IncomingResponse& reply) {
  if (reply.status == 0) return Refusal{reply.timed_out ? Error::upstream_timeout : Error::upstream_failed};
  if (reply.body_over_limit) return Refusal{Error::reply_too_large};
  const bool redirect = reply.status >= 300 && reply.status < 400;
  if (reply.status < 200 || redirect || reply.status == 401 || reply.status == 403) return Refusal{Error::upstream_failed};
  return std::nullopt;
}

// -------------------------------------------------------------------------------------------------------------- lookups

Flow<IncomingResponse> Enforcement::ask(std::string method, std::string path, std::string body, std::size_t bytes_max) {
  Fetch fetch;
  fetch.purpose = FetchPurpose::upstream_object;
  fetch.request.method = std::move(method);
  fetch.request.url = gate_.settings.upstream.url + path;
  fetch.request.headers.reserve(gate_.settings.upstream.headers.size() + 4);
  fetch.request.headers = gate_.settings.upstream.headers;
  fetch.request.headers.push_back({"accept", "application/json"});
  fetch.request.headers.push_back({"accept-encoding", "identity"});
  if (!body.empty()) fetch.request.headers.push_back({"content-type", "application/json"});
  fetch.request.body = std::move(body);
  add_identity(fetch.request, user_, gate_.settings.upstream.identity, driver_.now());
  fetch.bytes_max = bytes_max;
  fetch.time_limit_ms = gate_.settings.limits.upstream_time_limit_ms;
  if (explaining_) {
    json::Value check = json::Value::object();
    check.set("method", json::Value::string(fetch.request.method));
    check.set("url", json::Value::string(fetch.request.url));
    check.set("body", json::Value::string(fetch.request.body));
    checks_.push_back(std::move(check));
    co_return IncomingResponse{};
  }
  fetch.fetch_id = gate_.begin_fetch(&driver_);
  co_return co_await driver_.object(std::move(fetch));
}

// By id and owner in one search, so that a foreign and a missing thread cost the same call and look the
// same, and no thread's values travel for a question about its owner.
Flow<Enforcement::Found> Enforcement::find_thread(std::string id, std::optional<Filter> filter) {
  // Written as it goes out: most requests about a thread ask this.
  std::string query;
  query.reserve(256);
  query += R"({"ids":[)";
  json::write_string(query, id);
  query += ']';
  if (filter) filter->write_necessary(query, R"(,"metadata":)");
  query += R"(,"select":["thread_id","metadata"],"limit":1})";
  const IncomingResponse reply = co_await ask("POST", "/threads/search", std::move(query), object_bytes_max);
  if (explaining_) co_return std::optional(json::Value::object());
  if (auto failure = unusable(reply)) co_return *failure;
  if (reply.status != 200) co_return Error::upstream_failed;
  auto list = parse_reply(reply.body);
  if (!list || !list->is_array()) co_return Error::upstream_failed;
  // Whoever answers with something else than was asked for has not answered the question.
  if (list->items().size() != 1) co_return std::optional<json::Value>{};
  const json::Value& thread = list->items().front();
  const bool ones_own = !filter || filter->matches(metadata_of(thread));
  if (!has_string(thread, "thread_id", id) || !ones_own) co_return std::optional<json::Value>{};
  co_return std::optional(metadata_of(thread));
}

Flow<Enforcement::Failure> Enforcement::require_thread(std::string id) {
  if (!filtered()) co_return std::nullopt;
  const Found found = co_await find_thread(std::move(id), *decision_.filter);
  if (!found) co_return found.error();
  if (!found.value()) co_return Reason{Error::object_unknown, "Thread not found"};
  co_return std::nullopt;
}

// LangGraph's JS server streams and joins a run whatever thread stands before it in the path.
Flow<Enforcement::Failure> Enforcement::require_run(std::string thread_id, std::string run_id) {
  // Handlers may have judged by the thread's id alone.
  if (!filtered() && !asks_handlers()) co_return std::nullopt;
  // A run's kwargs hold its whole input.
  const std::size_t bytes_max = gate_.settings.limits.reply_bytes_max;
  const IncomingResponse reply = co_await ask("GET", "/threads/" + thread_id + "/runs/" + run_id, {}, bytes_max);
  if (explaining_) co_return std::nullopt;
  if (auto failure = unusable(reply)) co_return failure;
  constexpr Reason unknown{Error::object_unknown, "Run not found"};
  if (reply.status == 404 || reply.status == 422) co_return unknown;
  if (reply.status != 200) co_return Error::upstream_failed;
  const auto run = parse_reply(reply.body);
  if (!run) co_return Error::upstream_failed;
  if (!has_string(run.value(), "run_id", run_id) || !has_string(run.value(), "thread_id", thread_id)) co_return unknown;
  co_return std::nullopt;
}

// By id, or for a graph's name by search: the Python server knows GET /assistants/{id} for UUIDs only. Without a filter
// only the server's own are found.
Flow<Enforcement::Found> Enforcement::find_assistant(std::string id, std::optional<Filter> filter) {
  const bool by_id = is_uuid(id);
  std::string path = "/assistants/" + id;
  std::string body;
  if (!by_id) {
    json::Value query = json::Value::object();
    query.set("graph_id", json::Value::string(id));
    json::Value metadata = json::Value::object();
    metadata.set("created_by", json::Value::string("system"));
    query.set("metadata", std::move(metadata));
    query.set("limit", json::Value::number(1));
    path = "/assistants/search";
    body = json::write(query);
  }
  const IncomingResponse reply = co_await ask(by_id ? "GET" : "POST", std::move(path), std::move(body), object_bytes_max);
  if (explaining_) co_return std::optional(json::Value::object());
  if (auto failure = unusable(reply)) co_return *failure;
  const Found unknown = std::optional<json::Value>{};
  if (reply.status == 404 || reply.status == 422) co_return unknown;
  if (reply.status != 200) co_return Error::upstream_failed;
  const auto parsed = parse_reply(reply.body);
  if (!parsed || parsed->is_array() == by_id) co_return Error::upstream_failed;
  if (!by_id && parsed->items().empty()) co_return unknown;
  const json::Value& assistant = by_id ? parsed.value() : parsed->items().front();
  if (!has_string(assistant, by_id ? "assistant_id" : "graph_id", id)) co_return unknown;
  const json::Value& metadata = metadata_of(assistant);
  if (filter ? !filter->matches(metadata) : !is_system_assistant(metadata)) co_return unknown;
  co_return std::optional(metadata);
}

Flow<Enforcement::Found> Enforcement::find_cron(std::string id, Filter filter) {
  const IncomingResponse reply = co_await ask("GET", "/runs/crons/" + id, {}, gate_.settings.limits.reply_bytes_max);
  if (explaining_) co_return std::optional(json::Value::object());
  if (auto failure = unusable(reply)) co_return *failure;
  const Found unknown = std::optional<json::Value>{};
  if (reply.status == 404 || reply.status == 422) co_return unknown;
  if (reply.status != 200) co_return Error::upstream_failed;
  const auto cron = parse_reply(reply.body);
  if (!cron) co_return Error::upstream_failed;
  if (!has_string(cron.value(), "cron_id", id) || !filter.matches(metadata_of(cron.value()))) co_return unknown;
  co_return std::optional(metadata_of(cron.value()));
}

// A run with somebody's assistant runs under its configuration, which the state then shows: the assistant must be one the
// user may read. System assistants are the server's own graphs: who may run at all may run them, as in LangGraph's server.
Flow<Enforcement::Failure> Enforcement::require_runnable(std::string id) {
  constexpr Reason unknown{Error::assistant_not_allowed, "Assistant not found"};
  const auto& graphs = gate_.settings.upstream.graphs;
  if (!is_uuid(id)) {
    if (!graphs.empty() && !holds(graphs, id)) co_return unknown;
    co_return std::nullopt;
  }
  auto readable = gate_.settings.policy.decide(user_, Resource::assistants, Action::read);
  if (!readable) co_return unknown;
  if (asks_handlers()) {
    auto failure = co_await consult(readable.value(), Resource::assistants, Action::read, shown_id("assistant_id", id), nullptr);
    if (failure) co_return hidden(*failure, unknown);
  }
  if (!readable->filter && graphs.empty()) co_return std::nullopt;
  // Looked up without the filter in the question, so that both ways of being visible are one call.
  const IncomingResponse reply = co_await ask("GET", "/assistants/" + id, {}, object_bytes_max);
  if (explaining_) co_return std::nullopt;
  if (auto failure = unusable(reply)) co_return failure;
  if (reply.status == 404 || reply.status == 422) co_return unknown;
  if (reply.status != 200) co_return Error::upstream_failed;
  const auto assistant = parse_reply(reply.body);
  if (!assistant) co_return Error::upstream_failed;
  const json::Value& metadata = metadata_of(assistant.value());
  const bool visible = !readable->filter || is_system_assistant(metadata) || readable->filter->matches(metadata);
  const bool runnable = visible && is_of_listed_graph(assistant.value(), graphs);
  if (!has_string(assistant.value(), "assistant_id", id) || !runnable) co_return unknown;
  co_return std::nullopt;
}

// Where whoever may run may make any thread as well, the server may do that.
bool Enforcement::judges_creation() const {
  const auto creation = gate_.settings.policy.decide(user_, Resource::threads, Action::create);
  return asks_handlers() || !creation || creation->filter || !creation->stamp.empty();
}

// Creation with an id of the client's is decided by the upstream's own atomic create, never by the look before it: 409
// means that the thread is there and was not found as the caller's. It is made here even where runs have no filter: the server
// would make it with the run's metadata, and threads:create would not be asked.
Flow<Enforcement::Failure> Enforcement::require_or_make_thread(bool make) {
  constexpr Reason unknown{Error::object_unknown, "Thread not found"};
  Found found = co_await find_thread(match_.thread_id, decision_.filter);
  if (!found) co_return found.error();
  if (found.value()) co_return std::nullopt;
  if (!make) co_return unknown;

  auto creation = gate_.settings.policy.decide(user_, Resource::threads, Action::create);
  if (!creation) co_return unknown;
  json::Value thread = json::Value::object();
  thread.set("thread_id", json::Value::string(match_.thread_id));
  thread.set("if_exists", json::Value::string("raise"));
  if (const json::Value* metadata = body_.find("metadata"); metadata != nullptr && metadata->is_object()) {
    thread.set("metadata", *metadata);
  }
  if (asks_handlers()) {
    json::Value value = thread;
    auto failure = co_await consult(creation.value(), Resource::threads, Action::create, std::move(value), &thread);
    if (failure) co_return hidden(*failure, unknown);
  }
  own_metadata(thread, creation.value());
  own_metadata(thread, decision_);
  const auto ones_own = [&](const json::Value& metadata) {
    return (!filtered() || decision_.filter->matches(metadata)) && (!creation->filter || creation->filter->matches(metadata));
  };
  if (!ones_own(metadata_of(thread))) co_return not_ones_own();

  const IncomingResponse reply = co_await ask("POST", "/threads", json::write(thread), object_bytes_max);
  if (auto failure = unusable(reply)) co_return failure;
  if (reply.status == 409) co_return unknown;
  if (reply.status != 200) co_return Error::upstream_failed;
  // An older server may answer a create with the row that is there, whoever's it is.
  const auto made = parse_reply(reply.body);
  const bool good = made && has_string(made.value(), "thread_id", match_.thread_id) && ones_own(metadata_of(made.value()));
  if (!good) co_return unknown;
  co_return std::nullopt;
}

// --------------------------------------------------------------------------------------------- objects named in the path

Flow<Outcome> Enforcement::object() {
  // Only a change of an assistant has a graph in its body.
  if (!body_string("graph_id").empty() && !is_of_listed_graph(body_, gate_.settings.upstream.graphs)) {
    co_return Reason{Error::assistant_not_allowed, "Graph not found"};
  }
  Found found = std::optional(json::Value::object());
  if (filtered()) {
    if (route().resource == Resource::threads) {
      found = co_await find_thread(match_.thread_id, *decision_.filter);
    } else if (route().resource == Resource::assistants) {
      found = co_await find_assistant(match_.assistant_id, decision_.filter);
    } else {
      found = co_await find_cron(match_.cron_id, *decision_.filter);
    }
    if (!found) co_return found.error();
    if (!found.value()) co_return unknown_object();
  }
  if (!match_.run_id.empty()) {
    if (auto failure = co_await require_run(match_.thread_id, match_.run_id)) co_return *failure;
  }
  if (route().action == Action::update && has_body_) {
    // Writing them would give an object away, or make whoever may change it its owner.
    std::vector<std::string> kept = filtered() ? decision_.filter->fields() : std::vector<std::string>{};
    for (const auto& [field, value] : decision_.stamp) kept.push_back(field);
    keep_metadata(body_, kept, *found.value());
  }
  co_return forward();
}

Flow<Outcome> Enforcement::read_object() {
  if (!filtered()) co_return forward();
  IncomingResponse reply = co_await forward_inspected();
  if (auto failure = unusable(reply)) co_return *failure;
  // 400 and 422: the upstream does not take this spelling of an id, so there is no such object.
  if (reply.status == 404 || reply.status == 400 || reply.status == 422) co_return unknown_object();
  if (reply.status != 200) co_return Error::upstream_failed;
  const auto object = parse_reply(reply.body);
  if (!object || !object->is_object()) co_return Error::upstream_failed;
  const bool assistant = route().resource == Resource::assistants;
  const std::string& id = assistant ? match_.assistant_id : match_.cron_id;
  const bool is_asked_one = !is_uuid(id) || has_string(object.value(), assistant ? "assistant_id" : "cron_id", id);
  if (!is_asked_one || !decision_.filter->matches(metadata_of(object.value()))) co_return unknown_object();
  co_return pass_on(std::move(reply));
}

// ------------------------------------------------------------------------------------------------------------- creating

Flow<Outcome> Enforcement::create() {
  const bool thread = route().resource == Resource::threads;
  const std::string id(body_string(thread ? "thread_id" : "assistant_id"));
  if (!thread) {
    if (body_string("graph_id").empty()) co_return Reason{Error::field_malformed, "the field \"graph_id\" is missing"};
    if (!is_of_listed_graph(body_, gate_.settings.upstream.graphs)) {
      co_return Reason{Error::assistant_not_allowed, "Graph not found"};
    }
  }
  own_metadata(body_, decision_);
  if (filtered() && !decision_.filter->matches(metadata_of(body_))) co_return not_ones_own();
  // A filter that shows the server's own assistants does not make its users the server.
  if (!thread && metadata_of(body_).find("created_by") != nullptr) co_return not_ones_own();
  if (const json::Value* steps = body_.find("supersteps"); steps != nullptr && !steps->items().empty()) {
    // Writing states is threads:update, whatever route it comes by.
    auto update = gate_.settings.policy.decide(user_, Resource::threads, Action::update);
    if (!update) co_return update.error();
    if (asks_handlers()) {
      auto failure = co_await consult(update.value(), Resource::threads, Action::update, shown_id("thread_id", id), nullptr);
      if (failure) co_return *failure;
    }
    if (update->filter && !update->filter->matches(metadata_of(body_))) co_return not_ones_own();
  }

  // A taken id: what if_exists=do_nothing gives back is read, so the rule for reading (or the stricter one for creating)
  // decides, and the upstream's own atomic create says whether the id is taken.
  std::optional<Filter> existing_filter = decision_.filter;
  bool readable = true;
  if (!existing_filter) {
    auto reading = gate_.settings.policy.decide(user_, route().resource, Action::read);
    readable = reading.ok();
    if (readable && asks_handlers() && !id.empty()) {
      const char* key = thread ? "thread_id" : "assistant_id";
      if (auto failure = co_await consult(reading.value(), route().resource, Action::read, shown_id(key, id), nullptr)) {
        if (failure->error() != Error::handler_denied) co_return *failure;
        readable = false;
      }
    }
    if (readable) existing_filter = std::move(reading->filter);
  }
  if (!existing_filter && readable) co_return forward();
  const bool existing_is_fine = readable && !id.empty() && body_string("if_exists") == "do_nothing";
  if (body_.find(thread ? "thread_id" : "assistant_id") != nullptr) body_.set("if_exists", json::Value::string("raise"));

  IncomingResponse reply = co_await forward_inspected();
  if (auto failure = unusable(reply)) co_return *failure;
  const Refusal taken{Error::object_exists, thread ? "Thread already exists" : "Assistant already exists"};
  if (reply.status == 409) {
    if (existing_is_fine) co_return co_await existing(id, *existing_filter);
    co_return taken;
  }
  if (reply.status >= 400 || !filtered()) co_return pass_on(std::move(reply));
  const auto made = parse_reply(reply.body);
  if (!made || !made->is_object()) co_return Error::upstream_failed;
  // The upstream answered with an object that is not the caller's: an older server returning an existing row.
  if (!decision_.filter->matches(metadata_of(made.value()))) co_return id.empty() ? Refusal{Error::upstream_failed} : taken;
  co_return pass_on(std::move(reply));
}

Flow<Outcome> Enforcement::existing(std::string id, Filter filter) {
  const bool thread = route().resource == Resource::threads;
  const char* key = thread ? "thread_id" : "assistant_id";
  Found found = std::optional<json::Value>{};
  if (thread) {
    found = co_await find_thread(id, filter);
    if (!found) co_return found.error();
    if (!found.value()) co_return Reason{Error::object_exists, "Thread already exists"};
  }
  const std::string path = (thread ? "/threads/" : "/assistants/") + id;
  IncomingResponse reply = co_await ask("GET", path, {}, gate_.settings.limits.reply_bytes_max);
  if (auto failure = unusable(reply)) co_return *failure;
  if (reply.status != 200) co_return Error::upstream_failed;
  const auto object = parse_reply(reply.body);
  if (!object) co_return Error::upstream_failed;
  if (!has_string(object.value(), key, id) || !filter.matches(metadata_of(object.value()))) {
    co_return Refusal{Error::object_exists, thread ? "Thread already exists" : "Assistant already exists"};
  }
  co_return pass_on(std::move(reply));
}

Flow<Outcome> Enforcement::create_run() {
  own_metadata(body_, decision_);
  tell_identity(body_);
  const bool make = body_string("if_not_exists") == "create";
  if (auto failure = co_await require_runnable(std::string(body_string("assistant_id")))) co_return *failure;
  if (match_.thread_id.empty()) {
    // The thread that the server makes for it gets the run's metadata.
    if (filtered() && !decision_.filter->matches(metadata_of(body_))) co_return not_ones_own();
    body_.remove("if_not_exists");
    co_return forward();
  }
  if (!filtered() && !(make && judges_creation())) co_return forward();
  body_.set("if_not_exists", json::Value::string("reject"));
  if (auto failure = co_await require_or_make_thread(make)) co_return *failure;
  co_return forward();
}

Flow<Outcome> Enforcement::create_runs() {
  if (!body_.is_array()) co_return Reason{Error::body_malformed, "the body must be a JSON list of runs"};
  if (body_.items().size() > batched_runs_max) {
    co_return Refusal{Error::body_malformed, "a batch may hold at most " + std::to_string(batched_runs_max) + " runs"};
  }
  std::vector<std::string> looked_at;
  for (json::Value& run : body_.items()) {
    remove_camel_case(run, route().body);
    if (auto failure = check(run)) co_return *failure;
    Decision decision = decision_;
    if (asks_handlers()) {
      auto failure = co_await consult(decision, Resource::threads, Action::create_run, shown_run(run), &run);
      if (failure) co_return *failure;
    }
    own_metadata(run, decision);
    tell_identity(run);
    run.remove("if_not_exists");
    if (decision.filter && !decision.filter->matches(metadata_of(run))) co_return not_ones_own();
    std::string assistant = run.find("assistant_id")->as_string();
    if (holds(looked_at, assistant)) continue;
    looked_at.push_back(assistant);
    if (auto failure = co_await require_runnable(std::move(assistant))) co_return *failure;
  }
  co_return forward();
}

Flow<Outcome> Enforcement::create_cron() {
  own_metadata(body_, decision_);
  if (filtered() && !decision_.filter->matches(metadata_of(body_))) co_return not_ones_own();
  // Whoever may not run now may not let it run later.
  auto running = gate_.settings.policy.decide(user_, Resource::threads, Action::create_run);
  if (!running) co_return running.error();
  if (asks_handlers()) {
    auto failure = co_await consult(running.value(), Resource::threads, Action::create_run, shown_run(body_), &body_);
    if (failure) co_return *failure;
  }
  own_metadata(body_, running.value());
  if (filtered() && !decision_.filter->matches(metadata_of(body_))) co_return not_ones_own();
  // Without a thread each of its runs makes one, of the cron's metadata.
  if (match_.thread_id.empty() && running->filter && !running->filter->matches(metadata_of(body_))) co_return not_ones_own();
  if (auto failure = co_await require_runnable(std::string(body_string("assistant_id")))) co_return *failure;
  if (!match_.thread_id.empty() && running->filter) {
    Found found = co_await find_thread(match_.thread_id, *running->filter);
    if (!found) co_return found.error();
    if (!found.value()) co_return Reason{Error::object_unknown, "Thread not found"};
  }
  co_return forward();
}

// ----------------------------------------------------------------------------------------------------- several at a time

Flow<Outcome> Enforcement::cancel_runs() {
  const std::string thread_id(body_string("thread_id"));
  const json::Value* run_ids = body_.find("run_ids");
  if (thread_id.empty() || run_ids == nullptr || run_ids->items().empty()) {
    // The form by status cancels every user's runs.
    co_return Reason{Error::field_malformed, "the fields \"thread_id\" and \"run_ids\" are both needed here"};
  }
  if (run_ids->items().size() > cancelled_runs_max) {
    co_return Refusal{Error::field_malformed, "\"run_ids\" may name at most " + std::to_string(cancelled_runs_max) + " runs"};
  }
  if (auto failure = co_await require_thread(thread_id)) co_return *failure;
  std::vector<std::string> ids;
  for (const json::Value& id : run_ids->items()) ids.push_back(id.as_string());
  for (const std::string& id : ids) {
    if (auto failure = co_await require_run(thread_id, id)) co_return *failure;
  }
  co_return forward();
}

Flow<Outcome> Enforcement::prune_threads() {
  const json::Value* ids = body_.find("thread_ids");
  if (ids == nullptr || ids->items().empty()) co_return Reason{Error::field_malformed, "the field \"thread_ids\" is missing"};
  if (ids->items().size() > pruned_threads_max) {
    co_return Refusal{Error::field_malformed,
                      "\"thread_ids\" may name at most " + std::to_string(pruned_threads_max) + " threads"};
  }
  std::vector<std::optional<Filter>> filters(ids->items().size(), decision_.filter);
  for (std::size_t i = 0; asks_handlers() && i < filters.size(); ++i) {
    Decision decision = decision_;
    const std::string& id = ids->items()[i].as_string();
    auto failure = co_await consult(decision, Resource::threads, Action::delete_, shown_id("thread_id", id), nullptr);
    if (failure) co_return *failure;
    filters[i] = std::move(decision.filter);
  }
  if (std::none_of(filters.begin(), filters.end(), [](const auto& filter) { return filter.has_value(); })) co_return forward();
  json::Value query = json::Value::object();
  query.set("ids", *ids);
  if (filtered()) {
    if (const auto necessary = decision_.filter->necessary(); !necessary.empty()) require_metadata(query, necessary);
  }
  json::Value select = json::Value::array();
  select.push_back(json::Value::string("thread_id"));
  select.push_back(json::Value::string("metadata"));
  query.set("select", std::move(select));
  query.set("limit", json::Value::number(static_cast<std::int64_t>(pruned_threads_max)));
  const IncomingResponse reply = co_await ask("POST", "/threads/search", json::write(query), object_bytes_max);
  if (explaining_) co_return forward();
  if (auto failure = unusable(reply)) co_return *failure;
  const auto list = parse_reply(reply.body);
  if (reply.status != 200 || !list || !list->is_array()) co_return Error::upstream_failed;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    const auto& found = list->items();
    const bool own = std::any_of(found.begin(), found.end(), [&](const json::Value& thread) {
      return has_string(thread, "thread_id", ids->items()[i].as_string()) &&
             (!filters[i] || filters[i]->matches(metadata_of(thread)));
    });
    if (!own) co_return Reason{Error::object_unknown, "Thread not found"};
  }
  co_return forward();
}

// A copy keeps its source's metadata, in both servers: what it says must be what the caller could have created.
Flow<Outcome> Enforcement::copy_thread() {
  auto reading = gate_.settings.policy.decide(user_, Resource::threads, Action::read);
  if (!reading) co_return reading.error();
  constexpr Reason unknown{Error::copy_source_unknown, "Thread not found"};
  if (asks_handlers()) {
    json::Value value = shown_id("thread_id", match_.thread_id);
    auto failure = co_await consult(reading.value(), Resource::threads, Action::read, std::move(value), nullptr);
    if (failure) co_return *failure;
  } else if (!reading->filter && !decision_.filter) {
    if (decision_.stamp.empty()) co_return forward();
    co_return Reason{Error::filter_not_enforceable, "a copy keeps its source's metadata, so the rule's stamp cannot be written"};
  }
  Found found = co_await find_thread(match_.thread_id, reading->filter ? reading->filter : decision_.filter);
  if (!found) co_return found.error();
  if (!found.value()) co_return unknown;
  if (explaining_) co_return forward();
  const json::Value& metadata = *found.value();
  bool ones_own = true;
  if (asks_handlers()) {
    // The copy's id is the server's to make.
    json::Value value = json::Value::object();
    value.set("thread_id", {});
    value.set("metadata", metadata);
    json::Value copy = value;
    auto failure = co_await consult(decision_, Resource::threads, Action::create, std::move(value), &copy);
    if (failure) co_return *failure;
    // What the handler writes is as little written into a copy as a policy's stamp.
    ones_own = json::equal(metadata_of(copy), metadata);
  }
  ones_own = ones_own && (!decision_.filter || decision_.filter->matches(metadata));
  for (const auto& [field, value] : decision_.stamp) {
    const json::Value* kept = metadata.find(field);
    ones_own = ones_own && kept != nullptr && json::equal(*kept, value);
  }
  if (!ones_own) {
    co_return Reason{Error::policy_denied,
                     "a copy keeps its source's metadata, which is not what the rule for creating writes on yours"};
  }
  co_return forward();
}

// ------------------------------------------------------------------------------------------------------- protocol v2

Flow<Outcome> Enforcement::command() {
  const std::string_view method_name = body_string("method");
  const auto method = std::find_if(protocol_methods.begin(), protocol_methods.end(),
                                   [&](const ProtocolMethod& m) { return m.name == method_name; });
  if (method == protocol_methods.end()) {
    co_return Reason{Error::field_malformed, "\"method\" must be one of run.start, input.respond, state.get, agent.getTree"};
  }
  auto decision = gate_.settings.policy.decide(user_, Resource::threads, method->action);
  if (!decision) co_return decision.error();
  decision_ = std::move(decision).value();

  if (json::Value* params = body_.find("params"); params != nullptr && !params->is_null()) {
    BodyRules rules;
    rules.fields = method->fields;
    rules.thread_id = match_.thread_id;
    rules.where = "params.";
    if (auto failure = check_body(*params, rules)) co_return *failure;
  } else if (method->name == "run.start") {
    co_return Reason{Error::field_malformed, "the field \"params.assistant_id\" is missing"};
  } else {
    body_.set("params", json::Value::object());
  }
  const bool starts = method->name == "run.start";
  const bool runs = method->action == Action::create_run;
  if (asks_handlers()) {
    json::Value* params = body_.find("params");
    json::Value value = runs ? shown_run(*params) : shown_id("thread_id", match_.thread_id);
    auto failure = co_await consult(decision_, Resource::threads, method->action, std::move(value), runs ? params : nullptr);
    if (failure) co_return *failure;
  }
  if (runs) {
    own_metadata(*body_.find("params"), decision_);
    tell_identity(*body_.find("params"));
  }
  if (starts) {
    const std::string assistant = body_.find("params")->find("assistant_id")->as_string();
    if (auto failure = co_await require_runnable(assistant)) co_return *failure;
  }
  // Both servers make the thread that a run.start names and that is not there.
  if (!filtered() && !(starts && judges_creation())) co_return forward();
  if (auto failure = co_await require_or_make_thread(starts)) co_return *failure;
  co_return forward();
}

// ----------------------------------------------------------------------------------------------- versions of assistants

Flow<Outcome> Enforcement::assistant_versions() {
  if (!filtered()) co_return forward();
  Found found = co_await find_assistant(match_.assistant_id, decision_.filter);
  if (!found) co_return found.error();
  if (!found.value()) co_return unknown_object();
  if (const auto equalities = decision_.filter->equalities(); !equalities.empty()) require_metadata(body_, equalities);
  IncomingResponse reply = co_await forward_inspected();
  if (auto failure = unusable(reply)) co_return *failure;
  if (reply.status != 200) co_return pass_on(std::move(reply));
  auto list = parse_reply(reply.body);
  if (!list || !list->is_array()) co_return Error::upstream_failed;
  std::erase_if(list->items(), [&](const json::Value& version) { return !decision_.filter->matches(metadata_of(version)); });
  reply.body = json::write(list.value());
  co_return pass_on(std::move(reply));
}

// Going back to an old version brings its metadata back, and with it who owns the assistant, and its graph.
Flow<Outcome> Enforcement::assistant_latest() {
  const json::Value* wanted = body_.find("version");
  if (wanted == nullptr || wanted->is_null()) co_return Reason{Error::field_malformed, "the field \"version\" is missing"};
  const auto& graphs = gate_.settings.upstream.graphs;
  if (!filtered() && graphs.empty()) co_return forward();
  if (filtered()) {
    Found found = co_await find_assistant(match_.assistant_id, decision_.filter);
    if (!found) co_return found.error();
    if (!found.value()) co_return unknown_object();
  }
  json::Value query = json::Value::object();
  query.set("limit", json::Value::number(page_max));
  const IncomingResponse reply = co_await ask("POST", "/assistants/" + match_.assistant_id + "/versions", json::write(query),
                                              gate_.settings.limits.reply_bytes_max);
  if (explaining_) co_return forward();
  if (auto failure = unusable(reply)) co_return *failure;
  const auto list = parse_reply(reply.body);
  if (reply.status != 200 || !list || !list->is_array()) co_return Error::upstream_failed;
  const json::Value* version = body_.find("version");
  for (const json::Value& one : list->items()) {
    const json::Value* number = one.find("version");
    if (number == nullptr || !json::equal(*number, *version)) continue;
    if (filtered() && !decision_.filter->matches(metadata_of(one))) co_return unknown_object();
    if (!is_of_listed_graph(one, graphs)) co_return unknown_object();
    co_return forward();
  }
  co_return unknown_object();
}

// -------------------------------------------------------------------------------------------------------------- explain

json::Value Enforcement::explanation() const {
  json::Value out = json::Value::object();
  if (!decision_.rule_key.empty()) {
    out.set("rule", json::Value::string(decision_.rule_key));
    out.set("filter", decision_.filter ? decision_.filter->to_json() : json::Value{});
    json::Value stamp = json::Value::object();
    for (const auto& [field, value] : decision_.stamp) stamp.set(field, value);
    out.set("stamp", std::move(stamp));
    if (decision_.namespace_rule) {
      json::Value labels = json::Value::array();
      for (const std::string& label : decision_.namespace_rule->labels) labels.push_back(json::Value::string(label));
      out.set("namespace", std::move(labels));
    }
  }
  out.set("checks", checks_);
  return out;
}

}  // namespace postern
