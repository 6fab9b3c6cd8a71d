#include "filter_render.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "text.h"

namespace postern {
namespace {

// PostgreSQL cuts identifiers off after 63 bytes, so that a longer one would name another column.
constexpr std::size_t identifier_bytes_max = 63;
// PostgreSQL's protocol counts parameters in 16 bits; a filter has far fewer.
constexpr int placeholder_first_max = 9999;
// Deeper is an error of LangGraph's at every request.
constexpr int langgraph_depth_max = 2;

bool is_identifier(std::string_view text) {
  const auto is_letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; };
  return !text.empty() && text.size() <= identifier_bytes_max && is_letter(text.front()) &&
         std::all_of(text.begin(), text.end(), [&](char c) { return is_letter(c) || is_digit(c); });
}

// NAME or TABLE.NAME -> "NAME" or "TABLE"."NAME"; nothing when it is neither.
std::optional<std::string> quoted_column(std::string_view text) {
  std::string out;
  const std::size_t dot = text.find('.');
  if (dot != std::string_view::npos) {
    if (!is_identifier(text.substr(0, dot))) return std::nullopt;
    out = '"' + std::string(text.substr(0, dot)) + "\".";
    text = text.substr(dot + 1);
  }
  if (!is_identifier(text)) return std::nullopt;
  return out + '"' + std::string(text) + '"';
}

// "?" is 0, "$N" is N; nothing when it is neither.
std::optional<int> first_number(std::string_view placeholder) {
  if (placeholder == "?") return 0;
  if (placeholder.size() < 2 || placeholder.size() > 5 || placeholder[0] != '$' || placeholder[1] == '0') return std::nullopt;
  int number = 0;
  for (const char c : placeholder.substr(1)) {
    if (c < '0' || c > '9') return std::nullopt;
    number = number * 10 + (c - '0');
  }
  return number <= placeholder_first_max ? std::optional(number) : std::nullopt;
}

// The operand of $contains as a list: one value is a list of one.
std::vector<json::Value> wanted_items(const json::Value& operand) {
  return operand.is_array() ? operand.items() : std::vector<json::Value>{operand};
}

// U+0000 can be in JSON but in no jsonb value, and in no text that SQL compares: such a condition holds for no row.
bool has_nul(const json::Value& value) {
  if (value.is_array()) return std::any_of(value.items().begin(), value.items().end(), has_nul);
  return value.as_string().find('\0') != std::string::npos;
}

// A condition with its parameters, in the order in which they stand in the text.
class Sql {
 public:
  Sql(std::string column, int next_number) : column_(std::move(column)), next_number_(next_number) {}

  void add(std::string_view text) { text_ += text; }
  void column() { text_ += column_; }
  void parameter(std::string_view value) {
    text_ += next_number_ == 0 ? "?" : "$" + std::to_string(next_number_++);
    parameters_.push_back(json::Value::string(value));
  }

  [[nodiscard]] json::Value take() && {
    json::Value out = json::Value::object();
    out.set("where", json::Value::string(text_));
    out.set("parameters", std::move(parameters_));
    return out;
  }

