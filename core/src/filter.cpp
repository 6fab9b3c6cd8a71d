#include "filter.h"

#include <algorithm>

namespace postern {
namespace {

constexpr std::string_view claims_prefix = "$user.claims.";
constexpr std::string_view fields_prefix = "$user.fields.";

bool is_scalar(const json::Value& value) { return value.is_string() || value.is_number() || value.is_boolean(); }

// An empty string identifies nobody; null and containers are not identities either.
bool is_usable_scalar(const json::Value& value) { return is_scalar(value) && !(value.is_string() && value.as_string().empty()); }

json::ParseFault fault(const json::Value& at, std::string what) { return {at.offset(), std::move(what)}; }

bool is_usable_operand(const json::Value& value, bool references) {
  if (!is_usable_scalar(value)) return false;
  return !references || !value.is_string() || !is_user_reference(value.as_string()) || is_known_user_reference(value.as_string());
}

}  // namespace

bool is_user_reference(std::string_view text) { return !text.empty() && text.front() == '$'; }

bool is_known_user_reference(std::string_view text) {
  if (text == "$user.identity" || text == "$user.display_name") return true;
  if (!text.starts_with(claims_prefix) && !text.starts_with(fields_prefix)) return false;
  static_assert(claims_prefix.size() == fields_prefix.size());
  const std::string_view path = text.substr(claims_prefix.size());
  return !path.empty() && path.front() != '.' && path.back() != '.' && path.find("..") == std::string_view::npos;
}

json::Value user_value(std::string_view reference, const User& user) {
  if (reference == "$user.identity") return json::Value::string(user.identity);
  if (reference == "$user.display_name") return json::Value::string(user.display_name);
  if (!is_known_user_reference(reference)) return {};
  auto claims = json::parse(reference.starts_with(fields_prefix) ? user.fields_json : user.claims_json);
  if (!claims) return {};
  const json::Value* value = &claims.value();
  std::string_view path = reference.substr(claims_prefix.size());
  while (value != nullptr && !path.empty()) {
    const std::size_t dot = path.find('.');
    value = value->find(path.substr(0, dot));
    path = dot == std::string_view::npos ? std::string_view{} : path.substr(dot + 1);
  }
  return value == nullptr ? json::Value{} : *value;
}

json::Value operand_for(const json::Value& operand, const User& user) {
  return operand.is_string() && is_user_reference(operand.as_string()) ? user_value(operand.as_string(), user) : operand;
}

Result<Filter, json::ParseFault> Filter::parse(const json::Value& value) { return parse_object(value, 1, Operands::references); }

Result<Filter, json::ParseFault> Filter::parse_resolved(const json::Value& value) {
  return parse_object(value, 1, Operands::literals);
}

Filter Filter::both(Filter one, Filter other) {
  Filter both;
  both.op_ = Op::all_of;
  both.branches_.push_back(std::move(one));
  both.branches_.push_back(std::move(other));
  return both;
}

Result<Filter, json::ParseFault> Filter::parse_object(const json::Value& value, int depth, Operands operands) {
  if (!value.is_object()) return fault(value, "a filter must be an object such as {\"owner\": \"$user.identity\"}");
  if (value.members().empty()) {
    return fault(value, "an empty filter would match everything; write the rule as \"allow\" if that is meant");
  }
  if (depth > filter_depth_max) return fault(value, "filters nest at most 4 deep");
  Filter all;
  all.op_ = Op::all_of;
  for (const json::Member& member : value.members()) {
    if (member.first == "$and" || member.first == "$or") {
      if (!member.second.is_array() || member.second.items().empty()) {
        return fault(member.second, member.first + " takes a list of at least one filter");
      }
      Filter branch;
      branch.op_ = member.first == "$and" ? Op::all_of : Op::any_of;
      for (const json::Value& item : member.second.items()) {
        auto parsed = parse_object(item, depth + 1, operands);
        if (!parsed) return parsed.error();
        branch.branches_.push_back(std::move(parsed).value());
      }
      all.branches_.push_back(std::move(branch));
    } else if (is_user_reference(member.first)) {
      return fault(member.second, "unknown operator; the operators are $and, $or, $eq and $contains");
    } else {
      auto parsed = parse_field(member, operands);
      if (!parsed) return parsed.error();
      all.branches_.push_back(std::move(parsed).value());
    }
  }
  if (all.branches_.size() == 1) return Filter(std::move(all.branches_.front()));
  return all;
}

Result<Filter, json::ParseFault> Filter::parse_field(const json::Member& member, Operands operands) {
  const bool references = operands == Operands::references;
  Filter filter;
  filter.op_ = Op::equal;
  filter.field_ = member.first;
  const json::Value* operand = &member.second;
  if (member.first.empty()) return fault(*operand, "a filter's field name may not be empty");
  if (operand->is_object()) {
    if (operand->members().size() != 1) {
      return fault(*operand, "a field takes exactly one operator, $eq or $contains; combine conditions with $and");
    }
    const json::Member& only = operand->members().front();
    if (only.first == "$contains") {
      filter.op_ = Op::contains;
    } else if (only.first != "$eq") {
      return fault(only.second, "unknown operator; a field takes $eq or $contains");
    }
    operand = &only.second;
  }
  if (filter.op_ == Op::contains && operand->is_array()) {
    if (operand->items().empty()) return fault(*operand, "$contains with an empty list would match everything");
    for (const json::Value& item : operand->items()) {
      if (!is_usable_operand(item, references)) return fault(item, "expected a non-empty scalar or a $user reference");
    }
  } else if (!is_usable_operand(*operand, references)) {
    return fault(*operand,
                 "expected a non-empty string, a number, true, false, or one of $user.identity, $user.display_name, "
                 "$user.claims.NAME");
  }
  filter.operand_ = *operand;
  return filter;
}

bool Filter::resolve(const User& user, Filter& out) const {
  out.op_ = op_;
  out.field_ = field_;
  out.branches_.resize(branches_.size());
  for (std::size_t i = 0; i < branches_.size(); ++i) {
    if (!branches_[i].resolve(user, out.branches_[i])) return false;
  }
  if (op_ != Op::equal && op_ != Op::contains) return true;

  if (operand_.is_array()) {
    out.operand_ = json::Value::array();
    for (const json::Value& item : operand_.items()) out.operand_.push_back(operand_for(item, user));
  } else {
    out.operand_ = operand_for(operand_, user);
  }
  if (op_ == Op::equal || !out.operand_.is_array()) return is_usable_scalar(out.operand_);
  // The policy's list, or a claim that is itself one: all of its items must be held.
  const std::vector<json::Value>& items = out.operand_.items();
  return !items.empty() && std::all_of(items.begin(), items.end(), is_usable_scalar);
}

bool Filter::matches(const json::Value& metadata) const {
  if (!metadata.is_object()) return false;
  switch (op_) {
    case Op::all_of:
      return !branches_.empty() &&
             std::all_of(branches_.begin(), branches_.end(), [&](const Filter& branch) { return branch.matches(metadata); });
    case Op::any_of:
      return std::any_of(branches_.begin(), branches_.end(), [&](const Filter& branch) { return branch.matches(metadata); });
    case Op::equal: {
      const json::Value* value = metadata.find(field_);
      return value != nullptr && is_usable_scalar(operand_) && json::equal(*value, operand_);
    }
    case Op::contains: {
      const json::Value* value = metadata.find(field_);
      if (value == nullptr || !value->is_array()) return false;
      const auto holds = [&](const json::Value& wanted) {
        return is_usable_scalar(wanted) && std::any_of(value->items().begin(), value->items().end(),
                                                       [&](const json::Value& item) { return json::equal(item, wanted); });
      };
      if (!operand_.is_array()) return holds(operand_);
      return !operand_.items().empty() && std::all_of(operand_.items().begin(), operand_.items().end(), holds);
    }
  }
  return false;
}

bool Filter::collect_equalities(std::vector<std::pair<std::string, json::Value>>& out) const {
  if (op_ == Op::equal) {
    for (const auto& [field, value] : out) {
      // The same field twice with different values matches nothing; one search cannot say that.
      if (field == field_ && !json::equal(value, operand_)) return false;
    }
    out.emplace_back(field_, operand_);
    return true;
  }
  return op_ == Op::all_of &&
         std::all_of(branches_.begin(), branches_.end(), [&](const Filter& branch) { return branch.collect_equalities(out); });
}

std::vector<std::pair<std::string, json::Value>> Filter::equalities() const {
  std::vector<std::pair<std::string, json::Value>> out;
  if (!collect_equalities(out)) out.clear();
  return out;
}

std::vector<std::pair<std::string, json::Value>> Filter::necessary() const {
  std::vector<std::pair<std::string, json::Value>> out;
  if (op_ == Op::equal) out.emplace_back(field_, operand_);
  if (op_ == Op::all_of) {
    for (const Filter& branch : branches_) {
      for (auto& equality : branch.necessary()) out.push_back(std::move(equality));
    }
  }
  return out;
}

void Filter::write_necessary(std::string& out, std::string_view before) const {
  // One equality, nearly always.
  if (op_ == Op::equal) {
    out += before;
    out += '{';
    json::write_string(out, field_);
    out += ':';
    json::write(out, operand_);
    out += '}';
    return;
  }
  // Of two about one field the last counts, as wherever they are set in an object.
  json::Value object = json::Value::object();
  for (auto& [field, value] : necessary()) object.set(field, std::move(value));
  if (object.members().empty()) return;
  out += before;
  json::write(out, object);
}

std::vector<Filter> Filter::disjuncts(std::size_t max) const {
  if (op_ == Op::equal || op_ == Op::contains) return {*this};
  std::vector<Filter> out;
  if (op_ == Op::any_of) {
    for (const Filter& branch : branches_) {
      auto inner = branch.disjuncts(max);
      if (inner.empty() || out.size() + inner.size() > max) return {};
      for (Filter& one : inner) out.push_back(std::move(one));
    }
    return out;
  }
  // The product of what the parts may be.
  Filter nothing_yet;
  nothing_yet.op_ = Op::all_of;
  out.push_back(std::move(nothing_yet));
  for (const Filter& branch : branches_) {
    const auto inner = branch.disjuncts(max);
    if (inner.empty() || out.size() * inner.size() > max) return {};
    std::vector<Filter> product;
    for (const Filter& so_far : out) {
      for (const Filter& one : inner) {
        Filter both = so_far;
        both.branches_.push_back(one);
        product.push_back(std::move(both));
      }
    }
    out = std::move(product);
  }
  return out;
}

std::vector<std::string> Filter::fields() const {
  if (op_ == Op::equal || op_ == Op::contains) return {field_};
  std::vector<std::string> out;
  for (const Filter& branch : branches_) {
    for (std::string& field : branch.fields()) out.push_back(std::move(field));
  }
  return out;
}

json::Value Filter::to_json() const {
  json::Value value = json::Value::object();
  switch (op_) {
    case Op::equal:
      value.set(field_, operand_);
      return value;
    case Op::contains: {
      json::Value condition = json::Value::object();
      condition.set("$contains", operand_);
      value.set(field_, std::move(condition));
      return value;
    }
    case Op::all_of:
    case Op::any_of: {
      json::Value list = json::Value::array();
      for (const Filter& branch : branches_) list.push_back(branch.to_json());
      value.set(op_ == Op::all_of ? "$and" : "$or", std::move(list));
      return value;
    }
  }
  return value;
}

}  // namespace postern
