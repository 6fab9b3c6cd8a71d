#include "json.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <span>
#include <system_error>

#include "json_number.h"
#include "text.h"

namespace postern::json {

namespace {

// Faults go to logs, one line each, and the text may be anybody's.
bool is_printable(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) { return c >= ' ' && c < 0x7F; });
}

// RFC 8259 section 7: what may stand in a string as it is, here among ASCII.
bool is_plain(unsigned char c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

// The bytes of the UTF-8 character (not ASCII) that `text` starts with, RFC 3629 section 4; 0: it is none.
std::size_t utf8_character_bytes(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned lead = byte(0);
  const std::size_t size = lead >= 0xC2 && lead <= 0xDF   ? 2
                           : lead >= 0xE0 && lead <= 0xEF ? 3
                           : lead >= 0xF0 && lead <= 0xF4 ? 4
                                                          : 0;
  if (size == 0 || text.size() < size) return 0;
  for (std::size_t at = 1; at < size; ++at) {
    if ((byte(at) & 0xC0U) != 0x80U) return 0;
  }
  const unsigned second = byte(1);
  if (lead == 0xE0 && second < 0xA0) return 0;  // longer than it need be
  if (lead == 0xED && second > 0x9F) return 0;  // a surrogate
  if (lead == 0xF0 && second < 0x90) return 0;  // longer than it need be
  if (lead == 0xF4 && second > 0x8F) return 0;  // over U+10FFFF
  return size;
}

void append_utf8(std::string& out, std::uint32_t point) {
  const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
  if (point < 0x80) return put(point);
  if (point < 0x800) {
    put(0xC0U | point >> 6U);
  } else {
    if (point < 0x10000) {
      put(0xE0U | point >> 12U);
    } else {
      put(0xF0U | point >> 18U);
      put(0x80U | (point >> 12U & 0x3FU));
    }
    put(0x80U | (point >> 6U & 0x3FU));
  }
  put(0x80U | (point & 0x3FU));
}

constexpr std::uint32_t no_node = std::numeric_limits<std::uint32_t>::max();

// RFC 8259, one pass, no recursion: a container that is open keeps the number of the one that it is in where its end will be.
class Parser {
 public:
  Parser(Reading& reading, const Limits& limits, Comments comments)
      : reading_(reading), text_(reading.text), limits_(limits), comments_(comments) {}

  std::optional<ParseFault> run() {
    // Room for what a token's claims have; more is made where there is more.
    reading_.nodes.reserve(std::min<std::size_t>(text_.size() / 16 + 4, 64));
    if (!document()) return std::move(fault_);
    return std::nullopt;
  }

 private:
  using Node = Reading::Node;

  // A string or a number, where it stands.
  struct Span {
    std::uint32_t at = 0;
    std::uint32_t bytes = 0;
    bool decoded = false;
  };

  bool fail(std::size_t offset, std::string what) {
    fault_ = ParseFault{std::min(offset, text_.size()), std::move(what)};
    return false;
  }
  bool fail(std::string_view expected) { return fail(at_, "syntax error: expected " + std::string(expected)); }

  // NUL at the end, and where there is one, which is as wrong.
  [[nodiscard]] char here() const { return at_ < text_.size() ? text_.data()[at_] : '\0'; }
  [[nodiscard]] bool at(char c) const { return here() == c; }

  bool document() {
    if (!skip() || !value({}, at_)) return false;
    while (open_ != no_node) {
      if (!skip()) return false;
      const bool in_object = reading_.nodes[open_].kind == Kind::object;
      const bool empty = reading_.nodes.size() == open_ + 1;
      if (at(in_object ? '}' : ']')) {
        ++at_;
        if (!close()) return false;
        continue;
      }
      if (!empty) {
        if (!at(',')) return fail(in_object ? "a comma or }" : "a comma or ]");
        ++at_;
        if (!skip()) return false;
      }
      const std::size_t start = at_;
      Span name;
      if (in_object) {
        if (!at('"')) return fail(empty ? "a member name or }" : "a member name");
        if (!string(name) || !skip()) return false;
        if (!at(':')) return fail("a colon");
        ++at_;
        if (!skip()) return false;
      }
      if (!value(name, start)) return false;
    }
    if (!skip()) return false;
    return at_ == text_.size() || fail("the end of the text");
  }

  // White space, and comments where they are allowed. In most texts there is neither.
  bool skip() {
    const char c = here();
    return (c > ' ' && c != '/') || skip_some();
  }

  bool skip_some() {
    for (;;) {
      while (at(' ') || at('\n') || at('\r') || at('\t')) ++at_;
      if (comments_ == Comments::refuse || !at('/')) return true;
      const std::string_view rest = text_.substr(at_);
      if (rest.starts_with("//")) {
        at_ = std::min(text_.find_first_of("\r\n", at_), text_.size());
      } else if (const std::size_t end = text_.find("*/", at_ + 2); rest.starts_with("/*") && end != std::string_view::npos) {
        at_ = end + 2;
      } else {
        return fail("a whole comment");
      }
    }
  }

  // `start`: where a fault or an edit finds this value; for a member that is its name.
  bool value(const Span& name, std::size_t start) {
    const char c = here();
    const bool container = c == '{' || c == '[';
    if (container && depth_ >= limits_.depth_max) return fail(at_, "nested too deeply");
    if (reading_.nodes.size() >= limits_.values_max) return fail(start, "too many values");
    const auto index = static_cast<std::uint32_t>(reading_.nodes.size());
    Node& node = reading_.nodes.emplace_back();
    node.name_at = name.at;
    node.name_bytes = name.bytes;
    node.name_decoded = name.decoded;
    node.offset = static_cast<std::uint32_t>(start);
    node.end = index + 1;
    Span text;
    switch (c) {
      case '{':
      case '[':
        node.kind = c == '{' ? Kind::object : Kind::array;
        node.end = open_;
        open_ = index;
        ++depth_;
        ++at_;
        return true;
      case '"':
        node.kind = Kind::string;
        if (!string(text)) return false;
        break;
      case 't':
      case 'f':
        node.kind = Kind::boolean;
        node.boolean = c == 't';
        return literal(c == 't' ? "true" : "false");
      case 'n':
        return literal("null");
      default:
        if (c != '-' && !is_digit(c)) return fail("a value");
        node.kind = Kind::number;
        if (!number(text)) return false;
    }
    node.text_at = text.at;
    node.text_bytes = text.bytes;
    node.text_decoded = text.decoded;
    return true;
  }

  bool literal(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return fail("a value");
    at_ += word.size();
    return true;
  }

  bool digits() {
    const std::size_t start = at_;
    while (is_digit(here())) ++at_;
    return at_ != start || fail("a digit");
  }

  // Section 6. The token is kept, not its value.
  bool number(Span& out) {
    const std::size_t start = at_;
    if (at('-')) ++at_;
    if (at('0')) {
      ++at_;
    } else if (!digits()) {
      return false;
    }
    if (at('.')) {
      ++at_;
      if (!digits()) return false;
    }
    if (at('e') || at('E')) {
      ++at_;
      if (at('+') || at('-')) ++at_;
      if (!digits()) return false;
    }
    out = {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(at_ - start)};
    return !is_out_of_range(text_.substr(start, at_ - start)) || fail(start, "number out of range");
  }

  // Section 7, from the opening quote.
  bool string(Span& out) {
    ++at_;
    const std::size_t start = at_;
    std::size_t taken = start;  // what is before it has been decoded
    for (;;) {
      at_ = static_cast<std::size_t>(plain_end(text_.data() + at_, text_.data() + text_.size()) - text_.data());
      if (at_ == text_.size()) return fail("a closing quote");
      const auto c = static_cast<unsigned char>(text_[at_]);
      if (c == '"') break;
      if (c == '\\') {
        if (!out.decoded) out = {static_cast<std::uint32_t>(reading_.decoded.size()), 0, true};
        reading_.decoded.append(text_, taken, at_ - taken);
        if (!escape(reading_.decoded)) return false;
        taken = at_;
      } else if (c < 0x20) {
        return fail("a control character in a string to be escaped");
      } else {
        const std::size_t size = utf8_character_bytes(text_.substr(at_));
        if (size == 0) return fail("well-formed UTF-8 in a string");
        at_ += size;
      }
    }
    if (out.decoded) {
      reading_.decoded.append(text_, taken, at_ - taken);
      out.bytes = static_cast<std::uint32_t>(reading_.decoded.size()) - out.at;
    } else {
      out = {static_cast<std::uint32_t>(start), static_cast<std::uint32_t>(at_ - start)};
    }
    ++at_;
    return true;
  }

  bool escape(std::string& out) {
    constexpr std::string_view letters = "\"\\/bfnrtu";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    ++at_;
    const std::size_t which = at_ < text_.size() ? letters.find(text_[at_]) : std::string_view::npos;
    if (which == std::string_view::npos) return fail("an escape sequence");
    ++at_;
    if (which < meanings.size()) {
      out += meanings[which];
      return true;
    }
    std::uint32_t point = 0;
    if (!code_unit(point)) return false;
    if (point >= 0xDC00 && point <= 0xDFFF) return fail("no lone surrogate");
    if (point >= 0xD800 && point <= 0xDBFF) {
      std::uint32_t low = 0;
      if (!text_.substr(at_).starts_with("\\u")) return fail("the second of two surrogates");
      at_ += 2;
      if (!code_unit(low)) return false;
      if (low < 0xDC00 || low > 0xDFFF) return fail("the second of two surrogates");
      point = 0x10000 + ((point - 0xD800) << 10U) + (low - 0xDC00);
    }
    append_utf8(out, point);
    return true;
  }

  bool code_unit(std::uint32_t& unit) {
    const std::string_view hex = text_.substr(at_, 4);
    const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), unit, 16);
    // from_chars takes fewer digits, and for an unsigned number no sign.
    if (error != std::errc() || hex.size() != 4 || end != hex.data() + 4) return fail("four hexadecimal digits");
    at_ += 4;
    return true;
  }

  bool close() {
    const std::uint32_t closed = std::exchange(open_, reading_.nodes[open_].end);
    const auto end = static_cast<std::uint32_t>(reading_.nodes.size());
    reading_.nodes[closed].end = end;
    --depth_;
    if (reading_.nodes[closed].kind != Kind::object) return true;
    const Node* twice = duplicate(closed);
    if (twice == nullptr) return true;
    const std::string_view name = reading_.name_of(*twice);
    return fail(twice->offset, "duplicate member name: " + (is_printable(name) ? std::string(name) : "(unprintable)"));
  }

  // The second of two members with one name, compared after decoding; nullptr when all differ. Sorting keeps
  // an object of very many members from costing the square of their number.
  [[nodiscard]] const Node* duplicate(std::uint32_t object) const {
    const std::vector<Node>& nodes = reading_.nodes;
    constexpr std::size_t few = 32;  // no claim set that was seen has more members
    std::size_t count = 0;
    std::uint64_t marks = 0;  // of the names before: where there was no such mark, none was the same
    for (std::uint32_t i = object + 1; i < nodes.size(); i = nodes[i].end) {
      if (++count > few) return duplicate_of_many(object);
      const std::string_view name = reading_.name_of(nodes[i]);
      const std::size_t mark =
          name.empty() ? 0 : name.size() * 5 + static_cast<std::size_t>(name.front()) * 3 + static_cast<std::size_t>(name.back());
      const std::uint64_t bit = std::uint64_t{1} << (mark % 64);
      if ((std::exchange(marks, marks | bit) & bit) == 0) continue;
      for (std::uint32_t j = object + 1; j < i; j = nodes[j].end) {
        if (name == reading_.name_of(nodes[j])) return &nodes[i];
      }
    }
    return nullptr;
  }

  [[nodiscard]] const Node* duplicate_of_many(std::uint32_t object) const {
    const std::vector<Node>& nodes = reading_.nodes;
    std::vector<std::pair<std::string_view, std::uint32_t>> names;
    for (std::uint32_t i = object + 1; i < nodes.size(); i = nodes[i].end) names.emplace_back(reading_.name_of(nodes[i]), i);
    // A heap, since it is a tenth of std::sort's code and no slower than it has to be.
    std::make_heap(names.begin(), names.end());
    std::sort_heap(names.begin(), names.end());
    const auto twice =
        std::adjacent_find(names.begin(), names.end(), [](const auto& a, const auto& b) { return a.first == b.first; });
    return twice == names.end() ? nullptr : &nodes[(twice + 1)->second];
  }

  Reading& reading_;
  std::string_view text_;
  const Limits& limits_;
  Comments comments_;
  std::size_t at_ = 0;
  std::size_t depth_ = 0;
  std::uint32_t open_ = no_node;
  ParseFault fault_;
};

