#include "policy.h"

#include <algorithm>
#include <array>

#include "escape.h"
#include "text.h"
#include "user.h"

namespace postern {
namespace {

constexpr std::array<std::string_view, 4> resource_names = {"threads", "assistants", "crons", "store"};
constexpr std::array<std::string_view, 9> action_names = {"create",     "read", "update", "delete",         "search",
                                                          "create_run", "put",  "get",    "list_namespaces"};

bool is_rule_key(std::string_view key, const RuleWords& words) {
  const std::size_t colon = key.find(':');
  const std::string_view resource = key.substr(0, colon);
  if (resource != "*" && !is_one_of(resource, resource_names) && !holds(words.resources, resource)) return false;
  if (colon == std::string_view::npos) return true;
  const std::string_view action = key.substr(colon + 1);
  return is_one_of(action, action_names) || holds(words.actions, action);
}

constexpr const char* itself = ConfigReader::itself;

// What a field can be compared with or stamped by.
bool is_operand(const json::Value& value) { return !value.as_string().empty() || value.is_number() || value.is_boolean(); }

void parse_stamp(ConfigReader& policy, const json::Value& value, Stamp& out) {
  if (value.members().empty()) {
    policy.fail_at(itself, value, "stamp must be an object such as {\"owner\": \"$user.identity\"}");
  }
  for (const json::Member& member : value.members()) {
    const json::Value& operand = member.second;
    const std::string& text = operand.as_string();
    if (!is_operand(operand)) {
      policy.fail_at(itself, operand, "a stamped value must be a non-empty string, a number, true or false");
    }
    if (is_user_reference(text) && !is_known_user_reference(text)) {
      policy.fail_at(itself, operand, "expected one of $user.identity, $user.display_name, $user.claims.NAME");
    }
    out.emplace_back(member.first, operand);
  }
}

void parse_words(ConfigReader& policy, const json::Value& value, std::vector<std::string>& out) {
  if (value.items().empty()) policy.fail_at(itself, value, "expected a list of at least one string");
  for (const json::Value& item : value.items()) {
    const std::string& text = item.as_string();
    const bool plain = !text.empty() &&
                       std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f && c != '"' && c != '\\'; });
    if (!plain) policy.fail_at(itself, item, "expected a string without spaces, quotes and backslashes");
    out.push_back(text);
  }
}

void parse_required_claims(ConfigReader& policy, const json::Value& value, Requirement& out) {
  if (value.members().empty()) {
    policy.fail_at(itself, value, "claims must be an object such as {\"org_role\": \"admin\"}");
  }
  for (const auto& [name, accepted] : value.members()) {
    std::vector<json::Value> list = accepted.items();
    if (!accepted.is_array()) list.push_back(accepted);
    const bool good = !name.empty() && !list.empty() && std::all_of(list.begin(), list.end(), [](const json::Value& one) {
      return is_operand(one) && !is_user_reference(one.as_string());
    });
    if (!good) {
      policy.fail_at(itself, accepted, "a required claim is a non-empty string, a number, true, false, or a list of those");
    }
    out.claims.emplace_back(name, std::move(list));
  }
}

void parse_require(ConfigReader& policy, const json::Value& value, Requirement& out) {
  if (value.members().empty()) policy.fail_at(itself, value, "require must be an object with permissions, scopes or claims");
  for (const json::Member& part : value.members()) {
    if (part.first == "permissions") {
      parse_words(policy, part.second, out.permissions);
    } else if (part.first == "scopes") {
      parse_words(policy, part.second, out.scopes);
    } else if (part.first == "claims") {
      parse_required_claims(policy, part.second, out);
    } else {
      policy.fail_at(itself, part.second,
                     {"\"", part.first, "\" is no part of require; the parts are permissions, scopes and claims"});
    }
  }
}

void parse_namespace(ConfigReader& policy, const json::Value& value, NamespaceRule& out) {
  const json::Value* labels = &value;
  if (value.is_object()) {
    if (value.members().size() != 1) return policy.fail_at(itself, value, "namespace takes one of require and rewrite");
    const json::Member& only = value.members().front();
    const auto mode = find_word("require rewrite", only.first);
    if (!mode) policy.fail_at(itself, only.second, "namespace takes require or rewrite");
    out.mode = mode == 0U ? NamespaceRule::Mode::require : NamespaceRule::Mode::rewrite;
    labels = &only.second;
  }
  if (labels->items().empty()) {
    policy.fail_at(itself, *labels, "namespace must be a list of labels such as [\"$user.identity\"]");
  }
  for (const json::Value& label : labels->items()) {
    const std::string& text = label.as_string();
    if (is_user_reference(text) ? !is_known_user_reference(text) : text.empty() || store_label(text) != text) {
      policy.fail_at(itself, label, "a label is a $user reference, or letters, digits, '-', '_', '@' and '+'");
    }
    out.labels.push_back(text);
  }
}

