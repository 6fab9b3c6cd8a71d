// Text written where not every byte may stand: each other byte as a mark and two hexadecimal digits.
#pragma once

#include <string>
#include <string_view>

namespace postern {

// `plain` bytes stand for themselves; it must not hold for `mark`, or two texts could be written alike.
[[nodiscard]] std::string escaped(std::string_view text, char mark, bool (*plain)(char));

// RFC 3986 section 2.1: everything but its unreserved characters. Also right in application/x-www-form-urlencoded (RFC 6749
// appendix B), whose readers take %XX for any byte.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace postern
