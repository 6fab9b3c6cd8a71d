#include "json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>
#include <numeric>
#include <system_error>

#include <nlohmann/json.hpp>

namespace postern::json {

namespace {

// Walks the text and tells how far the lexer has read. The SAX callbacks come right after their token was
// read, so this is where each token ends (numbers: one character further, unless the text ended).
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* at, std::size_t* count) : at_(at), count_(count) {}
  reference operator*() const { return *at_; }
  CountingIterator& operator++() {
    ++at_;
    ++*count_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const CountingIterator& a, const CountingIterator& b) { return a.at_ == b.at_; }

 private:
  const char* at_;
  std::size_t* count_;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_number_character(char c) { return is_digit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E'; }

// Faults go to logs, one line each, and the text may be anybody's.
bool is_printable(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c < 0x7F; });
}

// Builds the tree. The stack holds the open containers; a container is appended to only while it is the
// innermost one, so the pointers below it stay good.
class TreeBuilder {
 public:
  using Json = nlohmann::json;

  TreeBuilder(std::string_view text, const Limits& limits, const std::size_t* consumed, Value* root)
      : text_(text), limits_(limits), consumed_(consumed), root_(root) {}

  [[nodiscard]] ParseFault take_fault() { return std::move(fault_); }

  bool null() { return add(Value(), *consumed_ - 4) != nullptr; }
  bool boolean(bool value) { return add(Value::boolean(value), *consumed_ - (value ? 4U : 5U)) != nullptr; }
  // The numeric values are dropped: the text's own characters are what is kept. (Not the string that
  // number_float gets either: the lexer writes the C locale's decimal point into it.)
  bool number_integer(Json::number_integer_t) { return number(); }
  bool number_unsigned(Json::number_unsigned_t) { return number(); }
  bool number_float(Json::number_float_t, const Json::string_t&) { return number(); }
  bool string(Json::string_t& value) { return add(Value::string(value), string_start()) != nullptr; }
  bool binary(Json::binary_t&) { return fail(*consumed_, "binary value"); }

  bool start_object(std::size_t) { return open(Value::object()); }
  bool start_array(std::size_t) { return open(Value::array()); }
  bool end_array() {
    open_.pop_back();
    return true;
  }

  bool key(Json::string_t& name) {
    member_offset_ = string_start();
    open_.back()->members().emplace_back(std::move(name), Value());
    return true;
  }

  bool end_object() {
    const std::vector<Member>& members = open_.back()->members();
    open_.pop_back();
    if (const Member* twice = duplicate(members)) {
      return fail(twice->second.offset(),
                  "duplicate member name: " + (is_printable(twice->first) ? twice->first : "(unprintable)"));
    }
    return true;
  }

  // nlohmann's sentence says what was expected, but also quotes what was read; that part is cut away.
  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    constexpr std::string_view lead = "syntax error ";
    std::string_view what = error.what();
    if (error.id == 406) return fail(number_start(), "number out of range");
    const std::size_t begin = what.find(lead);
    if (begin == std::string_view::npos) return fail(fault_offset(), "not valid JSON");
    what.remove_prefix(begin + lead.size());
    what = what.substr(0, what.find("; last read: '"));
    return fail(fault_offset(), "syntax error " + std::string(what));
  }

 private:
  bool fail(std::size_t offset, std::string what) {
    fault_ = ParseFault{std::min(offset, text_.size()), std::move(what)};
    return false;
  }

  [[nodiscard]] std::size_t fault_offset() const { return *consumed_ == 0 ? 0 : *consumed_ - 1; }

  // A number token ends in a digit; the character after it was read too, unless the text ended.
  [[nodiscard]] std::size_t number_end() const {
    std::size_t end = *consumed_;
    if (end > 0 && !is_digit(text_[end - 1])) --end;
    return end;
  }

  // What stands before a value is never a character that a number can have.
  [[nodiscard]] std::size_t number_start() const {
    std::size_t start = number_end();
    while (start > 0 && is_number_character(text_[start - 1])) --start;
    return start;
  }

  // The opening quote: the last one before the closing quote that no backslash escapes. What stands before
  // a string is never a backslash, so counting them backwards cannot leave the string.
  [[nodiscard]] std::size_t string_start() const {
    std::size_t at = *consumed_ - 1;  // the closing quote
    while (at > 0) {
      --at;
      if (text_[at] != '"') continue;
      std::size_t backslashes = 0;
      while (backslashes < at && text_[at - 1 - backslashes] == '\\') ++backslashes;
      if (backslashes % 2 == 0) return at;
      at -= backslashes;
    }
    return 0;
  }

  bool number() {
    const std::size_t start = number_start();
    return add(Value::number_token(std::string(text_.substr(start, number_end() - start))), start) != nullptr;
  }

  bool open(Value value) {
    if (open_.size() >= limits_.depth_max) return fail(fault_offset(), "nested too deeply");
    Value* added = add(std::move(value), *consumed_ - 1);
    if (added == nullptr) return false;
    open_.push_back(added);
    return true;
  }

  Value* add(Value value, std::size_t start) {
    if (values_ >= limits_.values_max) {
      fail(start, "too many values");
      return nullptr;
    }
    ++values_;
    Value* place = root_;
    if (!open_.empty()) {
      Value& parent = *open_.back();
      if (parent.is_object()) {
        place = &parent.members().back().second;
        start = member_offset_;
      } else {
        place = &parent.items().emplace_back();
      }
    }
    *place = std::move(value);
    place->set_offset(static_cast<std::uint32_t>(start));
    return place;
  }

  // The second of two members with one name, compared after decoding; nullptr when all differ. Sorting keeps
  // an object of very many members from costing the square of their number.
  static const Member* duplicate(const std::vector<Member>& members) {
    constexpr std::size_t few = 16;
    if (members.size() <= few) {
      for (std::size_t i = 1; i < members.size(); ++i) {
        for (std::size_t j = 0; j < i; ++j) {
          if (members[i].first == members[j].first) return &members[i];
        }
      }
      return nullptr;
    }
    std::vector<const Member*> sorted(members.size());
    std::transform(members.begin(), members.end(), sorted.begin(), [](const Member& member) { return &member; });
    std::sort(sorted.begin(), sorted.end(), [](const Member* a, const Member* b) {
      const int order = a->first.compare(b->first);
      return order != 0 ? order < 0 : a < b;
    });
    const auto twice =
        std::adjacent_find(sorted.begin(), sorted.end(), [](const Member* a, const Member* b) { return a->first == b->first; });
    return twice == sorted.end() ? nullptr : *(twice + 1);
  }

  std::string_view text_;
  const Limits& limits_;
  const std::size_t* consumed_;
  Value* root_;
  std::vector<Value*> open_;
  std::size_t values_ = 0;
  std::size_t member_offset_ = 0;
  ParseFault fault_;
};