// References to claims that users can write themselves, anywhere in a rule.
void check_user_writable(ConfigReader& policy, const json::Value& value, const std::vector<std::string>& allowed) {
  const auto judge = [&](std::string_view text, const json::Value& at) {
    constexpr std::string_view prefix = "$user.claims.";
    if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
    const std::string_view claim = user_writable_claim(text);
    if (claim.empty() || holds(allowed, claim)) return;
    policy.fail_at(itself, at,
                   {claim,
                    " can be written by the users themselves, so a rule must not rest on it; if yours cannot be, name it in "
                    "`user_writable_claims_allowed`"});
  };
  if (is_user_reference(value.as_string())) judge(value.as_string(), value);
  for (const json::Value& item : value.items()) check_user_writable(policy, item, allowed);
  for (const json::Member& member : value.members()) {
    if (member.first == "claims") {
      for (const json::Member& claim : member.second.members()) judge(claim.first, claim.second);
    }
    check_user_writable(policy, member.second, allowed);
  }
}

void parse_rule(ConfigReader& policy, const json::Value& body, Rule& rule) {
  const auto word = find_word("allow deny", body.as_string());
  if (!word && !body.is_object()) {
    policy.fail_at(itself, body, "a rule is \"allow\", \"deny\" or an object with filter, stamp, require or namespace");
  }
  rule.allowed = word != 1U;
  for (const json::Member& part : body.members()) {
    if (part.first == "filter") {
      auto parsed = Filter::parse(part.second);
      if (!parsed) return policy.fail_in(itself, parsed.error());
      rule.filter = std::move(parsed).value();
    } else if (part.first == "stamp") {
      parse_stamp(policy, part.second, rule.stamp);
    } else if (part.first == "require") {
      parse_require(policy, part.second, rule.require);
    } else if (part.first == "namespace") {
      if (rule.key != "store" && !rule.key.starts_with("store:")) {
        policy.fail_at(itself, part.second, "namespace belongs to the store's rules: store, store:put, store:get, ...");
      }
      parse_namespace(policy, part.second, rule.namespace_rule.emplace());
    } else {
      policy.fail_at(itself, part.second,
                     {"\"", part.first, "\" is no part of a rule; the parts are filter, stamp, require and namespace"});
    }
  }
  if (!word && !rule.filter && !rule.namespace_rule && body.find("require") == nullptr) {
    // A rule that only stamps would let everyone see everything: that must be said, not implied.
    policy.fail_at(itself, body, "a rule object needs a filter, a namespace or a require; write \"allow\" to open everything");
  }
}

// Words of the `scope` (RFC 8693: a string) or `scp` (Entra, Okta: a string or a list) claim.
std::vector<std::string> scopes_of(const User& user) {
  std::vector<std::string> out;
  for (const std::string_view claim : {"$user.claims.scope", "$user.claims.scp"}) {
    const json::Value value = user_value(claim, user);
    for (const json::Value& item : value.items()) out.push_back(item.as_string());
    std::string_view rest = value.as_string();
    while (!rest.empty()) {
      const std::size_t space = rest.find(' ');
      out.emplace_back(rest.substr(0, space));
      rest = space == std::string_view::npos ? std::string_view{} : rest.substr(space + 1);
    }
  }
  return out;
}

std::optional<Refusal> check_requirement(const Requirement& require, const User& user) {
  for (const std::string& permission : require.permissions) {
    if (!holds(user.permissions, permission)) return Refusal{Error::policy_denied};
  }
  for (const auto& claim : require.claims) {
    const std::vector<json::Value>& accepted = claim.second;
    const json::Value value = user_value("$user.claims." + claim.first, user);
    const auto is_accepted = [&](const json::Value& one) {
      return std::any_of(accepted.begin(), accepted.end(), [&](const json::Value& good) { return json::equal(one, good); });
    };
    const bool held =
        value.is_array() ? std::any_of(value.items().begin(), value.items().end(), is_accepted) : is_accepted(value);
    if (!held) return Refusal{Error::policy_denied};
  }
  if (require.scopes.empty()) return std::nullopt;
  const std::vector<std::string> held = scopes_of(user);
  if (std::all_of(require.scopes.begin(), require.scopes.end(), [&](const std::string& scope) { return holds(held, scope); })) {
    return std::nullopt;
  }
  Refusal refusal{Error::scope_insufficient};
  std::string& missing = refusal.details().scope;
  for (const std::string& scope : require.scopes) missing += (missing.empty() ? "" : " ") + scope;
  return refusal;
}

}  // namespace

