// base64url without padding, RFC 4648 section 5 as RFC 7515 section 2 uses it, and only its canonical form.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::base64url {

// Refuses padding, whitespace, '+', '/', a length of 1 mod 4 and non-zero unused bits: two different
// strings never decode to the same bytes (lax decoders let a token be altered without its signature).
[[nodiscard]] std::optional<std::string> decode(std::string_view text);

// Appends nothing on failure; returns false. `out` is overwritten. For hot paths with a kept buffer.
[[nodiscard]] bool decode_into(std::string_view text, std::string& out);

[[nodiscard]] std::string encode(std::string_view bytes);

}  // namespace postern::base64url