 private:
  std::string column_;
  int next_number_;
  std::string text_;
  json::Value parameters_ = json::Value::array();
};

// json_each gives `value` as a SQL value and `type` as a word: 1 and true are told apart by the word alone.
void sqlite_equal(Sql& sql, std::string_view row, const json::Value& operand) {
  sql.add(row);
  if (operand.is_boolean()) {
    sql.add(operand.as_boolean() ? ".type = 'true'" : ".type = 'false'");
    return;
  }
  sql.add(operand.is_string() ? ".type = 'text' AND " : ".type IN ('integer', 'real') AND ");
  sql.add(row);
  sql.add(operand.is_string() ? ".value = " : ".value = json_extract(");
  sql.parameter(operand.is_string() ? operand.as_string() : operand.token());
  if (operand.is_number()) sql.add(", '$')");
}

void sqlite_leaf(Sql& sql, const Filter& filter) {
  const bool contains = filter.op() == Filter::Op::contains;
  bool first = true;
  for (const json::Value& wanted : wanted_items(filter.operand())) {
    if (!first) sql.add(" AND ");
    first = false;
    sql.add("EXISTS (SELECT 1 FROM json_each(");
    sql.column();
    // json_each of a text that is no JSON is an error, whatever the conditions around it say.
    sql.add(contains ? ") AS field, json_each(CASE field.type WHEN 'array' THEN field.value ELSE '[]' END) AS item"
                     : ") AS field");
    sql.add(" WHERE field.key = ");
    sql.parameter(filter.field());
    sql.add(" AND ");
    sqlite_equal(sql, contains ? "item" : "field", wanted);
    sql.add(")");
  }
}

void postgres_leaf(Sql& sql, const Filter& filter) {
  sql.add("(");
  sql.column();
  sql.add(" -> CAST(");
  sql.parameter(filter.field());
  if (filter.op() == Filter::Op::equal) {
    sql.add(" AS text)) = CAST(");
    sql.parameter(json::write(filter.operand()));
  } else {
    // A list on the right: an array holds it item by item, and a scalar never does.
    json::Value list = json::Value::array();
    for (json::Value& wanted : wanted_items(filter.operand())) list.push_back(std::move(wanted));
    sql.add(" AS text)) @> CAST(");
    sql.parameter(json::write(list));
  }
  sql.add(" AS jsonb)");
}

// Containment of the whole document, which a GIN index on the column answers. Below the top level an array contains no
// bare scalar, so {"owner": "a"} does not find {"owner": ["a"]}.
void jsonb_leaf(Sql& sql, const Filter& filter) {
  json::Value value = filter.operand();
  if (filter.op() == Filter::Op::contains && !value.is_array()) {
    value = json::Value::array();
    value.push_back(filter.operand());
  }
  json::Value document = json::Value::object();
  document.set(filter.field(), std::move(value));
  sql.column();
  sql.add(" @> CAST(");
  sql.parameter(json::write(document));
  sql.add(" AS jsonb)");
}

template <typename Leaf>
void write_sql(Sql& sql, const Filter& filter, const Leaf& leaf) {
  if (filter.branches().empty()) {
    if (filter.field().find('\0') != std::string::npos || has_nul(filter.operand())) {
      sql.add("FALSE");
    } else {
      leaf(sql, filter);
    }
    return;
  }
  sql.add("(");
  bool first = true;
  for (const Filter& branch : filter.branches()) {
    if (!first) sql.add(filter.op() == Filter::Op::all_of ? " AND " : " OR ");
    first = false;
    write_sql(sql, branch, leaf);
  }
  sql.add(")");
}

// What stands under one `op` once lists of the same operator, and lists of one, are dissolved.
void collect(const Filter& filter, Filter::Op op, std::vector<const Filter*>& out) {
  if (!filter.branches().empty() && (filter.op() == op || filter.branches().size() == 1)) {
    for (const Filter& branch : filter.branches()) collect(branch, op, out);
  } else {
    out.push_back(&filter);
  }
}

// LangGraph's dict. Python knows $and and $or as lists of at least two, nested at most twice; the JavaScript server and
// older Python ones do not know them, so a plain dict is used wherever one can say it.
json::Value langgraph_dict(const Filter& filter) {
  if (filter.branches().empty()) return filter.to_json();
  if (filter.branches().size() == 1) return langgraph_dict(filter.branches().front());
  std::vector<const Filter*> parts;
  collect(filter, filter.op(), parts);
  json::Value dict = json::Value::object();
  json::Value list = json::Value::array();
  bool plain = filter.op() == Filter::Op::all_of;
  for (const Filter* part : parts) {
    json::Value rendered = langgraph_dict(*part);
    for (const json::Member& member : rendered.members()) {
      plain = plain && dict.find(member.first) == nullptr;
      dict.set(member.first, member.second);
    }
    list.push_back(std::move(rendered));
  }
  if (plain) return dict;
  json::Value out = json::Value::object();
  out.set(filter.op() == Filter::Op::all_of ? "$and" : "$or", std::move(list));
  return out;
}

// How deep $and and $or nest in a rendered dict. LangGraph counts the fields beside an operator as one level.
int operator_depth(const json::Value& dict) {
  int depth = 0;
  for (const json::Member& member : dict.members()) {
    if (member.first != "$and" && member.first != "$or") continue;
    depth = std::max(depth, 1);
    for (const json::Value& item : member.second.items()) depth = std::max(depth, 1 + operator_depth(item));
  }
  return depth;
}

json::Value one_member(std::string_view name, json::Value value) {
  json::Value out = json::Value::object();
  out.set(name, std::move(value));
  return out;
}

json::Value cerbos_expression(std::string_view op, std::vector<json::Value> operands) {
  json::Value list = json::Value::array();
  for (json::Value& operand : operands) list.push_back(std::move(operand));
  json::Value expression = json::Value::object();
  expression.set("operator", json::Value::string(op));
  expression.set("operands", std::move(list));
  return one_member("expression", std::move(expression));
}

// As Cerbos' planner writes R.attr.NAME and R.attr["any name"].
json::Value cerbos_attribute(const std::string& field) {
  if (is_identifier(field)) return one_member("variable", json::Value::string("request.resource.attr." + field));
  return cerbos_expression("index", {one_member("variable", json::Value::string("request.resource.attr")),
                                     one_member("value", json::Value::string(field))});
}

json::Value cerbos_condition(const Filter& filter) {
  std::vector<json::Value> parts;
  if (filter.op() == Filter::Op::equal) {
    return cerbos_expression("eq", {cerbos_attribute(filter.field()), one_member("value", filter.operand())});
  }
  if (filter.op() == Filter::Op::contains) {
    for (json::Value& wanted : wanted_items(filter.operand())) {
      parts.push_back(cerbos_expression("in", {one_member("value", std::move(wanted)), cerbos_attribute(filter.field())}));
    }
  } else {
    for (const Filter& branch : filter.branches()) parts.push_back(cerbos_condition(branch));
  }
  if (parts.size() == 1) return std::move(parts.front());
  return cerbos_expression(filter.op() == Filter::Op::any_of ? "or" : "and", std::move(parts));
}

}  // namespace

