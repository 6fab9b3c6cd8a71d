#include "fuzz/tokens.h"

#include <fstream>
#include <sstream>

#include "fuzz/must.h"

namespace postern::fuzz {
namespace {

constexpr std::string_view alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

TokenFile read_file() {
  std::ifstream in(POSTERN_FUZZ_DIR "/tokens.json");
  std::stringstream text;
  text << in.rdbuf();
  const Dom dom = Dom::parse(text.str(), nullptr, false);
  must(dom.is_object(), "tests/fuzz/tokens.json can be read");
  TokenFile file;
  file.now_ms = dom["now"].get<std::int64_t>() * 1000;
  file.issuer = dom["issuer"].get<std::string>();
  file.jwks = dom["jwks"].dump();
  file.secrets = dom["secrets"].get<std::map<std::string, std::string>>();
  for (const Dom& token : dom["tokens"]) {
    Token read{string_member(token, "name"),
               string_member(token, "text"),
               string_member(token, "alg"),
               string_member(token, "kid"),
               token["genuine"].get<bool>(),
               {},
               {}};
    if (read.genuine) {
      const std::size_t dot = read.text.find('.');
      read.header = Dom::parse(decode_base64url(std::string_view(read.text).substr(0, dot)).value());
      read.payload = decode_base64url(read.text.substr(dot + 1, read.text.rfind('.') - dot - 1)).value();
    }
    file.tokens.push_back(std::move(read));
  }
  return file;
}

}  // namespace

const Token* TokenFile::find(std::string_view name) const {
  for (const Token& token : tokens) {
    if (token.name == name) return &token;
  }
  return nullptr;
}

const TokenFile& token_file() {
  static const TokenFile file = read_file();
  return file;
}

std::string encode_base64url(std::string_view bytes) {
  std::string bits;
  for (const char c : bytes) {
    for (int i = 7; i >= 0; --i) bits += (static_cast<unsigned char>(c) >> i & 1) != 0 ? '1' : '0';
  }
  while (bits.size() % 6 != 0) bits += '0';
  std::string out;
  for (std::size_t i = 0; i < bits.size(); i += 6) out += alphabet[std::stoul(bits.substr(i, 6), nullptr, 2)];
  return out;
}

std::optional<std::string> decode_base64url(std::string_view text) {
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (const char c : text) {
    const std::size_t value = alphabet.find(c);
    if (value == std::string_view::npos) return std::nullopt;
    bits = (bits << 6 | static_cast<unsigned>(value)) & 0xFFFF;
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xFF);
    }
  }
  if (encode_base64url(out) != text) return std::nullopt;
  return out;
}

}  // namespace postern::fuzz
