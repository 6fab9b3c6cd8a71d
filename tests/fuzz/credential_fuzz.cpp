// Authorization headers against the grammar of RFC 6750 section 2.1, read a second time by hand. Each line of the input is
// one header, "name:value"; a line without a colon is an Authorization value.
#include "credential.h"

#include <vector>

#include "fuzz/must.h"

namespace postern::fuzz {
namespace {

std::string lower_case(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

// credentials = "Bearer" 1*SP b64token; b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
bool is_b64token(std::string_view text) {
  std::size_t at = 0;
  constexpr std::string_view characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/";
  while (at < text.size() && characters.find(text[at]) != std::string_view::npos) ++at;
  if (at == 0) return false;
  while (at < text.size() && text[at] == '=') ++at;
  return at == text.size();
}

void check(const std::vector<HeaderView>& headers) {
  const RequestHead head{"GET", "/", headers.data(), headers.size()};
  const auto text = bearer_text(head);
  const auto token = text ? bearer_token(text.value()) : text;

  std::vector<std::string_view> values;
  for (const HeaderView& header : headers) {
    if (lower_case(header.name) == "authorization") values.push_back(header.value);
  }
  if (values.empty()) return must(!token && token.error() == Error::credential_missing, "no header, no credential");
  if (values.size() > 1) return must(!token && token.error() == Error::credential_duplicated, "two headers are refused");

  const std::string_view value = values.front();
  const std::string scheme = lower_case(value.substr(0, value.find(' ')));
  if (scheme != "bearer") return must(!token && token.error() == Error::credential_missing, "another scheme is no bearer token");
  const std::size_t begin = value.find_first_not_of(' ', 6);
  const std::string_view wanted = begin == std::string_view::npos || begin == 6 ? std::string_view() : value.substr(begin);
  must(token.ok() == is_b64token(wanted), "accepted if and only if it is one b64token", value);
  if (!token) return must(token.error() == Error::credential_malformed, "anything else after the scheme is malformed");
  must(*token == wanted, "the token is what stands after the scheme");
  must(token->data() == wanted.data(), "the token is a part of the header, not a copy");
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace postern;
  std::vector<HeaderView> headers;
  std::string_view rest = fuzz::text_of(bytes, size);
  while (!rest.empty() && headers.size() < 8) {
    const std::size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    const std::size_t colon = line.find(':');
    headers.push_back(colon == std::string_view::npos ? HeaderView{"authorization", line}
                                                      : HeaderView{line.substr(0, colon), line.substr(colon + 1)});
  }
  fuzz::check(headers);
  return 0;
}
