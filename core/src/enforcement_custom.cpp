// Routes of the configuration: the operator's own beside LangGraph's, or another API altogether.
#include <algorithm>

#include "enforcement.h"
#include "reply.h"
#include "rewrite.h"

namespace postern {
namespace {

const json::Value& member_of(const json::Value& object, const std::string& name) {
  static const json::Value none;
  const json::Value* member = object.find(name);
  return member == nullptr ? none : *member;
}

constexpr Reason unread_body{Error::filter_not_enforceable, "metadata cannot be written into a body that is not read"};
constexpr Reason not_an_object{Error::body_malformed, "the body must be a JSON object"};
constexpr Reason unknown{Error::object_unknown, "Not found"};

}  // namespace

bool CustomRoute::writes() const {
  return action == "create" || (judged == Judged::object && method != "GET" && method != "DELETE");
}

bool CustomRoute::keeps_filter() const {
  if (!path_equals.empty()) return true;
  return body == Body::any && writes() ? false : judged != Judged::nothing || action == "create";
}

// Metadata is shown, and may be changed, where the client's body has some or what is made gets some.
Flow<bool> Enforcement::consult_custom() {
  const CustomRoute& custom = *match_.custom;
  json::Value value = json::Value::object();
  for (const auto& [name, text] : match_.parameters) value.set(name, json::Value::string(text));
  if (!has_body_ && custom.action != "create") {
    co_return co_await consult(decision_, custom.resource, custom.action, value, nullptr);
  }
  const json::Value& sent = member_of(body_, custom.metadata);
  json::Value changed = json::Value::object();
  changed.set("metadata", sent);
  value.set("metadata", sent);
  if (!co_await consult(decision_, custom.resource, custom.action, value, &changed)) co_return false;
  if (json::equal(*changed.find("metadata"), sent)) co_return true;
  if (custom.body == CustomRoute::Body::any) co_return refuse(unread_body);
  if (!has_body_) body_ = json::Value::object();
  if (!body_.is_object()) co_return refuse(not_an_object);
  has_body_ = true;
  body_.set(custom.metadata, *changed.find("metadata"));
  co_return true;
}

Flow<bool> Enforcement::custom() {
  const CustomRoute& custom = *match_.custom;
  if (custom.access == CustomRoute::Access::rule) {
    if (!decide(decision_, custom.resource, custom.action)) co_return false;
  }
  for (const auto& [name, wanted] : custom.path_equals) {
    const json::Value value = is_user_reference(wanted) ? user_value(wanted, user_) : json::Value::string(wanted);
    const std::string* asked = match_.parameter(name);
    // Somebody else's path and one that is not there look the same.
    if (asked == nullptr || !value.is_string() || value.as_string() != *asked) co_return refuse(unknown);
  }

  if (custom.body != CustomRoute::Body::none) {
    if (encoded_) co_return refuse(Error::body_encoding_unsupported);
    BodyResult& body = co_await driver_.body(gate_.settings.limits.body_bytes_max);
    if (body.state == BodyResult::State::over_limit) co_return refuse(Error::body_too_large);
    if (body.state == BodyResult::State::failed) co_return refuse(Error::body_malformed);
    if (custom.body == CustomRoute::Body::any) {
      if (!decision_.stamp.empty()) co_return refuse(unread_body);
      raw_body_ = std::move(body.bytes);
    } else if (!body.bytes.empty()) {
      if (!parse_body(std::move(body.bytes), body_)) co_return false;
      has_body_ = true;
    }
  }
  if (custom.access == CustomRoute::Access::rule && asks_handlers()) {
    if (!co_await consult_custom()) co_return false;
  }
  // A policy's filter was looked at when the gate was made; a handler's is not known before.
  if (filtered() && !custom.keeps_filter()) {
    co_return refuse(Error::filter_not_enforceable,
                     "the filter cannot be kept on this route: it needs `judge`, or a JSON body where it creates");
  }
  const bool creates = custom.action == "create";
  // Who may change an object does not become its owner.
  const bool updates = custom.writes() && !creates;
  const bool stamps = custom.body != CustomRoute::Body::any && (creates || (custom.body == CustomRoute::Body::json && !updates));
  if (stamps && (!decision_.stamp.empty() || (creates && filtered()))) {
    if (!has_body_) body_ = json::Value::object();
    if (!body_.is_object()) co_return refuse(not_an_object);
    has_body_ = true;
    json::Value metadata = member_of(body_, custom.metadata);
    if (!metadata.is_object()) metadata = json::Value::object();
    if (filtered()) {
      for (const auto& [field, value] : decision_.filter->necessary()) metadata.set(field, value);
    }
    for (const auto& [field, value] : decision_.stamp) metadata.set(field, value);
    if (creates && !admits(metadata)) {
      co_return refuse(Error::policy_denied, "what is to be made would not match the filter of the policy's rule for making it");
    }
    body_.set(custom.metadata, std::move(metadata));
  }
  const bool keeps = filtered() || (updates && !decision_.stamp.empty());
  if (!keeps || custom.judged == CustomRoute::Judged::nothing) co_return forward();
  if (custom.judged == CustomRoute::Judged::object && custom.method != "GET") {
    // What is changed is looked at before: afterwards it would be too late.
    const IncomingResponse& before = co_await ask("GET", match_.path, {}, gate_.settings.limits.reply_bytes_max);
    if (explaining_) co_return forward();
    if (!usable(before)) co_return false;
    if (before.status == 404) co_return refuse(unknown);
    json::Value object;
    if (!take_answer(before, object)) co_return false;
    const json::Value& stored = member_of(object, custom.metadata);
    if (!admits(stored)) co_return refuse(unknown);
    if (updates && has_body_) {
      // Whose it is stays as it is stored (docs/decisions/0010).
      if (!body_.is_object()) co_return refuse(not_an_object);
      const json::Value* sent = body_.find(custom.metadata);
      // A PUT that says nothing of it would take it away.
      if (sent == nullptr ? custom.method == "PUT" : !sent->is_object()) body_.set(custom.metadata, json::Value::object());
      keep_identity(stored, custom.metadata);
    }
    co_return forward();
  }

  IncomingResponse& reply = co_await forward_inspected();
  if (!usable(reply)) co_return false;
  if (reply.status == 404) co_return refuse(unknown);
  if (reply.status >= 400) co_return pass(reply);
  json::Value parsed;
  if (!take_json(reply, parsed)) co_return false;
  if (custom.judged == CustomRoute::Judged::object) {
    if (!admits(member_of(parsed, custom.metadata))) co_return refuse(unknown);
    co_return pass(reply);
  }
  if (!parsed.is_array()) co_return refuse(Error::upstream_failed);
  std::erase_if(parsed.items(), [&](const json::Value& item) { return !admits(member_of(item, custom.metadata)); });
  reply.body = json::write(parsed);
  co_return pass(reply);
}

}  // namespace postern
