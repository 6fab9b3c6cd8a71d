#include "fuzz/mutate_json.h"

#include <algorithm>
#include <cstring>
#include <iterator>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* bytes, std::size_t size, std::size_t size_max);

namespace postern::fuzz {
namespace {

void collect(Dom& value, std::vector<Dom*>& out) {
  out.push_back(&value);
  if (out.size() > 4096 || !value.is_structured()) return;
  for (Dom& item : value) collect(item, out);
}

Dom word_value(Words words, Random& random) {
  if (random() % 4 == 0) {
    constexpr std::string_view plain[] = {"null", "true", "false", "0", "-1", "1", "1.5", "\"\"", "[]", "{}", "9007199254740993"};
    return Dom::parse(plain[random() % std::size(plain)]);
  }
  const std::string_view word = words[random() % words.size()];
  Dom value = Dom::parse(word.begin(), word.end(), nullptr, /*allow_exceptions=*/false);
  return value.is_discarded() ? Dom(std::string(word)) : value;
}

void mutate(Dom& root, Words words, Random& random) {
  std::vector<Dom*> places;
  collect(root, places);
  Dom& place = *places[random() % places.size()];
  const std::string name(words[random() % words.size()]);
  switch (random() % 8) {
    case 0:
      place = word_value(words, random);
      return;
    case 1:
      place = Dom(*places[random() % places.size()]);
      return;
    case 2:  // a new member or item
    case 3:
      if (place.is_object()) place[name] = word_value(words, random);
      if (place.is_array()) place.push_back(word_value(words, random));
      return;
    case 4:  // one less
      if (!place.is_structured() || place.empty()) return;
      place.erase(std::next(place.begin(), static_cast<std::ptrdiff_t>(random() % place.size())));
      return;
    case 5:  // an item twice, a member under another name
      if (!place.is_structured() || place.empty()) return;
      {
        const auto one = std::next(place.begin(), static_cast<std::ptrdiff_t>(random() % place.size()));
        Dom copy = *one;
        if (place.is_array()) {
          place.push_back(std::move(copy));
        } else {
          if (random() % 2 == 0) place.erase(one);
          place[name] = std::move(copy);
        }
      }
      return;
    case 6:  // wrapped
      place = random() % 2 == 0 ? Dom::array({place}) : Dom{{name, place}};
      return;
    default:
      if (place.is_string()) {
        // Kept valid UTF-8 by cutting back to ASCII: what is not valid is the byte mutation's part.
        std::string text = mutate_bytes(place.get<std::string>(), place.get<std::string>().size() + 8);
        for (char& c : text) c = static_cast<char>(c & 0x7F);
        place = text;
      } else {
        place = word_value(words, random);
      }
  }
}

}  // namespace

std::string mutate_bytes(std::string bytes, std::size_t size_max) {
  const std::size_t size = bytes.size();
  bytes.resize(std::max(size_max, size));
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(bytes.data()), size, bytes.size()));
  return bytes;
}

std::string mutate_json(std::string_view text, Words words, std::size_t size_max, Random& random) {
  const ReferenceText read = read_reference(text, ReferenceComments::skip);
  if (!read.accepted || read.depth > 64 || random() % 8 == 0) return mutate_bytes(std::string(text), size_max);
  Dom dom = read.dom;
  for (unsigned i = 0, count = 1 + static_cast<unsigned>(random() % 4); i < count; ++i) mutate(dom, words, random);
  return dom.dump(-1, ' ', false, Dom::error_handler_t::replace);
}

std::size_t store(std::string_view text, std::uint8_t* bytes, std::size_t size_max) {
  if (text.size() > size_max) return 0;
  std::memcpy(bytes, text.data(), text.size());
  return text.size();
}

}  // namespace postern::fuzz
