// Strict JSON, RFC 8259: text in, a list of its values or a tree out; and a tree back to text.
//
// A `Document` is for who only looks: its values stand in one list and its strings where they stand in the text. A `Value` is a
// tree, for what is changed or kept by part.
//
// Refused while parsing: duplicate member names, invalid UTF-8, lone surrogates, a BOM, nesting and
// counts over the limits, numbers outside a double's range. Number tokens are kept verbatim, so
// a tree written again carries the very digits that were read (JavaScript would round big ones).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postern/result.h"

namespace postern::json {

enum class Kind : std::uint8_t { null, boolean, number, string, array, object };

enum class Rounding : std::uint8_t { down, up };

class Value;
using Member = std::pair<std::string, Value>;

class Value {
 public:
  Value() = default;  // null
  [[nodiscard]] static Value boolean(bool value);
  [[nodiscard]] static Value number(std::int64_t value);
  [[nodiscard]] static Value number_token(std::string token);  // a valid JSON number
  [[nodiscard]] static Value string(std::string_view value);
  // Literals and strings as one word: in wasm a string_view is passed through memory, a dozen bytes of code at each of many
  // calls.
  [[nodiscard]] static Value string(const char* value);
  [[nodiscard]] static Value string(const std::string& value);
  [[nodiscard]] static Value array();
  [[nodiscard]] static Value object();

  [[nodiscard]] Kind kind() const { return kind_; }
  [[nodiscard]] bool is_null() const { return kind_ == Kind::null; }
  [[nodiscard]] bool is_boolean() const { return kind_ == Kind::boolean; }
  [[nodiscard]] bool is_number() const { return kind_ == Kind::number; }
  [[nodiscard]] bool is_string() const { return kind_ == Kind::string; }
  [[nodiscard]] bool is_array() const { return kind_ == Kind::array; }
  [[nodiscard]] bool is_object() const { return kind_ == Kind::object; }

  [[nodiscard]] bool as_boolean() const { return boolean_; }        // false unless a boolean
  [[nodiscard]] const std::string& as_string() const;               // "" unless a string
  [[nodiscard]] const std::string& token() const { return text_; }  // a number's digits
  // The number as an integer, exactly: "10" yes, "1e1" and "1.5" no.
  [[nodiscard]] std::optional<std::int64_t> as_integer() const;

  [[nodiscard]] const std::vector<Value>& items() const { return items_; }  // empty unless an array
  [[nodiscard]] std::vector<Value>& items() { return items_; }
  [[nodiscard]] const std::vector<Member>& members() const { return members_; }  // in the text's order
  [[nodiscard]] std::vector<Member>& members() { return members_; }

  [[nodiscard]] const Value* find(std::string_view name) const;  // nullptr unless an object with it
  [[nodiscard]] Value* find(std::string_view name);
  [[nodiscard]] const Value* find(const char* name) const;
  [[nodiscard]] const Value* find(const std::string& name) const;
  [[nodiscard]] Value* find(const char* name);
  [[nodiscard]] Value* find(const std::string& name);
  Value& set(std::string_view name, Value value);  // replaces or appends; turns a non-object into one
  Value& set(const char* name, Value value);
  bool remove(std::string_view name);
  void push_back(Value value);

  // Byte offset in the parsed text where the value (for members: its name) starts; for config errors.
  [[nodiscard]] std::uint32_t offset() const { return offset_; }
  void set_offset(std::uint32_t offset) { offset_ = offset; }

 private:
  friend class Element;
  Kind kind_ = Kind::null;
  bool boolean_ = false;
  std::uint32_t offset_ = 0;
  std::string text_;
  std::vector<Value> items_;
  std::vector<Member> members_;
};

// Deep equality: objects regardless of member order, numbers by value (1 equals 1.0).
[[nodiscard]] bool equal(const Value& a, const Value& b);

// What a text was found to say, flat: each value, then all that are inside it.
struct Reading {
  struct Node {
    Kind kind = Kind::null;
    bool boolean = false;
    bool name_decoded = false;  // its name stands in `decoded`, not in `text`
    bool text_decoded = false;  // and so its string
    std::uint32_t name_at = 0;  // a member's
    std::uint32_t name_bytes = 0;
    std::uint32_t text_at = 0;  // a string without its quotes, or a number's digits
    std::uint32_t text_bytes = 0;
    std::uint32_t end = 0;     // the number of the node behind the last one inside
    std::uint32_t offset = 0;  // Value::offset
  };
  std::string owned;
  std::string_view text;  // of `owned`, or the caller's
  std::vector<Node> nodes;
  std::string decoded;  // names and strings that are written with escapes

