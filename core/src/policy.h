// User x (resource, action) -> Decision: LangGraph's handler lookup, over a table instead of functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config_reader.h"
#include "filter.h"
#include "json.h"
#include "postern/result.h"
#include "postern/user.h"
#include "refusal.h"

namespace postern {

// LangGraph's resources and actions (langgraph_sdk.auth). Runs follow their thread: creating one is
// threads:create_run, everything else on runs is threads:read, update, delete or search.
enum class Resource : std::uint8_t { threads, assistants, crons, store, custom };  // custom: the configuration's routes
enum class Action : std::uint8_t { create, read, update, delete_, search, create_run, put, get, list_namespaces, custom };

[[nodiscard]] std::string_view name(Resource resource);
[[nodiscard]] std::string_view name(Action action);

// Metadata written on what is created; values are literals or $user references.
using Stamp = std::vector<std::pair<std::string, json::Value>>;

// What a user must hold, all of it, for a rule to let them in.
struct Requirement {
  std::vector<std::string> permissions;  // LangGraph's: User::permissions
  std::vector<std::string> scopes;       // words of the `scope` or `scp` claim (RFC 8693 section 4.2); told in the refusal
  // Claim path (a.b), and the literals of which the claim, or one item of it where it is a list, must be one.
  std::vector<std::pair<std::string, std::vector<json::Value>>> claims;
};

// Whose part of the store: the labels that a namespace begins with.
struct NamespaceRule {
  enum class Mode : std::uint8_t {
    require,  // what the client names must begin with them
    rewrite,  // they are put before what the client names, and taken off what it gets
  };
  Mode mode = Mode::require;
  std::vector<std::string> labels;  // literals and $user references
};

struct Rule {
  std::string key;  // "threads:read", "threads", "*:read" or "*"
  bool allowed = false;
  Requirement require;
  std::optional<Filter> filter;  // none: every object
  Stamp stamp;
  std::optional<NamespaceRule> namespace_rule;
};

// What the policy says about one request. A denial is a Refusal instead.
struct Decision {
  const Rule* rule = nullptr;                   // of the policy; nullptr: nothing was decided, the rest says nothing
  std::optional<Filter> filter;                 // resolved for the user; none: every object
  Stamp stamp;                                  // resolved
  std::optional<NamespaceRule> namespace_rule;  // resolved: labels as they stand in the store
};

// A value of the user's as a store label. Labels may not hold "." (LangGraph), ":" separates them in the JS server and "*"
// is its wildcard: everything but letters, digits, '-', '_', '@' and '+' is written as ~XX, so two users never share one.
[[nodiscard]] std::string store_label(std::string_view text);

// Words for RESOURCE and ACTION that routes of the configuration add to LangGraph's.
struct RuleWords {
  std::vector<std::string> resources;
  std::vector<std::string> actions;
};

class Policy {
 public:
  // The `policy` member of the configuration, at which `reader` stands; faults are its. `user_writable`: claims that users can
  // write themselves (Supabase's user_metadata) and that the configuration allows in rules all the same.
  [[nodiscard]] static Policy parse(ConfigReader& reader, const RuleWords& words = {},
                                    const std::vector<std::string>& user_writable = {});

  // LangGraph's add_owner tutorial: everything is stamped with its owner and filtered by it, and the store is by its
  // first label. Those assistants that the server made from its graphs are everyone's to see and run.
  [[nodiscard]] static Policy owner_default();

  // Everything, for everybody who is known: where functions of the host program decide instead.
  [[nodiscard]] static Policy open();

  // For a person, at start: a resource that is filtered for some actions and open for others, which is rarely meant.
  [[nodiscard]] std::vector<std::string> warnings() const;

  // Most specific rule wins, exactly one runs: resource:action, resource, *:action, *. No rule: denied
  // (LangGraph allows it). A missing, empty or unusable operand denies too. `out`: a decision as it is made.
  [[nodiscard]] std::optional<Refusal> decide(const User& user, Resource resource, Action action, Decision& out) const {
    return decide(user, name(resource), name(action), out);
  }
  [[nodiscard]] std::optional<Refusal> decide(const User& user, std::string_view resource, std::string_view action,
                                              Decision& out) const;
  // The rule that would run; nullptr: none.
  [[nodiscard]] const Rule* find_rule(std::string_view resource, std::string_view action) const;

 private:
  std::vector<Rule> rules_;
};

}  // namespace postern
