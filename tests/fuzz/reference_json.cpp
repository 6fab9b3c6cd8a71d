#include "fuzz/reference_json.h"

#include <algorithm>
#include <set>

namespace postern::fuzz {
namespace {

// Counts while nlohmann parses. Duplicates are gone once there is a DOM.
class Census : public nlohmann::json_sax<Dom> {
 public:
  explicit Census(ReferenceText& out) : out_(out) {}

  bool null() override { return value(); }
  bool boolean(bool) override { return value(); }
  bool number_integer(number_integer_t) override { return number(); }
  bool number_unsigned(number_unsigned_t) override { return number(); }
  bool number_float(number_float_t, const string_t&) override { return number(); }
  bool string(string_t&) override { return value(); }
  bool binary(binary_t&) override { return value(); }
  bool start_object(std::size_t) override { return open(); }
  bool start_array(std::size_t) override { return open(); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool key(string_t& name) override {
    if (!names_.back().insert(name).second) out_.duplicates = true;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override { return false; }

 private:
  bool value() {
    ++out_.values;
    return true;
  }
  bool number() {
    ++out_.numbers;
    return value();
  }
  bool open() {
    names_.emplace_back();
    out_.depth = std::max(out_.depth, names_.size());
    return value();
  }
  bool close() {
    names_.pop_back();
    return true;
  }

  ReferenceText& out_;
  std::vector<std::set<std::string>> names_;
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

ReferenceText read_reference(std::string_view text, ReferenceComments comments) {
  ReferenceText out;
  const bool ignore = comments == ReferenceComments::skip;
  Census census(out);
  out.accepted = Dom::sax_parse(text.begin(), text.end(), &census, Dom::input_format_t::json, /*strict=*/true, ignore);
  if (!out.accepted) return out;
  out.dom = Dom::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false, ignore);
  out.strict = !out.duplicates && !text.starts_with("\xEF\xBB\xBF") && text.find('\0') == std::string_view::npos &&
               !out.dom.is_discarded();
  return out;
}

std::vector<std::string> number_tokens(std::string_view text) {
  std::vector<std::string> out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i) {
        if (text[i] == '\\') ++i;
      }
    } else if (text[i] == '/') {  // a comment; nothing else starts so outside a string
      const bool block = i + 1 < text.size() && text[i + 1] == '*';
      const std::size_t end = block ? text.find("*/", i + 2) : text.find_first_of("\r\n", i);
      if (end == std::string_view::npos) return out;
      i = block ? end + 1 : end;
    } else if (text[i] == '-' || is_digit(text[i])) {
      const std::size_t end = std::min(text.find_first_not_of("0123456789+-.eE", i), text.size());
      out.emplace_back(text.substr(i, end - i));
      i = end - 1;
    }
  }
  return out;
}

bool is_number_token(std::string_view text) {
  std::size_t at = 0;
  const auto digits = [&] {
    const std::size_t from = at;
    while (at < text.size() && is_digit(text[at])) ++at;
    return at - from;
  };
  if (at < text.size() && text[at] == '-') ++at;
  const bool zero = at < text.size() && text[at] == '0';
  const std::size_t whole = digits();
  if (whole == 0 || (zero && whole > 1)) return false;
  if (at < text.size() && text[at] == '.') {
    ++at;
    if (digits() == 0) return false;
  }
  if (at < text.size() && (text[at] == 'e' || text[at] == 'E')) {
    ++at;
    if (at < text.size() && (text[at] == '+' || text[at] == '-')) ++at;
    if (digits() == 0) return false;
  }
  return at == text.size();
}

std::string string_member(const Dom& object, const char* name) {
  if (!object.is_object()) return {};
  const auto member = object.find(name);
  return member == object.end() || !member->is_string() ? std::string() : member->get<std::string>();
}

}  // namespace postern::fuzz