// A number token as sign, digits without leading and trailing zeros, and a power of ten: equal values have
// equal forms, at any size (two different big integers may share one double).
struct Decimal {
  bool negative = false;
  std::string digits;  // "" is zero
  std::int64_t exponent = 0;

  friend bool operator==(const Decimal&, const Decimal&) = default;
};

Decimal decimal(std::string_view token) {
  Decimal result;
  std::size_t at = 0;
  if (at < token.size() && token[at] == '-') {
    result.negative = true;
    ++at;
  }
  bool fraction = false;
  for (; at < token.size() && (is_digit(token[at]) || token[at] == '.'); ++at) {
    if (token[at] == '.') {
      fraction = true;
      continue;
    }
    if (fraction) --result.exponent;
    if (token[at] != '0' || !result.digits.empty()) result.digits.push_back(token[at]);
  }
  if (at < token.size()) {  // e or E, perhaps a plus sign that from_chars would not take
    ++at;
    if (at < token.size() && token[at] == '+') ++at;
    std::int64_t power = 0;
    const auto [end, error] = std::from_chars(token.data() + at, token.data() + token.size(), power);
    // Only tiny numbers can have an exponent this long; half the range keeps the sum below from overflowing.
    constexpr std::int64_t far = std::numeric_limits<std::int64_t>::min() / 2;
    result.exponent += error == std::errc() ? std::clamp(power, far, -far) : far;
  }
  while (!result.digits.empty() && result.digits.back() == '0') {
    result.digits.pop_back();
    ++result.exponent;
  }
  if (result.digits.empty()) return Decimal();  // 0, -0 and 0e5 are one value
  return result;
}

void write_to(std::string& out, const Value& value) {
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
        write_to(out, item);
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
        write_to(out, member.second);
        separator = ',';
      }
      if (separator == '{') out += '{';
      out += '}';
      return;
    }
  }
}

}  // namespace

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

std::optional<std::int64_t> Value::as_integer() const {
  if (!is_number()) return std::nullopt;
  std::int64_t value = 0;
  const char* const end = text_.data() + text_.size();
  const auto [rest, error] = std::from_chars(text_.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

std::optional<double> Value::as_double() const {
  if (!is_number()) return std::nullopt;
  // Not strtod: it would take the decimal point from the host program's locale.
  const nlohmann::json number = nlohmann::json::parse(text_, nullptr, /*allow_exceptions=*/false);
  if (!number.is_number()) return std::nullopt;
  const double value = number.get<double>();
  if (!std::isfinite(value)) return std::nullopt;
  return value;
}

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
        std::sort(sorted.begin(), sorted.end(), [](const Member* x, const Member* y) { return x->first < y->first; });
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

Result<Value, ParseFault> parse(std::string_view text, const Limits& limits, Comments comments) {
  if (text.size() > std::numeric_limits<std::uint32_t>::max()) return ParseFault{0, "text too large"};
  // nlohmann skips a BOM and takes a NUL for the end of the text; RFC 8259 allows neither.
  if (text.starts_with("\xEF\xBB\xBF")) return ParseFault{0, "byte order mark"};
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) return ParseFault{nul, "NUL byte"};

  std::size_t consumed = 0;
  Value root;
  TreeBuilder builder(text, limits, &consumed, &root);
  const bool parsed =
      nlohmann::json::sax_parse(CountingIterator(text.data(), &consumed), CountingIterator(text.data() + text.size(), &consumed),
                                &builder, nlohmann::json::input_format_t::json, /*strict=*/true, comments == Comments::skip);
  if (!parsed) return builder.take_fault();
  return root;
}

std::string write(const Value& value) {
  std::string out;
  write_to(out, value);
  return out;
}

void write_string(std::string& out, std::string_view text) {
  constexpr std::string_view hex = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    switch (c) {
      case '"':
        out += "\\\"";
        break;
      case '\\':
        out += "\\\\";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      case '\t':
        out += "\\t";
        break;
      default: {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20) {
          out += "\\u00";
          out += hex[byte >> 4U];
          out += hex[byte & 0xFU];
        } else {
          out += c;
        }
      }
    }
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