std::string_view name(Resource resource) {
  return resource == Resource::custom ? "custom" : resource_names[static_cast<std::size_t>(resource)];
}
std::string_view name(Action action) {
  return action == Action::custom ? "custom" : action_names[static_cast<std::size_t>(action)];
}

std::string store_label(std::string_view text) {
  return escaped(text, '~', [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '_' || c == '@' ||
           c == '+';
  });
}

Policy Policy::parse(ConfigReader& reader, const RuleWords& words, const std::vector<std::string>& user_writable) {
  if (reader && reader.size() == 0) {
    reader.fail(itself, "an empty policy denies everything; leave `policy` out for the default owner rule");
  }
  Policy policy;
  for (std::size_t i = 0; i < reader.size(); ++i) {
    const auto& [key, body] = reader.value().members()[i];
    if (!is_rule_key(key, words)) {
      std::string resources;
      std::string actions;
      for (const std::string& word : words.resources) resources.append(", ").append(word);
      for (const std::string& word : words.actions) actions.append(", ").append(word);
      reader.fail_at(
          itself, body,
          {"\"", key,
           "\" is no rule key; use RESOURCE:ACTION, RESOURCE, *:ACTION or * with resources threads, assistants, crons, "
           "store",
           resources, " and actions create, read, update, delete, search, create_run, put, get, list_namespaces", actions});
    }
    check_user_writable(reader, body, user_writable);
    Rule& rule = policy.rules_.emplace_back();
    rule.key = key;
    parse_rule(reader, body, rule);
  }
  return policy;
}

Policy Policy::owner_default() {
  auto text = json::parse(R"({
    "*": {"filter": {"owner": "$user.identity"}, "stamp": {"owner": "$user.identity"}},
    "assistants:read": {"filter": {"$or": [{"owner": "$user.identity"}, {"created_by": "system"}]}},
    "assistants:search": {"filter": {"$or": [{"owner": "$user.identity"}, {"created_by": "system"}]}},
    "store": {"namespace": ["$user.identity"]}
  })");
  const Environment none;
  ConfigContext context{none};
  ConfigReader reader(context, text.value());
  return parse(reader);
}

Policy Policy::open() {
  Policy policy;
  Rule rule;
  rule.key = "*";
  rule.allowed = true;
  policy.rules_.push_back(std::move(rule));
  return policy;
}

const Rule* Policy::find_rule(std::string_view resource, std::string_view action) const {
  // How specific a rule's key is for this request, or 0 when it is not for it.
  const auto rank = [&](std::string_view key) {
    const bool names_resource = !key.starts_with('*');
    if (names_resource && !key.starts_with(resource)) return 0;
    key.remove_prefix(names_resource ? resource.size() : 1);
    const bool names_action = !key.empty();
    if (names_action && (key.front() != ':' || key.substr(1) != action)) return 0;
    return 1 + (names_action ? 1 : 0) + (names_resource ? 2 : 0);
  };
  const Rule* best = nullptr;
  int best_rank = 0;
  for (const Rule& rule : rules_) {
    const int rule_rank = rank(rule.key);
    if (rule_rank > best_rank) {
      best = &rule;
      best_rank = rule_rank;
    }
  }
  return best;
}

std::vector<std::string> Policy::warnings() const {
  std::vector<std::string> out;
  for (const Resource resource : {Resource::threads, Resource::assistants, Resource::crons}) {
    std::string open;
    bool filtered = false;
    for (const Action action :
         {Action::create, Action::read, Action::update, Action::delete_, Action::search, Action::create_run}) {
      const Rule* rule = find_rule(name(resource), name(action));
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

std::optional<Refusal> Policy::decide(const User& user, std::string_view resource, std::string_view action, Decision& out) const {
  const Rule* rule = find_rule(resource, action);
  if (rule == nullptr || !rule->allowed) return Error::policy_denied;
  if (auto refusal = check_requirement(rule->require, user)) return refusal;

  if (rule->filter && !rule->filter->resolve(user, out.filter.emplace())) return Error::policy_denied;
  out.stamp.reserve(rule->stamp.size());
  for (const auto& [field, operand] : rule->stamp) {
    if (!is_operand(out.stamp.emplace_back(field, operand_for(operand, user)).second)) return Error::policy_denied;
  }
  if (rule->namespace_rule) {
    NamespaceRule& resolved = out.namespace_rule.emplace();
    resolved.mode = rule->namespace_rule->mode;
    for (const std::string& label : rule->namespace_rule->labels) {
      const json::Value value = operand_for(json::Value::string(label), user);
      if (value.as_string().empty()) return Error::policy_denied;
      resolved.labels.push_back(store_label(value.as_string()));
    }
  }
  out.rule = rule;
  return std::nullopt;
}

}  // namespace postern
