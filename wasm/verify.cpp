// postern/verify.h for JavaScript: signatures apart from tokens. Exports as in setup.cpp.
#include "postern/verify.h"

#include <emscripten/emscripten.h>

#include <cstdint>
#include <string_view>
#include <utility>

#include "abi.h"
#include "instance.h"
#include "message.h"

namespace postern {
namespace {

using abi::Answer;

std::uint32_t refused(Error error) {
  writer().word(error);
  return answer(Answer::fault);
}

}  // namespace

extern "C" {

// verify_jws. Takes jws:text jwk_set:text, gives a body, the payload.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_verify_jws(std::uint32_t words, std::uint32_t text_bytes, std::uint32_t symmetric) {
  writer().begin();
  Reader reader(instance().input, words, text_bytes, 0);
  const std::string_view jws = reader.text();
  const std::string_view jwk_set = reader.text();
  if (!reader.whole()) return answer(Answer::unknown);
  auto payload = verify_jws(jws, jwk_set, symmetric == 1 ? SymmetricKeys::accept : SymmetricKeys::refuse);
  if (!payload) return refused(payload.error());
  writer().body(std::move(payload).value());
  return answer(Answer::given);
}

// verify_signature. Takes jwk:text alg:text, and as the body what was signed (so many bytes) and then the signature.
EMSCRIPTEN_KEEPALIVE std::uint32_t postern_verify_signature(std::uint32_t words, std::uint32_t text_bytes,
                                                            std::uint32_t body_bytes, std::uint32_t signed_bytes) {
  writer().begin();
  Reader reader(instance().input, words, text_bytes, body_bytes);
  const std::string_view jwk = reader.text();
  const std::string_view alg = reader.text();
  if (!reader.whole() || signed_bytes > reader.body().size()) return answer(Answer::unknown);
  const auto verified = verify_signature(jwk, alg, reader.body().substr(0, signed_bytes), reader.body().substr(signed_bytes));
  return verified ? answer(Answer::given) : refused(verified.error());
}

}  // extern "C"
}  // namespace postern
