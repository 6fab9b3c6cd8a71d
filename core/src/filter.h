// A condition on an object's metadata, in LangGraph's words: $eq, $contains, $and, $or.
//
// The grammar is closed and every doubt denies: an unknown operator, two operators in one place, an
// empty operand or a claim the user does not have never means "everything" (LangGraph's JS server
// matches everything in each of these cases).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.h"
#include "postern/result.h"
#include "postern/user.h"

namespace postern {

// LangGraph's server nests at most two; four leaves room for a policy that composes.
inline constexpr int filter_depth_max = 4;

class Filter {
 public:
  enum class Op : std::uint8_t { equal, contains, all_of, any_of };

  // Parses a policy's filter object. Operands may be "$user.identity", "$user.display_name" or
  // "$user.claims.NAME[.NAME]"; any other string that starts with "$" is a fault, as is an empty object.
  [[nodiscard]] static Result<Filter, json::ParseFault> parse(const json::Value& value);
  // A filter that needs no resolving, as a handler returns it: a string that starts with "$" is an operand like any other.
  [[nodiscard]] static Result<Filter, json::ParseFault> parse_resolved(const json::Value& value);
  // What both of two resolved filters match.
  [[nodiscard]] static Filter both(Filter one, Filter other);

  // The filter for this user, references replaced, into `out`, a filter as it is made. False when an operand is missing,
  // empty or not a scalar (for $contains: a scalar or a list of them).
  [[nodiscard]] bool resolve(const User& user, Filter& out) const;

  // Whether a stored object's metadata fulfils a resolved filter. Metadata that is no object: no.
  [[nodiscard]] bool matches(const json::Value& metadata) const;

  // For a resolved filter that is a conjunction of equalities: the fields an upstream search can be
  // asked for (metadata containment, AND). Empty when it is anything else.
  [[nodiscard]] std::vector<std::pair<std::string, json::Value>> equalities() const;

  // For a resolved filter: equalities that whatever it matches fulfils, so that an upstream search may be narrowed by them.
  [[nodiscard]] std::vector<std::pair<std::string, json::Value>> necessary() const;
  // The same as the text of a JSON object, appended to `out` after `before`; nothing when there are none.
  void write_necessary(std::string& out, std::string_view before) const;
  // For a resolved filter: conjunctions of which one matches whenever it does. Empty when there would be more than `max`.
  [[nodiscard]] std::vector<Filter> disjuncts(std::size_t max) const;

  // The metadata fields that it looks at.
  [[nodiscard]] std::vector<std::string> fields() const;

  // As LangGraph's handlers would return it.
  [[nodiscard]] json::Value to_json() const;

  // The tree, for renderings. `field` and `operand` belong to equal (a scalar) and contains (a scalar or a list of
  // scalars), `branches` (never empty) to all_of and any_of.
  [[nodiscard]] Op op() const { return op_; }
  [[nodiscard]] const std::string& field() const { return field_; }
  [[nodiscard]] const json::Value& operand() const { return operand_; }
  [[nodiscard]] const std::vector<Filter>& branches() const { return branches_; }

 private:
  enum class Operands : std::uint8_t { references, literals };
  [[nodiscard]] static Result<Filter, json::ParseFault> parse_object(const json::Value& value, int depth, Operands operands);
  [[nodiscard]] static Result<Filter, json::ParseFault> parse_field(const json::Member& member, Operands operands);
  [[nodiscard]] bool collect_equalities(std::vector<std::pair<std::string, json::Value>>& out) const;

  Op op_ = Op::all_of;
  std::string field_;
  json::Value operand_;           // equal: a scalar; contains: a scalar or a list of scalars
  std::vector<Filter> branches_;  // all_of, any_of: never empty
};

// The value a reference names, or null. `reference` is a string as it stands in a policy.
[[nodiscard]] bool is_user_reference(std::string_view text);
[[nodiscard]] bool is_known_user_reference(std::string_view text);
[[nodiscard]] json::Value user_value(std::string_view reference, const User& user);
// A policy's operand for this user: what it refers to, or itself.
[[nodiscard]] json::Value operand_for(const json::Value& operand, const User& user);

}  // namespace postern