  [[nodiscard]] std::string_view name_of(const Node& node) const {
    return (node.name_decoded ? std::string_view(decoded) : text).substr(node.name_at, node.name_bytes);
  }
  [[nodiscard]] std::string_view text_of(const Node& node) const {
    return (node.text_decoded ? std::string_view(decoded) : text).substr(node.text_at, node.text_bytes);
  }
};

// One value of a Document, or none: what `find` gives where there is no such member, of which all there is to ask is no.
// Good while the document or a copy of it lives.
class Element {
 public:
  Element() = default;  // none
  Element(const Reading& reading, std::size_t index) : reading_(&reading), index_(index) {}

  explicit operator bool() const { return reading_ != nullptr; }
  [[nodiscard]] bool is_null() const { return is(Kind::null); }
  [[nodiscard]] bool is_boolean() const { return is(Kind::boolean); }
  [[nodiscard]] bool is_number() const { return is(Kind::number); }
  [[nodiscard]] bool is_string() const { return is(Kind::string); }
  [[nodiscard]] bool is_array() const { return is(Kind::array); }
  [[nodiscard]] bool is_object() const { return is(Kind::object); }

  [[nodiscard]] bool as_boolean() const { return is_boolean() && node().boolean; }
  [[nodiscard]] std::string_view as_string() const;              // "" unless a string
  [[nodiscard]] std::string_view token() const;                  // "" unless a number
  [[nodiscard]] std::optional<std::int64_t> as_integer() const;  // as Value's
  // The number times a thousand, exactly, then rounded to an integer. Nothing where that is over 64 bits.
  [[nodiscard]] std::optional<std::int64_t> thousandths(Rounding rounding) const;

  [[nodiscard]] Element find(std::string_view name) const;
  // The first item or member, and the one after this; none where there is none.
  [[nodiscard]] Element first() const;
  [[nodiscard]] Element next_of(const Element& parent) const;
  [[nodiscard]] std::string_view name() const;  // a member's

  [[nodiscard]] Value to_value() const;

 private:
  [[nodiscard]] const Reading::Node& node() const { return reading_->nodes[index_]; }
  [[nodiscard]] bool is(Kind kind) const { return reading_ != nullptr && node().kind == kind; }
  const Reading* reading_ = nullptr;
  std::size_t index_ = 0;
};

// A text with its reading. Copies share it.
class Document {
 public:
  Document() = default;  // of nothing
  explicit Document(std::shared_ptr<Reading> reading) : reading_(std::move(reading)) {}
  [[nodiscard]] Element root() const { return reading_ == nullptr ? Element() : Element(*reading_, 0); }
  [[nodiscard]] std::string_view text() const { return reading_ == nullptr ? std::string_view() : reading_->text; }
  // The text alone: without a copy where no other document shares it. Nothing of this one's is good afterwards.
  [[nodiscard]] std::string take_text() &&;

 private:
  std::shared_ptr<Reading> reading_;
};

struct Limits {
  std::size_t depth_max = 64;
  std::size_t values_max = 100'000;  // members and items in all; bounds memory per byte of text
};

struct ParseFault {
  std::size_t offset = 0;
  std::string what;  // one line; names the fault, never a value of the text; may name a duplicate member
};

enum class Comments : std::uint8_t { refuse, skip };

[[nodiscard]] Result<Value, ParseFault> parse(std::string_view text, const Limits& limits = {},
                                              Comments comments = Comments::refuse);

// The same without a tree. Keeps the text.
[[nodiscard]] Result<Document, ParseFault> parse_document(std::string text, const Limits& limits = {});

// `text` with U+FFFD for every escaped surrogate that has no partner. JavaScript's JSON.stringify writes those for a string
// that was cut inside a character, so an upstream's reply may hold them; a request may not.
[[nodiscard]] std::string replace_lone_surrogates(std::string_view text);

// Compact JSON. Non-ASCII text stays UTF-8; control characters are escaped.
[[nodiscard]] std::string write(const Value& value);
void write(std::string& out, const Value& value);            // appends
void write_string(std::string& out, std::string_view text);  // quoted and escaped

// The first character from `at` on that a string may not hold as it is (RFC 8259 section 7) or that is not ASCII; `end`: none.
[[nodiscard]] const char* plain_end(const char* at, const char* end);

// 1-based line and column of an offset.
struct Place {
  unsigned line = 1;
  unsigned column = 1;
};
[[nodiscard]] Place place_of(std::string_view text, std::size_t offset);

}  // namespace postern::json