std::optional<ParseFault> read(Reading& reading, const Limits& limits, Comments comments) {
  const std::string_view text = reading.text;
  if (text.size() >= no_node) return ParseFault{0, "text too large"};
  // RFC 8259 section 8.1; and a NUL would end the text for whoever reads it as a C string.
  if (text.starts_with("\xEF\xBB\xBF")) return ParseFault{0, "byte order mark"};
  auto fault = Parser(reading, limits, comments).run();
  // No JSON has one outside a comment: what was read without a fault need not be looked through.
  if (fault || comments == Comments::skip) {
    if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos) return ParseFault{nul, "NUL byte"};
  }
  return fault;
}

}  // namespace

// Most strings are plain from end to end: sixteen characters at a time.
const char* plain_end(const char* at, const char* end) {
  using Bytes __attribute__((vector_size(16))) = std::uint8_t;
  for (; end - at >= 16; at += 16) {
    Bytes c;
    std::memcpy(&c, at, sizeof(c));
    const auto special = (c < 0x20) | (c >= 0x80) | (c == '"') | (c == '\\');
    std::array<std::uint64_t, 2> found;
    std::memcpy(found.data(), &special, sizeof(found));
    static_assert(std::endian::native == std::endian::little, "the lowest byte is the first");
    if (found[0] != 0) return at + std::countr_zero(found[0]) / 8;
    if (found[1] != 0) return at + 8 + std::countr_zero(found[1]) / 8;
  }
  while (at != end && is_plain(static_cast<unsigned char>(*at))) ++at;
  return at;
}

