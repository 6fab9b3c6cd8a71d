// The core's JSON against nlohmann's DOM. The first byte chooses limits and comments, the rest is the text.
//
// - Accepted if and only if nlohmann accepts it and it has no duplicate names, byte order mark or NUL and is within the
//   limits.
// - Written again it means the same to both, and every number is written with the very characters that were read.
// - A document's elements are the tree's values.
// - integers, thousandths and `equal` agree with the DOM; offsets and faults point into the text.
#include "json.h"

#include <cmath>

#include "fuzz/must.h"
#include "fuzz/reference_json.h"

namespace postern::fuzz {
namespace {

constexpr json::Limits limits_to_choose[] = {
    {}, {.depth_max = 4, .values_max = 64}, {.depth_max = 16, .values_max = 1024}, {.depth_max = 1, .values_max = 3}};

void collect(const json::Value& value, std::vector<const json::Value*>& out) {
  out.push_back(&value);
  for (const json::Value& item : value.items()) collect(item, out);
  for (const json::Member& member : value.members()) collect(member.second, out);
}

void compare(const json::Value& ours, const Dom& dom) {
  switch (ours.kind()) {
    case json::Kind::null:
      return must(dom.is_null(), "a null is a null");
    case json::Kind::boolean:
      return must(dom.is_boolean() && dom.get<bool>() == ours.as_boolean(), "booleans are read alike");
    case json::Kind::number: {
      must(dom.is_number() && is_number_token(ours.token()), "a number is kept as a JSON number", ours.token());
      const json::Document document = json::parse_document(ours.token()).value();
      const auto down = document.root().thousandths(json::Rounding::down);
      const auto up = document.root().thousandths(json::Rounding::up);
      const long double thousandths = static_cast<long double>(dom.get<double>()) * 1000;
      // A double has 53 bits; ours is exact.
      const long double slack = std::fabs(thousandths) * 0x1p-52L + 1;
      must(down.has_value() == up.has_value() || std::fabs(thousandths) > 9.2e18L, "thousandths are there both ways",
           ours.token());
      if (down && up) {
        must(*up - *down == 0 || *up - *down == 1, "rounding moves by less than one", ours.token());
        must(std::fabs(static_cast<long double>(*down) - thousandths) <= slack, "thousandths are the number", ours.token());
      } else {
        must(std::fabs(thousandths) > 9.2e18L, "only what is over 64 bits has no thousandths", ours.token());
      }
      const bool is_signed = dom.is_number_integer() && !dom.is_number_unsigned();
      const bool fits = is_signed || (dom.is_number_unsigned() && dom.get<std::uint64_t>() <= INT64_MAX);
      must(ours.as_integer().has_value() == fits, "as_integer takes integers of 64 bits only", ours.token());
      if (fits) must(*ours.as_integer() == dom.get<std::int64_t>(), "as_integer is the number", ours.token());
      return;
    }
    case json::Kind::string:
      return must(dom.is_string() && dom.get<std::string>() == ours.as_string(), "strings are read alike");
    case json::Kind::array:
      must(dom.is_array() && dom.size() == ours.items().size(), "lists are read alike");
      for (std::size_t i = 0; i < dom.size(); ++i) compare(ours.items()[i], dom[i]);
      return;
    case json::Kind::object:
      must(dom.is_object() && dom.size() == ours.members().size(), "objects are read alike");
      for (const json::Member& member : ours.members()) {
        must(dom.contains(member.first), "member names are read alike");
        must(ours.find(member.first) == &member.second, "find finds the member");
        compare(member.second, dom[member.first]);
      }
      return;
  }
}

void compare(const json::Element& flat, const json::Value& tree) {
  must(static_cast<bool>(flat) && flat.is_null() == tree.is_null() && flat.is_boolean() == tree.is_boolean() &&
           flat.is_number() == tree.is_number() && flat.is_string() == tree.is_string() && flat.is_array() == tree.is_array() &&
           flat.is_object() == tree.is_object(),
       "an element is of the value's kind");
  must(flat.as_boolean() == tree.as_boolean() && flat.as_string() == tree.as_string() && flat.as_integer() == tree.as_integer() &&
           (!flat.is_number() || flat.token() == tree.token()),
       "an element says what the value does");
  json::Element inside = flat.first();
  for (const json::Value& item : tree.items()) {
    compare(inside, item);
    inside = inside.next_of(flat);
  }
  for (const auto& [name, value] : tree.members()) {
    must(inside && inside.name() == name && flat.find(name).name() == name, "an element has the value's names");
    compare(inside, value);
    inside = inside.next_of(flat);
  }
  must(!inside, "an element has as many inside as the value");
}

void check_equal(const std::vector<const json::Value*>& values) {
  // Neighbours, first and last: enough pairs to meet equal and nearly equal ones.
  for (std::size_t i = 1; i < values.size() && i < 64; ++i) {
    for (const json::Value* other : {values[i - 1], values.front(), values.back()}) {
      const bool equal = json::equal(*values[i], *other);
      must(equal == json::equal(*other, *values[i]), "equal is symmetric");
      const ReferenceText a = read_reference(json::write(*values[i]));
      const ReferenceText b = read_reference(json::write(*other));
      if (equal) must(a.dom == b.dom, "what is equal is equal to the DOM");
      // The DOM compares big integers as doubles; without numbers the two agree.
      if (a.numbers == 0 && b.numbers == 0) must(equal == (a.dom == b.dom), "without numbers, equal is the DOM's");
    }
  }
}

void check(const json::Limits& limits, json::Comments comments, std::string_view text) {
  const bool skip = comments == json::Comments::skip;
  const ReferenceText reference = read_reference(text, skip ? ReferenceComments::skip : ReferenceComments::refuse);
  auto parsed = json::parse(text, limits, comments);
  const bool within = reference.depth <= limits.depth_max && reference.values <= limits.values_max;
  must(parsed.ok() == (reference.strict && within),
       parsed.ok() ? "what is accepted is strict JSON within the limits" : "strict JSON within the limits is accepted");
  if (!parsed) {
    must(parsed.error().offset <= text.size() && !parsed.error().what.empty(), "a fault has a place and a reason");
    const json::Place place = json::place_of(text, parsed.error().offset);
    must(place.line >= 1 && place.column >= 1, "a place counts from 1");
    for (const char c : parsed.error().what) must(c >= ' ' && c < 0x7F, "a fault is one line of plain text", parsed.error().what);
    must(parsed.error().what.find("last read") == std::string::npos, "a fault does not quote the text");
    return;
  }
  const json::Value& value = parsed.value();
  compare(value, reference.dom);
  const auto document = json::parse_document(std::string(text), limits);
  must(document.ok() == json::parse(text, limits).ok(), "a document is read as a tree is");
  if (document) compare(document->root(), value);

  const std::string written = json::write(value);
  const ReferenceText reread = read_reference(written);
  must(reread.strict && reread.dom == reference.dom, "what is written means what was read", written);
  must(number_tokens(written) == number_tokens(text), "numbers are written as they were read", written);
  auto again = json::parse(written, limits);
  must(again.ok() && json::equal(again.value(), value) && json::write(again.value()) == written, "writing is stable", written);

  std::vector<const json::Value*> values;
  collect(value, values);
  must(values.size() == reference.values, "values are counted alike");
  for (const json::Value* one : values) {
    must(one->offset() < text.size(), "an offset is inside the text");
    must(json::equal(*one, *one), "a value equals itself");
  }
  check_equal(values);
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace postern;
  if (size == 0) return 0;
  fuzz::check(fuzz::limits_to_choose[bytes[0] & 3U], (bytes[0] & 4U) != 0 ? json::Comments::skip : json::Comments::refuse,
              fuzz::text_of(bytes + 1, size - 1));
  return 0;
}
