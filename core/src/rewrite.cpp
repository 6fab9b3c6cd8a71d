#include "rewrite.h"

#include <algorithm>
#include <array>

#include "text.h"

namespace postern {
namespace {

// RunnableConfig keys a client may set. callbacks and the rest of RunnableConfig mean nothing over HTTP.
constexpr std::array<std::string_view, 6> config_keys = {"tags",     "recursion_limit", "configurable",
                                                         "metadata", "run_name",        "max_concurrency"};
constexpr std::array<std::string_view, 3> command_keys = {"resume", "update", "goto"};

// Keys of config.configurable and context that LangGraph's server writes or trusts (who the user is, which
// thread, which checkpoint). A server without auth keeps whatever a client puts there.
constexpr std::array<std::string_view, 7> reserved_keys = {"user_id", "checkpoint_id", "checkpoint_ns",       "checkpoint_map",
                                                           "run_id",  "assistant_id",  "langgraph_request_id"};
constexpr std::array<std::string_view, 2> reserved_prefixes = {"langgraph_auth_", "__"};

bool has_reserved_prefix(std::string_view key) {
  return std::any_of(reserved_prefixes.begin(), reserved_prefixes.end(),
                     [&](std::string_view prefix) { return key.starts_with(prefix); });
}
bool is_reserved(std::string_view key) { return is_one_of(key, reserved_keys) || has_reserved_prefix(key); }

Refusal not_accepted(const std::string& where, std::string_view key) {
  return {Error::field_not_accepted, "the field " + where + printable_name(key) + " is not accepted on this route"};
}

Refusal wrong_type(const std::string& where, std::string_view key, std::string_view wanted) {
  return {Error::field_malformed, "the field " + where + printable_name(key) + " must be " + std::string(wanted)};
}

// What a checkpoint may say. The Python server merges it into config.configurable over the path, so it is a closed table:
// the path's thread, which checkpoint, and nothing about who the user is. `before` may be a config with the same inside.
std::optional<Refusal> check_checkpoint(const json::Value& value, const std::string& where, const BodyRules& rules) {
  for (const json::Member& member : value.members()) {
    const auto& [key, part] = member;
    if (key == "thread_id") {
      if (!part.is_null() && (!part.is_string() || part.as_string() != rules.thread_id)) {
        return wrong_type(where, key, "the thread of the path");
      }
    } else if (key == "checkpoint_id" || key == "checkpoint_ns") {
      if (!part.is_null() && !part.is_string()) return wrong_type(where, key, "a string");
    } else if (key == "checkpoint_map") {
      // Namespaces to checkpoint ids.
      const bool good =
          part.is_null() || (part.is_object() && std::all_of(part.members().begin(), part.members().end(),
                                                             [](const json::Member& m) { return m.second.is_string(); }));
      if (!good) return wrong_type(where, key, "an object of strings");
    } else {
      return not_accepted(where, key);
    }
  }
  return std::nullopt;
}

std::optional<Refusal> check_reserved(const json::Value& object, const std::string& where, const BodyRules& rules) {
  for (const json::Member& member : object.members()) {
    if (is_reserved(member.first)) return not_accepted(where, member.first);
    // RemoteGraph repeats the thread's id here; it may say nothing else.
    if (member.first == "thread_id" && rules.thread_id.empty()) return not_accepted(where, member.first);
    if (member.first == "thread_id" && (!member.second.is_string() || member.second.as_string() != rules.thread_id)) {
      return wrong_type(where, member.first, "the thread of the path");
    }
  }
  return std::nullopt;
}

std::optional<Refusal> check_config(const json::Value& config, const BodyRules& rules) {
  for (const json::Member& member : config.members()) {
    if (!is_one_of(member.first, config_keys)) return not_accepted("config.", member.first);
    const bool object_wanted = member.first == "configurable" || member.first == "metadata";
    if (object_wanted && !member.second.is_object() && !member.second.is_null()) {
      return wrong_type("config.", member.first, "an object");
    }
    if (member.first == "configurable") {
      if (auto refusal = check_reserved(member.second, "config.configurable.", rules)) return refusal;
    }
    // RemoteGraph copies configurable into metadata: labels for tracing, but never who the user is.
    if (member.first == "metadata") {
      if (rules.assistants && member.second.find("created_by") != nullptr) return not_accepted("config.metadata.", "created_by");
      for (const json::Member& label : member.second.members()) {
        if (has_reserved_prefix(label.first)) return not_accepted("config.metadata.", label.first);
      }
    }
  }
  return std::nullopt;
}

// Both servers mark with it the assistants that they made from their graphs.
std::optional<Refusal> check_assistant_metadata(const json::Value& metadata, const BodyRules& rules) {
  if (rules.assistants && metadata.find("created_by") != nullptr) return not_accepted("metadata.", "created_by");
  return std::nullopt;
}

// https://host[:port]/path on a listed origin. A relative one makes the server call itself, past the gate (GHSA-q3v5-r5ch-p57j);
// any other address makes it call whatever the client likes from inside.
bool is_listed_webhook(std::string_view url, const BodyRules& rules) {
  if (rules.webhook_origins == nullptr || url.size() > 2048) return false;
  const bool plain =
      std::all_of(url.begin(), url.end(), [](char c) { return c > ' ' && c < 0x7f && c != '\\' && c != '@' && c != '#'; });
  return plain && std::any_of(rules.webhook_origins->begin(), rules.webhook_origins->end(), [&](const std::string& origin) {
           return url == origin || url.starts_with(origin + "/") || url.starts_with(origin + "?");
         });
}

// POST /threads with a history: states to be written one after the other.
bool is_supersteps(const json::Value& value) {
  constexpr std::array<std::string_view, 3> update_keys = {"values", "command", "as_node"};
  const auto is_update = [&](const json::Value& update) {
    return update.is_object() && std::all_of(update.members().begin(), update.members().end(),
                                             [&](const json::Member& member) { return is_one_of(member.first, update_keys); });
  };
  const auto is_step = [&](const json::Value& step) {
    if (!step.is_object() || step.members().size() != 1) return false;
    const json::Value* updates = step.find("updates");
    return updates != nullptr && updates->is_array() && std::all_of(updates->items().begin(), updates->items().end(), is_update);
  };
  return value.is_array() && std::all_of(value.items().begin(), value.items().end(), is_step);
}

bool is_string_list(const json::Value& value) {
  return value.is_array() &&
         std::all_of(value.items().begin(), value.items().end(), [](const json::Value& item) { return item.is_string(); });
}

std::optional<Refusal> check_field(const Field& field, const json::Value& value, const BodyRules& rules) {
  const auto is = [&](bool good, const char* wanted) -> std::optional<Refusal> {
    if (good) return std::nullopt;
    return wrong_type(std::string(rules.where), field.name, wanted);
  };
  // The SDKs leave out what is not set; other clients send null for it. assistant_id has no absent form.
  if (value.is_null()) {
    return is(field.kind != FieldKind::assistant, "a graph's name or an assistant's id");
  }
  switch (field.kind) {
    case FieldKind::any:
      return std::nullopt;
    case FieldKind::string:
      return is(value.is_string(), "a string");
    case FieldKind::integer: {
      const auto number = value.as_integer();
      return is(number && *number >= 0, "a whole number, 0 or more");
    }
    case FieldKind::boolean:
      return is(value.is_boolean(), "true or false");
    case FieldKind::number:
      return is(value.is_number(), "a number");
    case FieldKind::object:
      return is(value.is_object(), "an object");
    case FieldKind::metadata:
      if (!value.is_object()) return is(false, "an object");
      return check_assistant_metadata(value, rules);
    case FieldKind::strings:
    case FieldKind::labels:
      return is(is_string_list(value), "a list of strings");
    case FieldKind::supersteps:
      return is(is_supersteps(value), "a list of {updates: [{values, command, as_node}]}");
    case FieldKind::webhook:
      if (!value.is_string()) return is(false, "a string");
      if (is_listed_webhook(value.as_string(), rules)) return std::nullopt;
      return Refusal{Error::field_not_accepted,
                     "the field " + printable_name(field.name) +
                         " must be an address on an origin that the gate lists under upstream.webhook_origins"};
    case FieldKind::graph:
      return is(value.is_string() && is_graph_name(value.as_string()), "a graph's name");
    case FieldKind::string_or_array:
      return is(value.is_string() || is_string_list(value), "a string or a list of strings");
    case FieldKind::uuid:
      return is(value.is_string() && is_uuid(value.as_string()), "a lower-case UUID with dashes");
    case FieldKind::ids: {
      const bool good = is_string_list(value) && std::all_of(value.items().begin(), value.items().end(),
                                                             [](const json::Value& id) { return is_uuid(id.as_string()); });
      return is(good, "a list of lower-case UUIDs with dashes");
    }
    case FieldKind::select:
      return is(is_string_list(value), "a list of strings");
    case FieldKind::assistant: {
      const bool good = value.is_string() && (is_uuid(value.as_string()) || is_graph_name(value.as_string()));
      return is(good, "a graph's name or an assistant's id (a lower-case UUID)");
    }
    case FieldKind::config:
      if (!value.is_object()) return is(false, "an object");
      return check_config(value, rules);
    case FieldKind::context:
      if (!value.is_object()) return is(false, "an object");
      return check_reserved(value, "context.", rules);
    case FieldKind::command:
      if (!value.is_object()) return is(false, "an object");
      for (const json::Member& member : value.members()) {
        if (!is_one_of(member.first, command_keys)) return not_accepted("command.", member.first);
      }
      return std::nullopt;
    case FieldKind::checkpoint:
      if (!value.is_object() && !value.is_string()) return is(false, "a checkpoint");
      if (const json::Value* inner = value.find("configurable"); inner != nullptr && field.name == "before") {
        if (value.members().size() != 1 || !inner->is_object()) return is(false, "a checkpoint");
        return check_checkpoint(*inner, "before.configurable.", rules);
      }
      return check_checkpoint(value, std::string(field.name) + ".", rules);
  }
  return is(false, "something else");
}

// body[name] as an object, made when absent or null.
json::Value& object_member(json::Value& body, std::string_view name) {
  json::Value* member = body.find(name);
  if (member == nullptr || !member->is_object()) {
    body.set(name, json::Value::object());
    member = body.find(name);
  }
  return *member;
}

}  // namespace

std::optional<Refusal> check_body(const json::Value& body, const BodyRules& rules) {
  if (!body.is_object()) return Refusal{Error::body_malformed, "the body must be a JSON object"};
  const auto& fields = rules.fields;
  for (const json::Member& member : body.members()) {
    const auto field = std::find_if(fields.begin(), fields.end(), [&](const Field& f) { return f.name == member.first; });
    if (field != fields.end()) {
      if (auto refusal = check_field(*field, member.second, rules)) return refusal;
      continue;
    }
    const auto* more = rules.more_fields;
    if (more == nullptr || std::find(more->begin(), more->end(), member.first) == more->end()) {
      return not_accepted(std::string(rules.where), member.first);
    }
  }
  const bool needs_assistant =
      std::any_of(fields.begin(), fields.end(), [](const Field& f) { return f.kind == FieldKind::assistant; });
  if (needs_assistant && body.find("assistant_id") == nullptr) {
    return Refusal{Error::field_malformed, "the field \"" + std::string(rules.where) + "assistant_id\" is missing"};
  }
  return std::nullopt;
}

void stamp_metadata(json::Value& body, const Stamp& stamp) {
  if (stamp.empty()) return;
  json::Value& metadata = object_member(body, "metadata");
  json::Value* config = body.find("config");
  json::Value* config_metadata = config == nullptr ? nullptr : config->find("metadata");
  for (const auto& [field, value] : stamp) {
    metadata.set(field, value);
    if (config_metadata != nullptr && config_metadata->find(field) != nullptr) config_metadata->set(field, value);
  }
}

void keep_metadata(json::Value& body, const std::vector<std::string>& fields, const json::Value& stored, std::string_view name) {
  json::Value* metadata = body.find(name);
  if (metadata == nullptr || !metadata->is_object()) return;
  for (const std::string& field : fields) {
    if (const json::Value* kept = stored.find(field)) {
      metadata->set(field, *kept);
    } else {
      metadata->remove(field);
    }
  }
}

void require_metadata(json::Value& body, const std::vector<std::pair<std::string, json::Value>>& equalities) {
  json::Value& metadata = object_member(body, "metadata");
  for (const auto& [field, value] : equalities) metadata.set(field, value);
}

std::vector<std::string> select_also(json::Value& body, const std::vector<std::string>& names) {
  std::vector<std::string> added;
  json::Value* select = body.find("select");
  if (select == nullptr) return added;
  if (select->items().empty()) {
    body.remove("select");
    return added;
  }
  for (const std::string& name : names) {
    const auto& items = select->items();
    if (std::any_of(items.begin(), items.end(), [&](const json::Value& item) { return item.as_string() == name; })) continue;
    select->push_back(json::Value::string(name));
    added.push_back(name);
  }
  return added;
}

}  // namespace postern