std::string_view Element::as_string() const { return is_string() ? reading_->text_of(node()) : std::string_view{}; }

std::string_view Element::token() const { return is_number() ? reading_->text_of(node()) : std::string_view{}; }

std::optional<std::int64_t> Element::as_integer() const { return integer_of(token()); }

std::optional<std::int64_t> Element::thousandths(Rounding rounding) const {
  return is_number() ? thousandths_of(token(), rounding) : std::nullopt;
}

std::string_view Element::name() const { return reading_->name_of(node()); }

Element Element::first() const {
  const bool any = (is_array() || is_object()) && node().end > index_ + 1;
  return any ? Element(*reading_, index_ + 1) : Element();
}

Element Element::next_of(const Element& parent) const {
  return node().end < parent.node().end ? Element(*reading_, node().end) : Element();
}

Element Element::find(std::string_view name) const {
  if (!is_object()) return {};
  // Claims are asked for by some twenty names a token, and nearly all names differ in length.
  const std::span<const Reading::Node> nodes(reading_->nodes);
  const std::size_t end = nodes[index_].end;
  for (std::size_t at = index_ + 1; at < end; at = nodes[at].end) {
    if (nodes[at].name_bytes != name.size()) continue;
    const Element member(*reading_, at);
    if (member.name() == name) return member;
  }
  return {};
}

Result<Value, ParseFault> parse(std::string_view text, const Limits& limits, Comments comments) {
  Reading reading;
  reading.text = text;
  if (auto fault = read(reading, limits, comments)) return *std::move(fault);
  return Element(reading, 0).to_value();
}

std::string Document::take_text() && {
  if (reading_ == nullptr) return {};
  const std::shared_ptr<Reading> reading = std::move(reading_);
  return reading.use_count() == 1 ? std::move(reading->owned) : reading->owned;
}

Result<Document, ParseFault> parse_document(std::string text, const Limits& limits) {
  auto reading = std::make_shared<Reading>();
  reading->owned = std::move(text);
  reading->text = reading->owned;
  if (auto fault = read(*reading, limits, Comments::refuse)) return *std::move(fault);
  return Document(std::move(reading));
}

}  // namespace postern::json
