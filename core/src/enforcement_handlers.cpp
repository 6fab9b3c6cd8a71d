// Decisions in which functions of the host program take part (HostHandlers::on).
//
// A function is shown what LangGraph's server would show it: the event, the user, and a value of the shape that the server makes
// of the request (core of langgraph-api 1.5.1; crons as in the Python server). What it answers joins the policy's decision: both
// must allow, both filters hold. Of the value it may change `metadata`, and in the store `namespace`; the routes' own checks
// come after it.
#include <algorithm>

#include "enforcement.h"
#include "handler.h"
#include "handover.h"
#include "rewrite.h"

namespace postern {
namespace {

// Members of the client's body by their names; null for those it has not sent.
void show(json::Value& out, const json::Value& body, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    const json::Value* sent = body.find(name);
    out.set(name, sent == nullptr ? json::Value{} : *sent);
  }
}

json::Value text_or_null(std::string_view text) { return text.empty() ? json::Value{} : json::Value::string(text); }

}  // namespace

// As the server's runs are before they are stored: `kwargs` is what the graph gets.
json::Value Enforcement::shown_run(const json::Value& run) const {
  json::Value out = json::Value::object();
  out.set("thread_id", text_or_null(match_.thread_id));
  show(out, run, {"assistant_id"});
  out.set("run_id", {});
  out.set("status", json::Value::string("pending"));
  const json::Value* metadata = run.find("metadata");
  out.set("metadata", metadata != nullptr && metadata->is_object() ? *metadata : json::Value::object());
  show(out, run, {"multitask_strategy", "if_not_exists", "after_seconds"});
  json::Value kwargs = json::Value::object();
  show(kwargs, run,
       {"input", "command", "config", "context", "stream_mode", "interrupt_before", "interrupt_after", "webhook",
        "feedback_keys"});
  out.set("kwargs", std::move(kwargs));
  return out;
}

// What the row's own action is asked about.
json::Value Enforcement::shown() const {
  const bool whole_list = route().treatment == Treatment::count;
  json::Value out = json::Value::object();
  switch (route().resource) {
    case Resource::threads:
      if (route().action == Action::create_run) return shown_run(body_);
      if (route().action == Action::create) {
        show(out, body_, {"thread_id", "metadata", "if_exists"});
      } else if (route().action == Action::search) {
        show(out, body_, {"metadata", "ids", "status", "values", "limit", "offset"});
      } else {
        const bool cancels = route().treatment == Treatment::cancel_runs;
        out.set("thread_id", text_or_null(cancels ? body_string("thread_id") : std::string_view(match_.thread_id)));
        if (cancels || (route().action == Action::update && !match_.run_id.empty())) {
          const std::string* action = match_.parameter("action");
          out.set("action", json::Value::string(action == nullptr ? "interrupt" : *action));
          json::Value ids = json::Value::array();
          if (!cancels) ids.push_back(json::Value::string(match_.run_id));
          json::Value metadata = json::Value::object();
          metadata.set("run_ids", cancels && body_.find("run_ids") != nullptr ? *body_.find("run_ids") : std::move(ids));
          metadata.set("status", json::Value::string("pending"));
          out.set("metadata", std::move(metadata));
        } else if (takes_metadata()) {
          show(out, body_, {"metadata"});
        }
        if (route().action == Action::delete_ && !match_.run_id.empty()) out.set("run_id", json::Value::string(match_.run_id));
      }
      break;
    case Resource::assistants:
      if (route().action == Action::create) {
        show(out, body_, {"assistant_id", "config", "context", "graph_id", "metadata", "if_exists", "name", "description"});
      } else if (route().action == Action::search) {
        show(out, body_, {"graph_id", "metadata", "limit", "offset"});
      } else {
        out.set("assistant_id", json::Value::string(match_.assistant_id));
        if (route().treatment == Treatment::assistant_latest) {
          show(out, body_, {"version"});
        } else if (route().action == Action::update) {
          show(out, body_, {"graph_id", "config", "metadata", "name", "description"});
        }
      }
      break;
    case Resource::crons:
      if (route().action == Action::search) {
        show(out, body_, {"assistant_id", "thread_id", "metadata", "limit", "offset"});
        break;
      }
      out.set("cron_id", text_or_null(match_.cron_id));
      if (route().action == Action::read || route().action == Action::delete_) break;
      out.set("payload", body_);
      show(out, body_, {"schedule", "metadata"});
      if (route().action == Action::update) break;
      out.set("thread_id", text_or_null(match_.thread_id));
      out.set("user_id", {});
      show(out, body_, {"end_time"});
      break;
    case Resource::store:
    case Resource::custom:
      break;
  }
  if (whole_list) {
    out.set("limit", json::Value::number(0));
    out.set("offset", json::Value::number(0));
  }
  return out;
}

