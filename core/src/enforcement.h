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

// A thread or an assistant without its values is small; more is no answer to the question asked.
inline constexpr std::size_t object_bytes_max = 1024 * 1024;

// One object of the upstream's that is looked for: what is asked, and what the answer must say. Asked by GET, with the id behind
// the path, or by a search.
struct Lookup {
  const char* path;
  const char* id_key;     // the object's member that must be `id`
  const std::string& id;  // outlives the lookup, as does the filter
  const Filter* filter;   // nullptr: whosever it is
  std::size_t bytes_max = object_bytes_max;
  bool searches = false;
  std::string search = {};  // the body; moves into the question
};

class Enforcement {
 public:
  // `headers`: the client's that go on. `encoded`: the body has a content-encoding. Everything is kept by reference but
  // the headers, and must outlive the flow.
  Enforcement(FlowDriver& driver, GateState& gate, const User& user, const RouteMatch& match, std::vector<Header> headers,
              bool encoded);

  // The parts of a request, in their order. Each is false where it refuses; refusal() then says why.
  [[nodiscard]] bool decide_row();        // what the policy says of the row's own action
  [[nodiscard]] bool reads_body() const;  // before anything else; a custom route's is read as its configuration says
  [[nodiscard]] bool take_body(BodyResult& given);
  [[nodiscard]] bool consults_row() const;  // whether the row's own action is asked about before the treatment
  [[nodiscard]] Flow<bool> consult_row();
  // What the row's treatment says. True: the driver has the exchange's last step, a passed Forward or the gate's own Respond.
  [[nodiscard]] Flow<bool> treat();

  [[nodiscard]] const Refusal& refusal() const { return refusal_; }

  // For explain: upstream questions are noted instead of asked, and every object looked for is taken to be the caller's.
  void explain_only() { explaining_ = true; }
  [[nodiscard]] json::Value explanation() const;

 private:
  using Equalities = std::vector<std::pair<std::string, json::Value>>;

  // A list under a filter: what a page of it is made of, and how.
  struct Listing;

  // Whatever is false below has refused: the reason stays in refusal_, and the flows end.
  // enforcement.cpp
  // By value: a body's bytes and its tree are not both held for long.
  [[nodiscard]] bool parse_body(std::string bytes, json::Value& out);
  [[nodiscard]] bool check(const json::Value& body);
  [[nodiscard]] Flow<bool> at_once(bool answered);
  [[nodiscard]] Flow<bool> object();
  [[nodiscard]] Flow<bool> read_object();
  [[nodiscard]] Flow<bool> create();
  [[nodiscard]] Flow<bool> existing(const std::string& id, const Filter& filter, Reason taken);
  [[nodiscard]] Flow<bool> create_run();
  [[nodiscard]] Flow<bool> create_runs();
  [[nodiscard]] Flow<bool> create_cron();
  [[nodiscard]] Flow<bool> cancel_runs();
  [[nodiscard]] Flow<bool> prune_threads();
  [[nodiscard]] Flow<bool> copy_thread();
  [[nodiscard]] Flow<bool> command();
  [[nodiscard]] Flow<bool> assistant_versions();
  [[nodiscard]] Flow<bool> assistant_latest();
  // enforcement_search.cpp
  [[nodiscard]] Flow<bool> search();
  [[nodiscard]] Flow<bool> search_upstream();
  [[nodiscard]] Flow<bool> count();
  [[nodiscard]] Flow<bool> gather(std::size_t wanted, Listing& listing);
  // enforcement_store.cpp
  [[nodiscard]] Flow<bool> store_item();
  [[nodiscard]] Flow<bool> store_search();
  [[nodiscard]] Flow<bool> store_namespaces();
  [[nodiscard]] Flow<bool> store_list(const char* prefix_name, const char* list_name);
  [[nodiscard]] Flow<bool> consult_about(std::vector<std::string>& labels, const json::Value& value);
  // enforcement_custom.cpp
  [[nodiscard]] Flow<bool> custom();
  [[nodiscard]] Flow<bool> consult_custom();

  // enforcement_handlers.cpp
  // Asks the program's handler and adds its answer to `decision`. What it changed in the value's metadata is written into
  // `body`, where that is given; a changed namespace into changed_namespace_. Everything named must outlive the flow.
  [[nodiscard]] Flow<bool> consult(Decision& decision, std::string_view resource, std::string_view action,
                                   const json::Value& value, json::Value* body);
  [[nodiscard]] Flow<bool> consult(Decision& decision, Resource resource, Action action, const json::Value& value,
                                   json::Value* body);
  [[nodiscard]] bool heed(Decision& decision, bool of_store, const HandlerResult& said, json::Value* body);
  [[nodiscard]] json::Value shown() const;
  [[nodiscard]] json::Value shown_run(const json::Value& run) const;
  [[nodiscard]] static json::Value shown_id(const char* name, const std::string& id);
  [[nodiscard]] bool change_metadata(json::Value& body, const json::Value& changes);
  [[nodiscard]] bool takes_metadata() const;
  [[nodiscard]] bool asks_handlers() const { return gate_.settings.handlers.on; }
  // A handler's no about what a request only mentions looks as if there were no such thing; that it failed does not.
  [[nodiscard]] bool hide_denial(const Reason& unknown);

