#include <algorithm>
#include <string>
#include <utility>

#include "json.h"
#include "json_number.h"

namespace postern::json {

namespace {

// By name. A heap, since it is a tenth of std::sort's code and no slower than it has to be.
void sort_by_name(std::vector<const Member*>& members) {
  const auto before = [](const Member* a, const Member* b) { return a->first < b->first; };
  std::make_heap(members.begin(), members.end(), before);
  std::sort_heap(members.begin(), members.end(), before);
}

}  // namespace

Value Element::to_value() const {
  Value value;
  if (!*this) return value;
  value.kind_ = node().kind;
  value.boolean_ = node().boolean;
  value.offset_ = node().offset;
  if (is_string()) value.text_ = as_string();
  if (is_number()) value.text_ = token();
  std::size_t count = 0;
  for (Element inside = first(); inside; inside = inside.next_of(*this)) ++count;
  if (count == 0) return value;
  if (is_array()) {
    value.items_.reserve(count);
    for (Element item = first(); item; item = item.next_of(*this)) value.items_.push_back(item.to_value());
  } else {
    value.members_.reserve(count);
    for (Element member = first(); member; member = member.next_of(*this)) {
      value.members_.emplace_back(member.name(), member.to_value());
    }
  }
  return value;
}

Value Value::boolean(bool value) {
  Value result;
  result.kind_ = Kind::boolean;
  result.boolean_ = value;
  return result;
}

Value Value::number(std::int64_t value) { return number_token(std::to_string(value)); }

Value Value::number_token(std::string token) {
  Value result;
  result.kind_ = Kind::number;
  result.text_ = std::move(token);
  return result;
}

Value Value::string(std::string_view value) {
  Value result;
  result.kind_ = Kind::string;
  result.text_ = value;
  return result;
}

Value Value::array() {
  Value result;
  result.kind_ = Kind::array;
  return result;
}

Value Value::object() {
  Value result;
  result.kind_ = Kind::object;
  return result;
}

const std::string& Value::as_string() const {
  static const std::string empty;
  return is_string() ? text_ : empty;
}

std::optional<std::int64_t> Value::as_integer() const { return is_number() ? integer_of(text_) : std::nullopt; }

Value Value::string(const char* value) { return string(std::string_view(value)); }
Value Value::string(const std::string& value) { return string(std::string_view(value)); }

const Value* Value::find(const std::string& name) const { return find(std::string_view(name)); }
const Value* Value::find(const char* name) const { return find(std::string_view(name)); }
Value* Value::find(const std::string& name) { return find(std::string_view(name)); }
Value* Value::find(const char* name) { return find(std::string_view(name)); }
Value& Value::set(const char* name, Value value) { return set(std::string_view(name), std::move(value)); }
const Value* Value::find(std::string_view name) const {
  for (const Member& member : members_) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

Value* Value::find(std::string_view name) { return const_cast<Value*>(std::as_const(*this).find(name)); }

Value& Value::set(std::string_view name, Value value) {
  if (!is_object()) *this = object();
  if (Value* present = find(name)) {
    *present = std::move(value);
    return *present;
  }
  return members_.emplace_back(std::string(name), std::move(value)).second;
}

bool Value::remove(std::string_view name) {
  for (auto member = members_.begin(); member != members_.end(); ++member) {
    if (member->first == name) {
      members_.erase(member);
      return true;
    }
  }
  return false;
}

void Value::push_back(Value value) {
  if (!is_array()) *this = array();
  items_.push_back(std::move(value));
}

bool equal(const Value& a, const Value& b) {
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::null:
      return true;
    case Kind::boolean:
      return a.as_boolean() == b.as_boolean();
    case Kind::number:
      return a.token() == b.token() || decimal(a.token()) == decimal(b.token());
    case Kind::string:
      return a.as_string() == b.as_string();
    case Kind::array:
      return std::equal(a.items().begin(), a.items().end(), b.items().begin(), b.items().end(), equal);
    case Kind::object: {
      if (a.members().size() != b.members().size()) return false;
      // Names are unique on both sides, so the same number of them, each found, is the same set. Sorted: the
      // plain search would cost the square of an attacker's member count.
      const auto by_name = [](const Value& value) {
        std::vector<const Member*> sorted(value.members().size());
        std::transform(value.members().begin(), value.members().end(), sorted.begin(),
                       [](const Member& member) { return &member; });
        sort_by_name(sorted);
        return sorted;
      };
      const std::vector<const Member*> left = by_name(a);
      const std::vector<const Member*> right = by_name(b);
      return std::equal(left.begin(), left.end(), right.begin(),
                        [](const Member* x, const Member* y) { return x->first == y->first && equal(x->second, y->second); });
    }
  }
  return false;
}

void write(std::string& out, const Value& value) {
  switch (value.kind()) {
    case Kind::null:
      out += "null";
      return;
    case Kind::boolean:
      out += value.as_boolean() ? "true" : "false";
      return;
    case Kind::number:
      out += value.token();
      return;
    case Kind::string:
      write_string(out, value.as_string());
      return;
    case Kind::array: {
      char separator = '[';
      for (const Value& item : value.items()) {
        out += separator;
        write(out, item);
        separator = ',';
      }
      if (separator == '[') out += '[';
      out += ']';
      return;
    }
    case Kind::object: {
      char separator = '{';
      for (const Member& member : value.members()) {
        out += separator;
        write_string(out, member.first);
        out += ':';
        write(out, member.second);
        separator = ',';
      }
      if (separator == '{') out += '{';
      out += '}';
      return;
    }
  }
}

std::string write(const Value& value) {
  std::string out;
  write(out, value);
  return out;
}

void write_string(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  constexpr std::string_view letters = "\"\\nrt";
  constexpr std::string_view meanings = "\"\\\n\r\t";
  out += '"';
  const char* at = text.data();
  const char* const end = at + text.size();
  for (;;) {
    // Past what is plain for a reader but for UTF-8's own bytes, which are written as they are.
    const char* stop = plain_end(at, end);
    while (stop != end && static_cast<unsigned char>(*stop) >= 0x80) stop = plain_end(stop + 1, end);
    out.append(at, stop);
    if (stop == end) break;
    out += '\\';
    if (const std::size_t which = meanings.find(*stop); which != std::string_view::npos) {
      out += letters[which];
    } else {
      const auto byte = static_cast<unsigned char>(*stop);
      out += "u00";
      out += hex[byte >> 4U];
      out += hex[byte & 0xFU];
    }
    at = stop + 1;
  }
  out += '"';
}

Place place_of(std::string_view text, std::size_t offset) {
  Place place;
  for (const char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++place.line;
      place.column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
      ++place.column;  // UTF-8 continuation bytes do not start a character
    }
  }
  return place;
}

