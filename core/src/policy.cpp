#include "policy.h"

#include <array>

namespace postern {
namespace {

constexpr std::array<std::string_view, 4> resource_names = {"threads", "assistants", "crons", "store"};
constexpr std::array<std::string_view, 9> action_names = {"create",     "read", "update", "delete",         "search",
                                                          "create_run", "put",  "get",    "list_namespaces"};

template <std::size_t N>
bool is_one_of(std::string_view text, const std::array<std::string_view, N>& names) {
  for (std::string_view candidate : names) {
    if (candidate == text) return true;
  }
  return false;
}

bool is_rule_key(std::string_view key) {
  const std::size_t colon = key.find(':');
  const std::string_view resource = key.substr(0, colon);
  if (resource != "*" && !is_one_of(resource, resource_names)) return false;
  return colon == std::string_view::npos || is_one_of(key.substr(colon + 1), action_names);
}

json::ParseFault fault(const json::Value& at, std::string what) { return {at.offset(), std::move(what)}; }

std::optional<json::ParseFault> parse_stamp(const json::Value& value, Stamp& out) {
  if (!value.is_object() || value.members().empty()) {
    return fault(value, "stamp must be an object such as {\"owner\": \"$user.identity\"}");
  }
  for (const json::Member& member : value.members()) {
    const json::Value& operand = member.second;
    const bool is_text = operand.is_string() && !operand.as_string().empty();
    if (!is_text && !operand.is_number() && !operand.is_boolean()) {
      return fault(operand, "a stamped value must be a non-empty string, a number, true or false");
    }
    if (is_text && is_user_reference(operand.as_string()) && !is_known_user_reference(operand.as_string())) {
      return fault(operand, "expected one of $user.identity, $user.display_name, $user.claims.NAME");
    }
    out.emplace_back(member.first, operand);
  }
  return std::nullopt;
}

}  // namespace

std::string_view name(Resource resource) { return resource_names[static_cast<std::size_t>(resource)]; }
std::string_view name(Action action) { return action_names[static_cast<std::size_t>(action)]; }

Result<Policy, json::ParseFault> Policy::parse(const json::Value& value) {
  if (!value.is_object()) return fault(value, "policy must be an object of rules");
  if (value.members().empty()) {
    return fault(value, "an empty policy denies everything; leave `policy` out for the default owner rule");
  }
  Policy policy;
  for (const json::Member& member : value.members()) {
    if (!is_rule_key(member.first)) {
      return fault(member.second,
                   "\"" + member.first +
                       "\" is no rule key; use RESOURCE:ACTION, RESOURCE, *:ACTION or * with resources threads, "
                       "assistants, crons, store and actions create, read, update, delete, search, create_run, put, "
                       "get, list_namespaces");
    }
    Rule rule;
    rule.key = member.first;
    const json::Value& body = member.second;
    if (body.is_string()) {
      if (body.as_string() != "allow" && body.as_string() != "deny") {
        return fault(body, "a rule is \"allow\", \"deny\" or an object with filter and stamp");
      }
      rule.allowed = body.as_string() == "allow";
    } else if (body.is_object()) {
      rule.allowed = true;
      for (const json::Member& part : body.members()) {
        if (part.first == "filter") {
          auto parsed = Filter::parse(part.second);
          if (!parsed) return parsed.error();
          rule.filter = std::move(parsed).value();
        } else if (part.first == "stamp") {
          if (auto wrong = parse_stamp(part.second, rule.stamp)) return *wrong;
        } else {
          return fault(part.second, "\"" + part.first + "\" is no part of a rule; the parts are filter and stamp");
        }
      }
      if (!rule.filter) {
        // A rule that only stamps would let everyone see everything: that must be said, not implied.
        return fault(body, "a rule object needs a filter; write \"allow\" to open everything");
      }
    } else {
      return fault(body, "a rule is \"allow\", \"deny\" or an object with filter and stamp");
    }
    policy.rules_.push_back(std::move(rule));
  }
  return policy;
}

Policy Policy::owner_default() {
  auto text = json::parse(R"({
    "*": {"filter": {"owner": "$user.identity"}, "stamp": {"owner": "$user.identity"}},
    "assistants:read": {"filter": {"created_by": "system"}},
    "assistants:search": {"filter": {"created_by": "system"}}
  })");
  return parse(text.value()).value();
}

const Rule* Policy::find_rule(Resource resource, Action action) const {
  const std::string resource_name(name(resource));
  const std::string action_name(name(action));
  for (const std::string& key : {resource_name + ":" + action_name, resource_name, "*:" + action_name, std::string("*")}) {
    for (const Rule& rule : rules_) {
      if (rule.key == key) return &rule;
    }
  }
  return nullptr;
}

std::vector<std::string> Policy::warnings() const {
  std::vector<std::string> out;
  for (const Resource resource : {Resource::threads, Resource::assistants, Resource::crons}) {
    std::string open;
    bool filtered = false;
    for (const Action action :
         {Action::create, Action::read, Action::update, Action::delete_, Action::search, Action::create_run}) {
      const Rule* rule = find_rule(resource, action);
      if (rule == nullptr || !rule->allowed || (action == Action::create_run && resource != Resource::threads)) continue;
      filtered = filtered || rule->filter.has_value();
      if (!rule->filter) open += " " + std::string(name(resource)) + ":" + std::string(name(action));
    }
    if (filtered && !open.empty()) {
      out.push_back("policy: open to everyone's objects although others of the resource are filtered:" + open);
    }
  }
  return out;
}

Result<Decision> Policy::decide(const User& user, Resource resource, Action action) const {
  const Rule* rule = find_rule(resource, action);
  if (rule == nullptr || !rule->allowed) return Error::policy_denied;

  Decision decision;
  decision.rule_key = rule->key;
  if (rule->filter) {
    auto resolved = rule->filter->resolve(user);
    if (!resolved) return resolved.error();
    decision.filter = std::move(resolved).value();
  }
  for (const auto& [field, operand] : rule->stamp) {
    json::Value value = operand;
    if (operand.is_string() && is_user_reference(operand.as_string())) value = user_value(operand.as_string(), user);
    const bool usable = (value.is_string() && !value.as_string().empty()) || value.is_number() || value.is_boolean();
    if (!usable) return Error::policy_denied;
    decision.stamp.emplace_back(field, std::move(value));
  }
  return decision;
}

}  // namespace postern
