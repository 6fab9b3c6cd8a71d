// tests/fuzz/tokens.json: the fixed keys and what they signed, and an encoder and decoder of their parts that share no code
// with the core's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/reference_json.h"

namespace postern::fuzz {

struct Token {
  std::string name;
  std::string text;
  std::string alg;       // genuine tokens only
  std::string kid;       // the key that signed it; its header may say another, or none
  bool genuine = false;  // a key of the set signed exactly these bytes
  // Of genuine tokens, decoded:
  Dom header;
  std::string payload;
};

struct TokenFile {
  std::int64_t now_ms = 0;
  std::string issuer;
  std::string jwks;  // the asymmetric keys as a JWK Set
  std::map<std::string, std::string> secrets;
  std::vector<Token> tokens;

  [[nodiscard]] const Token* find(std::string_view name) const;
};

[[nodiscard]] const TokenFile& token_file();

[[nodiscard]] std::string encode_base64url(std::string_view bytes);
// Nothing unless encoding the result gives `text` again.
[[nodiscard]] std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace postern::fuzz