Result<json::Value, std::string> render_filter(Reach reach, const Filter* filter, const FilterForm& form) {
  const std::optional<std::string> column = quoted_column(form.column);
  if (!column) {
    return std::string("column: must be NAME or TABLE.NAME; a name is a letter or _, then letters, digits and _, at most 63");
  }
  const bool postgres = form.dialect == SqlDialect::postgres;
  const std::optional<int> number = first_number(!form.placeholder.empty() ? form.placeholder : postgres ? "$1" : "?");
  if (!number) return std::string("placeholder: must be \"?\", or \"$N\" with N from 1 to 9999");
  if (!postgres && *number != 0) return std::string("placeholder: must be \"?\" for sqlite");

  Sql sql(*column, *number);
  Sql jsonb = sql;
  json::Value langgraph;
  json::Value cerbos = json::Value::object();
  std::string_view kind;
  if (reach == Reach::conditional && filter != nullptr) {
    kind = "conditional";
    write_sql(sql, *filter, postgres ? postgres_leaf : sqlite_leaf);
    write_sql(jsonb, *filter, jsonb_leaf);
    langgraph = langgraph_dict(*filter);
    if (operator_depth(langgraph) > langgraph_depth_max) langgraph = {};
    cerbos.set("kind", json::Value::string("KIND_CONDITIONAL"));
    cerbos.set("condition", cerbos_condition(*filter));
  } else {
    const bool allowed = reach == Reach::always_allowed;
    kind = allowed ? "always_allowed" : "always_denied";
    sql.add(allowed ? "TRUE" : "FALSE");
    jsonb.add(allowed ? "TRUE" : "FALSE");
    langgraph = json::Value::boolean(allowed);  // what a handler returns: True allows all, False is 403
    cerbos.set("kind", json::Value::string(allowed ? "KIND_ALWAYS_ALLOWED" : "KIND_ALWAYS_DENIED"));
  }
  json::Value out = json::Value::object();
  out.set("kind", json::Value::string(kind));
  out.set("langgraph", std::move(langgraph));
  out.set("sql", std::move(sql).take());
  out.set("jsonb", postgres ? std::move(jsonb).take() : json::Value{});
  out.set("cerbos", std::move(cerbos));
  return out;
}

}  // namespace postern