  // Questions to the upstream about objects.
  [[nodiscard]] StepResult<IncomingResponse> ask(const char* method, std::string_view path, std::string body,
                                                 std::size_t bytes_max = object_bytes_max);
  [[nodiscard]] StepResult<IncomingResponse> ask(Lookup& lookup);
  void note_question(const char* method, const std::string& url, const std::string& body);
  [[nodiscard]] static Lookup thread_lookup(const std::string& id, const Filter* filter);
  [[nodiscard]] Lookup row_lookup() const;
  // Into found_: nothing (missing or somebody else's), or the object's metadata.
  [[nodiscard]] bool find(const Lookup& lookup, const IncomingResponse& reply);
  // The same, refusing what is not found.
  [[nodiscard]] bool require(const Lookup& lookup, const IncomingResponse& reply, const Reason& unknown);
  [[nodiscard]] Flow<bool> require_run(const std::string& thread_id, const std::string& run_id);
  // An assistant that this user may run: the server's own, or one that assistants:read shows.
  [[nodiscard]] Flow<bool> require_runnable(std::string id);
  // The thread that a run names, made where it is missing and the client asked for that.
  [[nodiscard]] Flow<bool> require_or_make_thread(bool make);
  [[nodiscard]] bool judges_creation();

  // In a body that changes an object: the members of `name` that say whose it is stay as they are stored.
  void keep_identity(const json::Value& stored, std::string_view name);
  // Who runs it, written into a run where the configuration says so.
  void tell_identity(json::Value& run) const;
  void fill(Forward& forward) const;
  // The last step: the request goes on, and its reply to the client as it comes.
  [[nodiscard]] bool forward();
  // The reply, read whole, to be judged.
  [[nodiscard]] StepResult<IncomingResponse> forward_inspected();
  // The last step: a reply that was read, or one of the gate's own.
  [[nodiscard]] bool pass(IncomingResponse& reply);

  // What a reply may be taken for. Anything else is refused.
  [[nodiscard]] bool usable(const IncomingResponse& reply);
  [[nodiscard]] bool take_json(const IncomingResponse& reply, json::Value& out);    // of any status
  [[nodiscard]] bool take_answer(const IncomingResponse& reply, json::Value& out);  // usable, 200 and JSON
  [[nodiscard]] bool take_list(const IncomingResponse& reply, json::Value& out);    // and a list

  [[nodiscard]] bool refuse(Error error);
  [[nodiscard]] bool refuse(Error error, const char* text);
  [[nodiscard]] bool refuse(const Reason& reason) { return refuse(reason.error, reason.text); }
  [[nodiscard]] bool refuse(Refusal refusal);
  [[nodiscard]] bool decide(Decision& decision, Resource resource, Action action);
  [[nodiscard]] bool decide(Decision& decision, std::string_view resource, std::string_view action);

  [[nodiscard]] const Route& route() const { return *match_.route; }
  [[nodiscard]] bool filtered() const { return decision_.filter.has_value(); }
  [[nodiscard]] const Filter* filter() const { return decision_.filter ? &*decision_.filter : nullptr; }
  [[nodiscard]] bool admits(const json::Value& metadata) const { return !filtered() || decision_.filter->matches(metadata); }
  [[nodiscard]] Reason unknown_object() const;
  // Of an assistant, or one of its versions, against upstream.graphs.
  [[nodiscard]] bool is_of_listed_graph(const json::Value& assistant) const;
  [[nodiscard]] std::string_view body_string(const char* field) const;

  FlowDriver& driver_;
  GateState& gate_;
  const User& user_;
  const RouteMatch& match_;
  std::vector<Header> headers_;
  bool encoded_;
  Decision decision_;
  Refusal refusal_ = Error::route_denied;
  std::optional<json::Value> found_;  // of the last object that was looked for: its metadata
  json::Value body_;
  bool has_body_ = false;
  std::string raw_body_;                          // of a custom route with "body": "any"
  std::string query_;                             // as it goes upstream
  std::optional<json::Value> changed_namespace_;  // as a handler left it, unchecked
  bool explaining_ = false;
  json::Value checks_ = json::Value::array();
};

}  // namespace postern
