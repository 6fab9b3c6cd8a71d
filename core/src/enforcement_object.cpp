// What most requests take: one decision, one question about the object in the path, and the request that goes on. In the wasm
// this is -O2 and the other flows are -Oz (docs/decisions/0012-sizes.md).
#include "enforcement.h"
#include "reply.h"

namespace postern {
namespace {

void add_header(OutgoingRequest& request, const char* name, const char* value) { request.headers.push_back({name, value}); }

}  // namespace

bool Enforcement::decide(Decision& decision, Resource resource, Action action) {
  return decide(decision, name(resource), name(action));
}

bool Enforcement::decide(Decision& decision, std::string_view resource, std::string_view action) {
  auto refusal = gate_.settings.policy.decide(user_, resource, action, decision);
  return refusal ? refuse(*std::move(refusal)) : true;
}

void Enforcement::fill(Forward& forward) const {
  OutgoingRequest& request = forward.request;
  // Inspected, a HEAD is the GET that it stands for.
  request.method = match_.head && forward.reply == ReplyMode::pass ? "HEAD" : route().method;
  request.url = gate_.settings.upstream.url + match_.path + query_;
  request.headers.reserve(gate_.settings.upstream.headers.size() + headers_.size() + 4);
  request.headers = gate_.settings.upstream.headers;
  for (const Header& header : headers_) request.headers.push_back(header);
  add_header(request, "accept-encoding", "identity");
  if (!raw_body_.empty()) {
    request.body = raw_body_;
  } else if (has_body_) {
    request.body = json::write(body_);
    add_header(request, "content-type", "application/json");
  }
  forward.time_limit_ms = route().streams ? 0 : gate_.settings.limits.upstream_time_limit_ms;
  add_identity(request, user_, gate_.settings.upstream.identity, driver_.now());
}

bool Enforcement::forward() {
  fill(driver_.end_with<Forward>());
  return true;
}

StepResult<IncomingResponse> Enforcement::ask(const char* method, std::string_view path, std::string body,
                                              std::size_t bytes_max) {
  const std::string& upstream = gate_.settings.upstream.url;
  std::string url;
  url.reserve(upstream.size() + path.size());
  url.append(upstream).append(path);
  if (explaining_) {
    note_question(method, url, body);
    return driver_.reply();
  }
  Fetch& fetch = driver_.stop_at<Fetch>(Awaited::object);
  fetch.fetch_id = gate_.begin_fetch(&driver_);
  fetch.purpose = FetchPurpose::upstream_object;
  fetch.bytes_max = bytes_max;
  fetch.time_limit_ms = gate_.settings.limits.upstream_time_limit_ms;
  OutgoingRequest& request = fetch.request;
  request.method = method;
  request.url = std::move(url);
  request.headers.reserve(gate_.settings.upstream.headers.size() + 4);
  request.headers = gate_.settings.upstream.headers;
  add_header(request, "accept", "application/json");
  add_header(request, "accept-encoding", "identity");
  if (!body.empty()) add_header(request, "content-type", "application/json");
  request.body = std::move(body);
  add_identity(request, user_, gate_.settings.upstream.identity, driver_.now());
  return driver_.reply();
}

StepResult<IncomingResponse> Enforcement::ask(Lookup& lookup) {
  if (lookup.searches) return ask("POST", lookup.path, std::move(lookup.search), lookup.bytes_max);
  return ask("GET", lookup.path + lookup.id, {}, lookup.bytes_max);
}

// By id and owner in one search, so that a foreign and a missing thread cost the same call and look the
// same, and no thread's values travel for a question about its owner.
Lookup Enforcement::thread_lookup(const std::string& id, const Filter* filter) {
  Lookup lookup{"/threads/search", "thread_id", id, filter};
  lookup.searches = true;
  // Written as it goes out: most requests about a thread ask this.
  std::string& query = lookup.search;
  query.reserve(256);
  query += R"({"ids":[)";
  json::write_string(query, id);
  query += ']';
  if (filter != nullptr) filter->write_necessary(query, R"(,"metadata":)");
  query += R"(,"select":["thread_id","metadata"],"limit":1})";
  return lookup;
}

// The object in the path, under the rule's filter. An assistant by id, or for a graph's name by search: the Python server knows
// GET /assistants/{id} for UUIDs only.
Lookup Enforcement::row_lookup() const {
  switch (route().resource) {
    case Resource::threads:
      return thread_lookup(match_.thread_id, filter());
    case Resource::assistants:
      break;
    default:
      return {"/runs/crons/", "cron_id", match_.cron_id, filter(), gate_.settings.limits.reply_bytes_max};
  }
  if (is_uuid(match_.assistant_id)) return {"/assistants/", "assistant_id", match_.assistant_id, filter()};
  Lookup lookup{"/assistants/search", "graph_id", match_.assistant_id, filter()};
  lookup.searches = true;
  lookup.search = R"({"graph_id":)";
  json::write_string(lookup.search, match_.assistant_id);
  lookup.search += R"(,"metadata":{"created_by":"system"},"limit":1})";
  return lookup;
}

bool Enforcement::find(const Lookup& lookup, const IncomingResponse& reply) {
  found_.reset();
  if (explaining_) {
    found_ = json::Value::object();
    return true;
  }
  if (!usable(reply)) return false;
  if (!lookup.searches && (reply.status == 404 || reply.status == 422)) return true;
  json::Value answer;
  if (!take_answer(reply, answer)) return false;
  if (answer.is_array() != lookup.searches) return refuse(Error::upstream_failed);
  // Whoever answers with something else than was asked for has not answered the question.
  if (lookup.searches && answer.items().size() != 1) return true;
  const json::Value& object = lookup.searches ? answer.items().front() : answer;
  const json::Value& metadata = metadata_of(object);
  const bool ones_own = lookup.filter == nullptr || lookup.filter->matches(metadata);
  if (has_string(object, lookup.id_key, lookup.id) && ones_own) found_ = metadata;
  return true;
}

bool Enforcement::require(const Lookup& lookup, const IncomingResponse& reply, const Reason& unknown) {
  return find(lookup, reply) && (found_ || refuse(unknown));
}

Flow<bool> Enforcement::object() {
  // Only a change of an assistant has a graph in its body.
  if (!body_string("graph_id").empty() && !is_of_listed_graph(body_)) {
    co_return refuse(Error::assistant_not_allowed, "Graph not found");
  }
  if (filtered()) {
    Lookup lookup = row_lookup();
    if (!require(lookup, co_await ask(lookup), unknown_object())) co_return false;
  }
  if (!match_.run_id.empty()) {
    if (!co_await require_run(match_.thread_id, match_.run_id)) co_return false;
  }
  // Writing them would give an object away, or make whoever may change it its owner.
  if (route().action == Action::update && has_body_) keep_identity(found_.value_or(json::Value{}), "metadata");
  co_return forward();
}

}  // namespace postern
