// User x (resource, action) -> Decision: LangGraph's handler lookup, over a table instead of functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "filter.h"
#include "json.h"
#include "postern/result.h"
#include "postern/user.h"

namespace postern {

// LangGraph's resources and actions (langgraph_sdk.auth). Runs follow their thread: creating one is
// threads:create_run, everything else on runs is threads:read, update, delete or search.
enum class Resource : std::uint8_t { threads, assistants, crons, store };
enum class Action : std::uint8_t { create, read, update, delete_, search, create_run, put, get, list_namespaces };

[[nodiscard]] std::string_view name(Resource resource);
[[nodiscard]] std::string_view name(Action action);

// Metadata written on what is created; values are literals or $user references.
using Stamp = std::vector<std::pair<std::string, json::Value>>;

struct Rule {
  std::string key;  // "threads:read", "threads", "*:read" or "*"
  bool allowed = false;
  std::optional<Filter> filter;  // none: every object
  Stamp stamp;
};

// What the policy says about one request. A denial is an Error instead.
struct Decision {
  std::string_view rule_key;     // points into the policy
  std::optional<Filter> filter;  // resolved for the user; none: every object
  Stamp stamp;                   // resolved
};

class Policy {
 public:
  // The `policy` member of the configuration. Faults carry the offset of what is wrong.
  [[nodiscard]] static Result<Policy, json::ParseFault> parse(const json::Value& value);

  // LangGraph's add_owner tutorial: everything is stamped with its owner and filtered by it. Assistants
  // are the operator's: everyone may see and run those the server made from its graphs.
  [[nodiscard]] static Policy owner_default();

  // For a person, at start: a resource that is filtered for some actions and open for others, which is rarely meant.
  [[nodiscard]] std::vector<std::string> warnings() const;

  // Most specific rule wins, exactly one runs: resource:action, resource, *:action, *. No rule: denied
  // (LangGraph allows it).
  [[nodiscard]] Result<Decision> decide(const User& user, Resource resource, Action action) const;

 private:
  [[nodiscard]] const Rule* find_rule(Resource resource, Action action) const;

  std::vector<Rule> rules_;
};

}  // namespace postern