std::string replace_lone_surrogates(std::string_view text) {
  // The code unit of "\\uXXXX" at `at`, or nothing.
  const auto unit_at = [&](std::size_t at) -> std::optional<unsigned> {
    if (at + 6 > text.size() || text[at] != '\\' || text[at + 1] != 'u') return std::nullopt;
    unsigned unit = 0;
    for (const char c : text.substr(at + 2, 4)) {
      unit <<= 4U;
      if (c >= '0' && c <= '9') {
        unit |= static_cast<unsigned>(c - '0');
      } else if (c >= 'a' && c <= 'f') {
        unit |= static_cast<unsigned>(c - 'a' + 10);
      } else if (c >= 'A' && c <= 'F') {
        unit |= static_cast<unsigned>(c - 'A' + 10);
      } else {
        return std::nullopt;
      }
    }
    return unit;
  };
  const auto is_high = [](std::optional<unsigned> unit) { return unit && *unit >= 0xD800 && *unit <= 0xDBFF; };
  const auto is_low = [](std::optional<unsigned> unit) { return unit && *unit >= 0xDC00 && *unit <= 0xDFFF; };
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t escape = text.find('\\', at);
    out += text.substr(at, escape - at);
    if (escape == std::string_view::npos) break;
    const auto unit = unit_at(escape);
    std::size_t length = unit ? 6 : 2;  // an escaped backslash is passed over whole
    if (is_high(unit) && is_low(unit_at(escape + 6))) length = 12;
    const bool lone = length == 6 && (is_high(unit) || is_low(unit));
    out += lone ? std::string_view("\\ufffd") : text.substr(escape, length);
    at = escape + length;
  }
  return out;
}

}  // namespace postern::json