bool Enforcement::takes_metadata() const {
  const auto& fields = route().body;
  return std::any_of(fields.begin(), fields.end(), [](const Field& field) { return field.kind == FieldKind::metadata; });
}

json::Value Enforcement::shown_id(const char* name, const std::string& id) {
  json::Value out = json::Value::object();
  out.set(name, json::Value::string(id));
  return out;
}

bool Enforcement::change_metadata(json::Value& body, const json::Value& changes) {
  if (!changes.is_object()) return refuse(handler_fault("it made `value.metadata` something else than an object"));
  const json::Value* sent = body.find("metadata");
  json::Value metadata = sent != nullptr && sent->is_object() ? *sent : json::Value::object();
  for (const auto& [name, value] : changes.members()) {
    if (value.is_null()) {
      metadata.remove(name);
    } else {
      metadata.set(name, value);
    }
  }
  // The same bounds as for a client: whatever a handler copies from somewhere, an assistant does not become the server's own.
  constexpr Field field{"metadata", FieldKind::metadata};
  BodyRules rules;
  rules.fields = {&field, 1};
  rules.assistants = route().resource == Resource::assistants;
  json::Value changed = json::Value::object();
  changed.set("metadata", metadata);
  if (const auto wrong = check_body(changed, rules)) return refuse(handler_fault(wrong->details().text));
  body.set("metadata", std::move(metadata));
  return true;
}

Flow<bool> Enforcement::consult(Decision& decision, std::string_view resource, std::string_view action, const json::Value& value,
                                json::Value* body) {
  json::Value user = user_json(user_, {});
  if (auto claims = json::parse(user_.claims_json); claims && user.find("claims") == nullptr) {
    user.set("claims", std::move(claims).value());
  }
  CallHandler& call = driver_.stop_at<CallHandler>(Awaited::handled);
  call.kind = CallHandler::Kind::on;
  call.resource = resource;
  call.action = action;
  call.user = json::write(user);
  call.value = json::write(value);
  co_return heed(decision, resource == "store", co_await driver_.handled(), body);
}

bool Enforcement::heed(Decision& decision, bool of_store, const HandlerResult& said, json::Value* body) {
  if (auto refusal = handler_refusal(said, Error::handler_denied)) return refuse(*std::move(refusal));
  const auto answer = json::parse(said.answer);
  if (!answer || (!answer->is_boolean() && !answer->is_object())) {
    return refuse(handler_fault("it is neither true nor false nor a filter"));
  }
  if (answer->is_boolean() && !answer->as_boolean()) return refuse(Error::handler_denied);
  if (answer->is_object()) {
    auto filter = Filter::parse_resolved(answer.value());
    if (!filter) {
      return refuse({Error::handler_denied, "the filter that a handler returned cannot be kept: " + filter.error().what});
    }
    decision.filter =
        decision.filter ? Filter::both(*std::move(decision.filter), std::move(filter).value()) : std::move(filter).value();
  }
  if (said.changes.empty()) return true;
  const auto changes = json::parse(said.changes);
  if (!changes || !changes->is_object()) return refuse(handler_fault("its changes are no object"));
  for (const auto& [name, changed] : changes->members()) {
    if (name == "namespace" && of_store) {
      changed_namespace_ = changed;
    } else if (name != "metadata") {
      return refuse(
          handler_fault("it changed " + printable_name(name) + " of `value`; only metadata may be, and namespace in the store"));
    } else if (body != nullptr && !change_metadata(*body, changed)) {
      return false;
    }
  }
  return true;
}

Flow<bool> Enforcement::consult(Decision& decision, Resource resource, Action action, const json::Value& value,
                                json::Value* body) {
  return consult(decision, name(resource), name(action), value, body);
}

// The row's own action, and what else LangGraph's server asks on the same route.
Flow<bool> Enforcement::consult_row() {
  const Route& row = route();
  json::Value value = shown();
  if (!co_await consult(decision_, row.resource, row.action, value, takes_metadata() ? &body_ : nullptr)) co_return false;
  if (row.treatment != Treatment::object || row.resource != Resource::threads || row.method == "PATCH") co_return true;
  value = shown_id("thread_id", match_.thread_id);
  if (row.action == Action::update && match_.run_id.empty()) {
    co_return co_await consult(decision_, Resource::threads, Action::read, value, nullptr);
  }
  if (!row.path.ends_with("/runs")) co_return true;
  value.set("metadata", {});
  const std::string* status = match_.parameter("status");
  value.set("status", text_or_null(status == nullptr ? std::string_view{} : *status));
  co_return co_await consult(decision_, Resource::threads, Action::search, value, nullptr);
}

}  // namespace postern
