// The second opinion about JSON: nlohmann's DOM, with what the DOM itself does not tell counted beside it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

namespace postern::fuzz {

using Dom = nlohmann::json;

struct ReferenceText {
  bool accepted = false;    // by nlohmann, which takes a byte order mark, and a NUL for the end
  bool duplicates = false;  // some object has two members of one name
  std::size_t depth = 0;    // of nested containers
  std::size_t values = 0;   // the root, and every member and item
  std::size_t numbers = 0;
  Dom dom;  // null unless accepted

  // Accepted, and with neither of the two liberties, nor a duplicate.
  bool strict = false;
};

enum class ReferenceComments : bool { refuse, skip };

[[nodiscard]] ReferenceText read_reference(std::string_view text, ReferenceComments comments = ReferenceComments::refuse);

// The number tokens of an accepted text, in order, as they are written.
[[nodiscard]] std::vector<std::string> number_tokens(std::string_view text);

// RFC 8259 section 6, by hand.
[[nodiscard]] bool is_number_token(std::string_view text);

// A string member's value, or "".
[[nodiscard]] std::string string_member(const Dom& object, const char* name);

}  // namespace postern::fuzz
