// A known user's request for a route -> what the upstream may be asked, and what of its answer the user may have.
//
// One flow for each Treatment. A flow that cannot keep the rule's filter refuses: nothing is forwarded because nobody
// thought of it (invariant fail-closed). What is missing and what is somebody else's are told apart nowhere: same calls,
// same answer.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "flow.h"
#include "gate_state.h"
#include "json.h"
#include "policy.h"
#include "postern/user.h"
#include "refusal.h"
#include "route.h"

namespace postern {

// How an exchange ends well: a request whose reply goes to the client as it comes, or an answer of the gate's.
using Answer = std::variant<Forward, Respond>;
using Outcome = Result<Answer, Refusal>;

class Enforcement {
 public:
  // `headers`: the client's that go on. `encoded`: the body has a content-encoding. Everything is kept by reference but
  // the headers, and must outlive the flow.
  Enforcement(FlowDriver& driver, GateState& gate, const User& user, const RouteMatch& match, std::vector<Header> headers,
              bool encoded);

  [[nodiscard]] Flow<Outcome> run();

  // For explain: upstream questions are noted instead of asked, and every object looked for is taken to be the caller's.
  void explain_only() { explaining_ = true; }
  [[nodiscard]] json::Value explanation() const;

 private:
  using Equalities = std::vector<std::pair<std::string, json::Value>>;
  // What was looked for, by the filter: nothing (missing or somebody else's), or its metadata.
  using Found = Result<std::optional<json::Value>, Refusal>;
  using Failure = std::optional<Refusal>;

  // A list under a filter: what a page of it is made of, and how.
  struct Listing;

  // enforcement.cpp
  [[nodiscard]] Flow<Failure> read_body();
  [[nodiscard]] Failure check(const json::Value& body) const;
  [[nodiscard]] Flow<Outcome> treat();  // what the row's treatment says
  [[nodiscard]] Flow<Outcome> denied();
  [[nodiscard]] Flow<Outcome> object();
  [[nodiscard]] Flow<Outcome> read_object();
  [[nodiscard]] Flow<Outcome> create();
  [[nodiscard]] Flow<Outcome> existing(std::string id, Filter filter);
  [[nodiscard]] Flow<Outcome> create_run();
  [[nodiscard]] Flow<Outcome> create_runs();
  [[nodiscard]] Flow<Outcome> create_cron();
  [[nodiscard]] Flow<Outcome> cancel_runs();
  [[nodiscard]] Flow<Outcome> prune_threads();
  [[nodiscard]] Flow<Outcome> copy_thread();
  [[nodiscard]] Flow<Outcome> command();
  [[nodiscard]] Flow<Outcome> assistant_versions();
  [[nodiscard]] Flow<Outcome> assistant_latest();
  // enforcement_search.cpp
  [[nodiscard]] Flow<Outcome> search();
  [[nodiscard]] Flow<Outcome> search_upstream();
  [[nodiscard]] Flow<Outcome> count();
  [[nodiscard]] Flow<Result<Listing, Refusal>> gather(std::size_t wanted);
  // enforcement_store.cpp
  [[nodiscard]] Flow<Outcome> store_item();
  [[nodiscard]] Flow<Outcome> store_search();
  [[nodiscard]] Flow<Outcome> store_namespaces();
  [[nodiscard]] Flow<Outcome> store_list(std::string prefix_name, std::string list_name);
  [[nodiscard]] Flow<Failure> consult_about(std::vector<std::string>& labels, json::Value value);
  // enforcement_custom.cpp
  [[nodiscard]] Flow<Outcome> custom();
  [[nodiscard]] Flow<Failure> consult_custom();

  // enforcement_handlers.cpp
  // Asks the program's handler and adds its answer to `decision`. What it changed in the value's metadata is written into
  // `body`, where that is given; a changed namespace into changed_namespace_. Decision and body must outlive the flow.
  [[nodiscard]] Flow<Failure> consult(Decision& decision, std::string_view resource, std::string_view action, json::Value value,
                                      json::Value* body);
  [[nodiscard]] Flow<Failure> consult(Decision& decision, Resource resource, Action action, json::Value value, json::Value* body);
  [[nodiscard]] Flow<Failure> consult_row();
  [[nodiscard]] json::Value shown() const;
  [[nodiscard]] json::Value shown_run(const json::Value& run) const;
  [[nodiscard]] static json::Value shown_id(const char* name, const std::string& id);
  [[nodiscard]] Failure change_metadata(json::Value& body, const json::Value& changes) const;
  [[nodiscard]] bool takes_metadata() const;
  [[nodiscard]] bool asks_handlers() const { return gate_.settings.handlers.on; }

  // Lookups: questions to the upstream about objects.
  [[nodiscard]] Flow<IncomingResponse> ask(std::string method, std::string path, std::string body, std::size_t bytes_max);
  [[nodiscard]] Flow<Found> find_thread(std::string id, std::optional<Filter> filter);
  [[nodiscard]] Flow<Failure> require_thread(std::string id);
  [[nodiscard]] Flow<Failure> require_run(std::string thread_id, std::string run_id);
  [[nodiscard]] Flow<Found> find_assistant(std::string id, std::optional<Filter> filter);
  [[nodiscard]] Flow<Found> find_cron(std::string id, Filter filter);
  // An assistant that this user may run: the server's own, or one that assistants:read shows.
  [[nodiscard]] Flow<Failure> require_runnable(std::string id);
  // The thread that a run names, made where it is missing and the client asked for that.
  [[nodiscard]] Flow<Failure> require_or_make_thread(bool make);
  [[nodiscard]] bool judges_creation() const;

  // Who runs it, written into a run where the configuration says so.
  void tell_identity(json::Value& run) const;
  [[nodiscard]] OutgoingRequest outgoing() const;
  [[nodiscard]] Forward forward() const;
  // The reply, read whole, to be judged; refused when it is none.
  [[nodiscard]] StepResult<IncomingResponse> forward_inspected() const;
  [[nodiscard]] static Failure unusable(const IncomingResponse& reply);

  [[nodiscard]] const Route& route() const { return *match_.route; }
  [[nodiscard]] bool filtered() const { return decision_.filter.has_value(); }
  [[nodiscard]] Refusal unknown_object() const;
  [[nodiscard]] std::string_view body_string(const char* field) const;

  FlowDriver& driver_;
  GateState& gate_;
  const User& user_;
  const RouteMatch& match_;
  std::vector<Header> headers_;
  bool encoded_;
  Decision decision_;
  json::Value body_;
  bool has_body_ = false;
  std::string raw_body_;                          // of a custom route with "body": "any"
  std::string query_;                             // as it goes upstream
  std::optional<json::Value> changed_namespace_;  // as a handler left it, unchecked
  bool explaining_ = false;
  json::Value checks_ = json::Value::array();
};

}  // namespace postern
