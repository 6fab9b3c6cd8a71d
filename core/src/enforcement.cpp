#include "enforcement.h"

#include <algorithm>
#include <array>

#include "reply.h"
#include "rewrite.h"
#include "text.h"

namespace postern {
namespace {

// Each costs an upstream call, or a look through the reply.
constexpr std::size_t cancelled_runs_max = 32;
constexpr std::size_t pruned_threads_max = 100;
constexpr std::size_t batched_runs_max = 100;

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
constexpr Reason not_ones_own{Error::policy_denied,
                              "what is to be made would not match the filter of the policy's rule for making it"};

constexpr Reason unknown_thread{Error::object_unknown, "Thread not found"};

bool is_system_assistant(const json::Value& metadata) { return has_string(metadata, "created_by", "system"); }

const char* not_found_text(Resource resource) {
  switch (resource) {
    case Resource::assistants:
      return "Assistant not found";
    case Resource::crons:
      return "Cron not found";
    default:
      return "Thread not found";
  }
}

Refusal at_most(Error error, const char* what, std::size_t max, const char* things) {
  return {error, std::string(what) + " at most " + std::to_string(max) + " " + things};
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

bool Enforcement::decide_row() {
  switch (route().treatment) {
    case Treatment::open:
    case Treatment::operators:
    case Treatment::custom:   // its configuration says whether a rule decides
    case Treatment::command:  // the action stands in the body
      return true;
    default:
      return decide(decision_, route().resource, route().action);
  }
}

bool Enforcement::reads_body() const { return route().treatment != Treatment::custom && route().takes_body(); }

bool Enforcement::consults_row() const {
  if (!asks_handlers()) return false;
  switch (route().treatment) {
    case Treatment::open:
    case Treatment::operators:
    case Treatment::custom:
    case Treatment::create_runs:
    case Treatment::prune_threads:
    case Treatment::copy_thread:
    case Treatment::command:
    case Treatment::store_item:
    case Treatment::store_search:
    case Treatment::store_namespaces:
      return false;  // what is asked about is known further on, if anything is
    default:
      return true;
  }
}

Flow<bool> Enforcement::treat() {
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
      return at_once(forward());
    case Treatment::denied:
      break;
  }
  return at_once(refuse(Error::route_denied));
}

Flow<bool> Enforcement::at_once(bool answered) { co_return answered; }

// ---------------------------------------------------------------------------------------------------------------- parts

bool Enforcement::refuse(Error error) { return refuse(Refusal(error)); }
bool Enforcement::refuse(Error error, const char* text) { return refuse(Refusal(error, text)); }
bool Enforcement::refuse(Refusal refusal) {
  refusal_ = std::move(refusal);
  return false;
}

bool Enforcement::hide_denial(const Reason& unknown) {
  return refusal_.error() == Error::handler_denied ? refuse(unknown) : false;
}

bool Enforcement::take_body(BodyResult& given) {
  if (given.state == BodyResult::State::over_limit) return refuse(Error::body_too_large);
  if (given.state == BodyResult::State::failed) return refuse(Error::body_malformed);

  const bool batch = route().treatment == Treatment::create_runs;
  has_body_ = !given.bytes.empty() || !route().body.empty();
  body_ = batch ? json::Value::array() : json::Value::object();
  if (given.bytes.empty()) return true;
  json::Value parsed;
  if (!parse_body(std::move(given.bytes), parsed)) return false;
  if (!parsed.is_null() || !route().body.empty()) body_ = std::move(parsed);
  return batch || check(body_);
}

bool Enforcement::parse_body(std::string bytes, json::Value& out) {
  auto parsed = json::parse(bytes);
  if (parsed) {
    out = std::move(parsed).value();
    return true;
  }
  return refuse(Refusal(Error::body_malformed, "the body is not strict JSON: " + parsed.error().what + " at byte " +
                                                   std::to_string(parsed.error().offset)));
}

bool Enforcement::check(const json::Value& body) {
  BodyRules rules;
  rules.fields = route().body;
  rules.thread_id = match_.thread_id;
  rules.webhook_origins = &gate_.settings.upstream.webhook_origins;
  rules.assistants = route().resource == Resource::assistants;
  for (const AllowedFields& allowed : gate_.settings.upstream.allow_fields) {
    if (allowed.method == route().method && allowed.path == route().path) rules.more_fields = &allowed.fields;
  }
  auto fault = check_body(body, rules);
  return fault ? refuse(*std::move(fault)) : true;
}

std::string_view Enforcement::body_string(const char* field) const {
  const json::Value* value = body_.find(field);
  return value == nullptr ? std::string_view{} : std::string_view(value->as_string());
}

bool Enforcement::is_of_listed_graph(const json::Value& assistant) const {
  const auto& graphs = gate_.settings.upstream.graphs;
  const json::Value* graph = assistant.find("graph_id");
  return graphs.empty() || (graph != nullptr && holds(graphs, graph->as_string()));
}

Reason Enforcement::unknown_object() const { return {Error::object_unknown, not_found_text(route().resource)}; }

// What a person asks about is printed: their secrets stay out of it.
void Enforcement::tell_identity(json::Value& run) const {
  const HandoverSettings& settings = gate_.settings.upstream.identity;
  if (!explaining_) return add_identity_to_run(run, user_, settings);
  User shown = user_;
  shown.secret_fields.clear();
  add_identity_to_run(run, shown, settings);
}

StepResult<IncomingResponse> Enforcement::forward_inspected() {
  Forward& out = driver_.stop_at<Forward>(Awaited::reply);
  out.reply = ReplyMode::inspect;
  fill(out);
  out.bytes_max = gate_.settings.limits.reply_bytes_max;
  return driver_.reply();
}

bool Enforcement::pass(IncomingResponse& reply) {
  driver_.end_with<Respond>() = pass_on(std::move(reply));
  return true;
}

// A redirect would lead the client, or us, around the gate; the upstream's 401 and 403 are about the gate's own
// credential there, not about the client's.
bool Enforcement::usable(const IncomingResponse& reply) {
  if (reply.status == 0) return refuse(reply.timed_out ? Error::upstream_timeout : Error::upstream_failed);
  if (reply.body_over_limit) return refuse(Error::reply_too_large);
  const bool redirect = reply.status >= 300 && reply.status < 400;
  if (reply.status < 200 || redirect || reply.status == 401 || reply.status == 403) return refuse(Error::upstream_failed);
  return true;
}

bool Enforcement::take_json(const IncomingResponse& reply, json::Value& out) {
  auto parsed = parse_reply(reply.body);
  if (!parsed) return refuse(Error::upstream_failed);
  out = *std::move(parsed);
  return true;
}

bool Enforcement::take_answer(const IncomingResponse& reply, json::Value& out) {
  return usable(reply) && (reply.status == 200 || refuse(Error::upstream_failed)) && take_json(reply, out);
}

bool Enforcement::take_list(const IncomingResponse& reply, json::Value& out) {
  return take_answer(reply, out) && (out.is_array() || refuse(Error::upstream_failed));
}

// -------------------------------------------------------------------------------------------------------------- lookups

// LangGraph's JS server streams and joins a run whatever thread stands before it in the path.
Flow<bool> Enforcement::require_run(const std::string& thread_id, const std::string& run_id) {
  // Handlers may have judged by the thread's id alone.
  if (!filtered() && !asks_handlers()) co_return true;
  // A run's kwargs hold its whole input.
  const std::size_t bytes_max = gate_.settings.limits.reply_bytes_max;
  const IncomingResponse& reply = co_await ask("GET", "/threads/" + thread_id + "/runs/" + run_id, {}, bytes_max);
  if (explaining_) co_return true;
  constexpr Reason unknown{Error::object_unknown, "Run not found"};
  if (!usable(reply)) co_return false;
  if (reply.status == 404 || reply.status == 422) co_return refuse(unknown);
  json::Value run;
  if (!take_answer(reply, run)) co_return false;
  co_return (has_string(run, "run_id", run_id) && has_string(run, "thread_id", thread_id)) || refuse(unknown);
}

// A run with somebody's assistant runs under its configuration, which the state then shows: the assistant must be one the
// user may read. System assistants are the server's own graphs: who may run at all may run them, as in LangGraph's server.
Flow<bool> Enforcement::require_runnable(std::string id) {
  constexpr Reason unknown{Error::assistant_not_allowed, "Assistant not found"};
  const auto& graphs = gate_.settings.upstream.graphs;
  if (!is_uuid(id)) co_return graphs.empty() || holds(graphs, id) || refuse(unknown);
  Decision readable;
  if (!decide(readable, Resource::assistants, Action::read)) co_return refuse(unknown);
  if (asks_handlers()) {
    const json::Value value = shown_id("assistant_id", id);
    if (!co_await consult(readable, Resource::assistants, Action::read, value, nullptr)) co_return hide_denial(unknown);
  }
  if (!readable.filter && graphs.empty()) co_return true;
  // Looked up without the filter in the question, so that both ways of being visible are one call.
  const IncomingResponse& reply = co_await ask("GET", "/assistants/" + id, {});
  if (explaining_) co_return true;
  if (!usable(reply)) co_return false;
  if (reply.status == 404 || reply.status == 422) co_return refuse(unknown);
  json::Value assistant;
  if (!take_answer(reply, assistant)) co_return false;
  const json::Value& metadata = metadata_of(assistant);
  const bool visible = !readable.filter || is_system_assistant(metadata) || readable.filter->matches(metadata);
  const bool runnable = visible && is_of_listed_graph(assistant);
  co_return (runnable && has_string(assistant, "assistant_id", id)) || refuse(unknown);
}

// Where whoever may run may make any thread as well, the server may do that.
bool Enforcement::judges_creation() {
  Decision creation;
  return asks_handlers() || !decide(creation, Resource::threads, Action::create) || creation.filter || !creation.stamp.empty();
}

// Creation with an id of the client's is decided by the upstream's own atomic create, never by the look before it: 409
// means that the thread is there and was not found as the caller's. It is made here even where runs have no filter: the server
// would make it with the run's metadata, and threads:create would not be asked.
Flow<bool> Enforcement::require_or_make_thread(bool make) {
  constexpr const Reason& unknown = unknown_thread;
  Lookup lookup = thread_lookup(match_.thread_id, filter());
  if (!find(lookup, co_await ask(lookup))) co_return false;
  if (found_) co_return true;
  Decision creation;
  if (!make || !decide(creation, Resource::threads, Action::create)) co_return refuse(unknown);

  json::Value thread = shown_id("thread_id", match_.thread_id);
  thread.set("if_exists", json::Value::string("raise"));
  if (const json::Value* metadata = body_.find("metadata"); metadata != nullptr && metadata->is_object()) {
    thread.set("metadata", *metadata);
  }
  if (asks_handlers()) {
    const json::Value value = thread;
    if (!co_await consult(creation, Resource::threads, Action::create, value, &thread)) co_return hide_denial(unknown);
  }
  own_metadata(thread, creation);
  own_metadata(thread, decision_);
  const auto ones_own = [&](const json::Value& metadata) {
    return admits(metadata) && (!creation.filter || creation.filter->matches(metadata));
  };
  if (!ones_own(metadata_of(thread))) co_return refuse(not_ones_own);

  const IncomingResponse& reply = co_await ask("POST", "/threads", json::write(thread));
  if (!usable(reply)) co_return false;
  if (reply.status == 409) co_return refuse(unknown);
  if (reply.status != 200) co_return refuse(Error::upstream_failed);
  // An older server may answer a create with the row that is there, whoever's it is.
  json::Value made;
  if (!take_json(reply, made)) co_return refuse(unknown);
  co_return (has_string(made, "thread_id", match_.thread_id) && ones_own(metadata_of(made))) || refuse(unknown);
}

// --------------------------------------------------------------------------------------------- objects named in the path

void Enforcement::keep_identity(const json::Value& stored, std::string_view name) {
  std::vector<std::string> kept = filtered() ? decision_.filter->fields() : std::vector<std::string>{};
  for (const auto& [field, value] : decision_.stamp) kept.push_back(field);
  keep_metadata(body_, kept, stored, name);
}

Flow<bool> Enforcement::read_object() {
  if (!filtered()) co_return forward();
  IncomingResponse& reply = co_await forward_inspected();
  if (!usable(reply)) co_return false;
  // 400 and 422: the upstream does not take this spelling of an id, so there is no such object.
  if (reply.status == 404 || reply.status == 400 || reply.status == 422) co_return refuse(unknown_object());
  json::Value object;
  if (!take_answer(reply, object)) co_return false;
  if (!object.is_object()) co_return refuse(Error::upstream_failed);
  const bool assistant = route().resource == Resource::assistants;
  const std::string& id = assistant ? match_.assistant_id : match_.cron_id;
  const bool is_asked_one = !is_uuid(id) || has_string(object, assistant ? "assistant_id" : "cron_id", id);
  if (!is_asked_one || !admits(metadata_of(object))) co_return refuse(unknown_object());
  co_return pass(reply);
}

// ------------------------------------------------------------------------------------------------------------- creating

Flow<bool> Enforcement::create() {
  const bool thread = route().resource == Resource::threads;
  const char* const id_key = thread ? "thread_id" : "assistant_id";
  const std::string id(body_string(id_key));
  if (!thread) {
    if (body_string("graph_id").empty()) co_return refuse(Error::field_malformed, "the field \"graph_id\" is missing");
    if (!is_of_listed_graph(body_)) {
      co_return refuse(Error::assistant_not_allowed, "Graph not found");
    }
  }
  own_metadata(body_, decision_);
  if (!admits(metadata_of(body_))) co_return refuse(not_ones_own);
  // A filter that shows the server's own assistants does not make its users the server.
  if (!thread && metadata_of(body_).find("created_by") != nullptr) co_return refuse(not_ones_own);
  if (const json::Value* steps = body_.find("supersteps"); steps != nullptr && !steps->items().empty()) {
    // Writing states is threads:update, whatever route it comes by.
    Decision update;
    if (!decide(update, Resource::threads, Action::update)) co_return false;
    if (asks_handlers()) {
      const json::Value value = shown_id("thread_id", id);
      if (!co_await consult(update, Resource::threads, Action::update, value, nullptr)) co_return false;
    }
    if (update.filter && !update.filter->matches(metadata_of(body_))) co_return refuse(not_ones_own);
  }

  // A taken id: what if_exists=do_nothing gives back is read, so the rule for reading (or the stricter one for creating)
  // decides, and the upstream's own atomic create says whether the id is taken.
  const Filter* existing_filter = filter();
  bool readable = true;
  Decision reading;
  if (existing_filter == nullptr) {
    readable = decide(reading, route().resource, Action::read);
    if (readable && asks_handlers() && !id.empty()) {
      const json::Value value = shown_id(id_key, id);
      readable = co_await consult(reading, route().resource, Action::read, value, nullptr);
      if (!readable && refusal_.error() != Error::handler_denied) co_return false;
    }
    if (readable && reading.filter) existing_filter = &*reading.filter;
  }
  if (existing_filter == nullptr && readable) co_return forward();
  const bool existing_is_fine = readable && !id.empty() && body_string("if_exists") == "do_nothing";
  if (body_.find(id_key) != nullptr) body_.set("if_exists", json::Value::string("raise"));

  IncomingResponse& reply = co_await forward_inspected();
  if (!usable(reply)) co_return false;
  const Reason taken{Error::object_exists, thread ? "Thread already exists" : "Assistant already exists"};
  if (reply.status == 409) {
    if (existing_is_fine) co_return co_await existing(id, *existing_filter, taken);
    co_return refuse(taken);
  }
  if (reply.status >= 400 || !filtered()) co_return pass(reply);
  json::Value made;
  if (!take_json(reply, made)) co_return false;
  // The upstream answered with an object that is not the caller's: an older server returning an existing row.
  if (!made.is_object() || (id.empty() && !admits(metadata_of(made)))) co_return refuse(Error::upstream_failed);
  if (!admits(metadata_of(made))) co_return refuse(taken);
  co_return pass(reply);
}

Flow<bool> Enforcement::existing(const std::string& id, const Filter& filter, Reason taken) {
  const bool thread = route().resource == Resource::threads;
  if (thread) {
    Lookup lookup = thread_lookup(id, &filter);
    if (!require(lookup, co_await ask(lookup), taken)) co_return false;
  }
  const std::string path = (thread ? "/threads/" : "/assistants/") + id;
  IncomingResponse& reply = co_await ask("GET", path, {}, gate_.settings.limits.reply_bytes_max);
  json::Value object;
  if (!take_answer(reply, object)) co_return false;
  if (!has_string(object, thread ? "thread_id" : "assistant_id", id) || !filter.matches(metadata_of(object))) {
    co_return refuse(taken);
  }
  co_return pass(reply);
}

Flow<bool> Enforcement::create_run() {
  own_metadata(body_, decision_);
  tell_identity(body_);
  const bool make = body_string("if_not_exists") == "create";
  if (!co_await require_runnable(std::string(body_string("assistant_id")))) co_return false;
  if (match_.thread_id.empty()) {
    // The thread that the server makes for it gets the run's metadata.
    if (!admits(metadata_of(body_))) co_return refuse(not_ones_own);
    body_.remove("if_not_exists");
    co_return forward();
  }
  if (filtered() || (make && judges_creation())) {
    body_.set("if_not_exists", json::Value::string("reject"));
    if (!co_await require_or_make_thread(make)) co_return false;
  }
  co_return forward();
}

Flow<bool> Enforcement::create_runs() {
  if (!body_.is_array()) co_return refuse(Error::body_malformed, "the body must be a JSON list of runs");
  if (body_.items().size() > batched_runs_max) {
    co_return refuse(at_most(Error::body_malformed, "a batch may hold", batched_runs_max, "runs"));
  }
  std::vector<std::string> looked_at;
  for (json::Value& run : body_.items()) {
    remove_camel_case(run, route().body);
    if (!check(run)) co_return false;
    Decision decision = decision_;
    if (asks_handlers()) {
      const json::Value value = shown_run(run);
      if (!co_await consult(decision, Resource::threads, Action::create_run, value, &run)) co_return false;
    }
    own_metadata(run, decision);
    tell_identity(run);
    run.remove("if_not_exists");
    if (decision.filter && !decision.filter->matches(metadata_of(run))) co_return refuse(not_ones_own);
    std::string assistant = run.find("assistant_id")->as_string();
    if (holds(looked_at, assistant)) continue;
    looked_at.push_back(assistant);
    if (!co_await require_runnable(std::move(assistant))) co_return false;
  }
  co_return forward();
}

Flow<bool> Enforcement::create_cron() {
  own_metadata(body_, decision_);
  if (!admits(metadata_of(body_))) co_return refuse(not_ones_own);
  // Whoever may not run now may not let it run later.
  Decision running;
  if (!decide(running, Resource::threads, Action::create_run)) co_return false;
  if (asks_handlers()) {
    const json::Value value = shown_run(body_);
    if (!co_await consult(running, Resource::threads, Action::create_run, value, &body_)) co_return false;
  }
  own_metadata(body_, running);
  if (!admits(metadata_of(body_))) co_return refuse(not_ones_own);
  // Without a thread each of its runs makes one, of the cron's metadata.
  const bool on_thread = !match_.thread_id.empty();
  if (!on_thread && running.filter && !running.filter->matches(metadata_of(body_))) co_return refuse(not_ones_own);
  if (!co_await require_runnable(std::string(body_string("assistant_id")))) co_return false;
  if (on_thread && running.filter) {
    Lookup lookup = thread_lookup(match_.thread_id, &*running.filter);
    if (!require(lookup, co_await ask(lookup), unknown_thread)) co_return false;
  }
  co_return forward();
}

// ----------------------------------------------------------------------------------------------------- several at a time

Flow<bool> Enforcement::cancel_runs() {
  const std::string thread_id(body_string("thread_id"));
  const json::Value* run_ids = body_.find("run_ids");
  if (thread_id.empty() || run_ids == nullptr || run_ids->items().empty()) {
    // The form by status cancels every user's runs.
    co_return refuse(Error::field_malformed, "the fields \"thread_id\" and \"run_ids\" are both needed here");
  }
  if (run_ids->items().size() > cancelled_runs_max) {
    co_return refuse(at_most(Error::field_malformed, "\"run_ids\" may name", cancelled_runs_max, "runs"));
  }
  if (filtered()) {
    Lookup lookup = thread_lookup(thread_id, filter());
    if (!require(lookup, co_await ask(lookup), unknown_thread)) co_return false;
  }
  for (const json::Value& id : run_ids->items()) {
    if (!co_await require_run(thread_id, id.as_string())) co_return false;
  }
  co_return forward();
}

Flow<bool> Enforcement::prune_threads() {
  const json::Value* ids = body_.find("thread_ids");
  if (ids == nullptr || ids->items().empty()) {
    co_return refuse(Error::field_malformed, "the field \"thread_ids\" is missing");
  }
  if (ids->items().size() > pruned_threads_max) {
    co_return refuse(at_most(Error::field_malformed, "\"thread_ids\" may name", pruned_threads_max, "threads"));
  }
  std::vector<std::optional<Filter>> filters(ids->items().size(), decision_.filter);
  for (std::size_t i = 0; asks_handlers() && i < filters.size(); ++i) {
    Decision decision = decision_;
    const json::Value value = shown_id("thread_id", ids->items()[i].as_string());
    if (!co_await consult(decision, Resource::threads, Action::delete_, value, nullptr)) co_return false;
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
  const IncomingResponse& reply = co_await ask("POST", "/threads/search", json::write(query));
  if (explaining_) co_return forward();
  json::Value list;
  if (!take_list(reply, list)) co_return false;
  for (std::size_t i = 0; i < filters.size(); ++i) {
    const auto& found = list.items();
    const bool own = std::any_of(found.begin(), found.end(), [&](const json::Value& thread) {
      return has_string(thread, "thread_id", ids->items()[i].as_string()) &&
             (!filters[i] || filters[i]->matches(metadata_of(thread)));
    });
    if (!own) co_return refuse(unknown_thread);
  }
  co_return forward();
}

// A copy keeps its source's metadata, in both servers: what it says must be what the caller could have created.
Flow<bool> Enforcement::copy_thread() {
  Decision reading;
  if (!decide(reading, Resource::threads, Action::read)) co_return false;
  if (asks_handlers()) {
    const json::Value value = shown_id("thread_id", match_.thread_id);
    if (!co_await consult(reading, Resource::threads, Action::read, value, nullptr)) co_return false;
  } else if (!reading.filter && !filtered()) {
    if (decision_.stamp.empty()) co_return forward();
    co_return refuse(Error::filter_not_enforceable, "a copy keeps its source's metadata, so the rule's stamp cannot be written");
  }
  Lookup lookup = thread_lookup(match_.thread_id, reading.filter ? &*reading.filter : filter());
  if (!require(lookup, co_await ask(lookup), {Error::copy_source_unknown, "Thread not found"})) co_return false;
  if (explaining_) co_return forward();
  const json::Value& metadata = *found_;
  bool ones_own = true;
  if (asks_handlers()) {
    // The copy's id is the server's to make.
    json::Value value = json::Value::object();
    value.set("thread_id", {});
    value.set("metadata", metadata);
    json::Value copy = value;
    if (!co_await consult(decision_, Resource::threads, Action::create, value, &copy)) co_return false;
    // What the handler writes is as little written into a copy as a policy's stamp.
    ones_own = json::equal(metadata_of(copy), metadata);
  }
  ones_own = ones_own && admits(metadata);
  for (const auto& [field, value] : decision_.stamp) {
    const json::Value* kept = metadata.find(field);
    ones_own = ones_own && kept != nullptr && json::equal(*kept, value);
  }
  if (!ones_own) {
    co_return refuse(Error::policy_denied,
                     "a copy keeps its source's metadata, which is not what the rule for creating writes on yours");
  }
  co_return forward();
}

// ------------------------------------------------------------------------------------------------------- protocol v2

Flow<bool> Enforcement::command() {
  const std::string_view method_name = body_string("method");
  const auto method = std::find_if(protocol_methods.begin(), protocol_methods.end(),
                                   [&](const ProtocolMethod& m) { return m.name == method_name; });
  if (method == protocol_methods.end()) {
    co_return refuse(Error::field_malformed, "\"method\" must be one of run.start, input.respond, state.get, agent.getTree");
  }
  if (!decide(decision_, Resource::threads, method->action)) co_return false;

  const bool starts = method->name == "run.start";
  const bool runs = method->action == Action::create_run;
  if (const json::Value* sent = body_.find("params"); sent != nullptr && !sent->is_null()) {
    BodyRules rules;
    rules.fields = method->fields;
    rules.thread_id = match_.thread_id;
    rules.where = "params.";
    if (auto fault = check_body(*sent, rules)) co_return refuse(*std::move(fault));
  } else if (starts) {
    co_return refuse(Error::field_malformed, "the field \"params.assistant_id\" is missing");
  } else {
    body_.set("params", json::Value::object());
  }
  json::Value& params = *body_.find("params");
  if (asks_handlers()) {
    const json::Value value = runs ? shown_run(params) : shown_id("thread_id", match_.thread_id);
    if (!co_await consult(decision_, Resource::threads, method->action, value, runs ? &params : nullptr)) co_return false;
  }
  if (runs) {
    own_metadata(params, decision_);
    tell_identity(params);
  }
  if (starts) {
    if (!co_await require_runnable(params.find("assistant_id")->as_string())) co_return false;
  }
  // Both servers make the thread that a run.start names and that is not there.
  if (filtered() || (starts && judges_creation())) {
    if (!co_await require_or_make_thread(starts)) co_return false;
  }
  co_return forward();
}

// ----------------------------------------------------------------------------------------------- versions of assistants

Flow<bool> Enforcement::assistant_versions() {
  if (!filtered()) co_return forward();
  Lookup lookup = row_lookup();
  if (!require(lookup, co_await ask(lookup), unknown_object())) co_return false;
  if (const auto equalities = decision_.filter->equalities(); !equalities.empty()) require_metadata(body_, equalities);
  IncomingResponse& reply = co_await forward_inspected();
  if (!usable(reply)) co_return false;
  if (reply.status != 200) co_return pass(reply);
  json::Value list;
  if (!take_list(reply, list)) co_return false;
  std::erase_if(list.items(), [&](const json::Value& version) { return !admits(metadata_of(version)); });
  reply.body = json::write(list);
  co_return pass(reply);
}

// Going back to an old version brings its metadata back, and with it who owns the assistant, and its graph.
Flow<bool> Enforcement::assistant_latest() {
  const json::Value* wanted = body_.find("version");
  if (wanted == nullptr || wanted->is_null()) {
    co_return refuse(Error::field_malformed, "the field \"version\" is missing");
  }
  const auto& graphs = gate_.settings.upstream.graphs;
  if (!filtered() && graphs.empty()) co_return forward();
  if (filtered()) {
    Lookup lookup = row_lookup();
    if (!require(lookup, co_await ask(lookup), unknown_object())) co_return false;
  }
  const IncomingResponse& reply = co_await ask("POST", "/assistants/" + match_.assistant_id + "/versions", R"({"limit":1000})",
                                               gate_.settings.limits.reply_bytes_max);
  if (explaining_) co_return forward();
  json::Value list;
  if (!take_list(reply, list)) co_return false;
  for (const json::Value& one : list.items()) {
    const json::Value* number = one.find("version");
    if (number == nullptr || !json::equal(*number, *wanted)) continue;
    co_return admits(metadata_of(one)) && is_of_listed_graph(one) ? forward() : refuse(unknown_object());
  }
  co_return refuse(unknown_object());
}

// -------------------------------------------------------------------------------------------------------------- explain

void Enforcement::note_question(const char* method, const std::string& url, const std::string& body) {
  json::Value check = json::Value::object();
  check.set("method", json::Value::string(method));
  check.set("url", json::Value::string(url));
  check.set("body", json::Value::string(body));
  checks_.push_back(std::move(check));
}

json::Value Enforcement::explanation() const {
  json::Value out = json::Value::object();
  if (decision_.rule != nullptr) {
    out.set("rule", json::Value::string(decision_.rule->key));
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
