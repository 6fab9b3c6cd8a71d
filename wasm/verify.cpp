// postern/verify.h for JavaScript, by Embind: signatures apart from tokens.
#include "postern/verify.h"

#include <emscripten/bind.h>
#include <emscripten/val.h>

#include <string>

namespace postern {
namespace {

using emscripten::val;

val refusal(Error error) {
  val out = val::object();
  out.set("code", std::string(name(error)));
  return out;
}

// {payload: Uint8Array} or {code}.
val verify_jws_by_value(const std::string& jws, const std::string& jwk_set, bool symmetric) {
  auto payload = verify_jws(jws, jwk_set, symmetric ? SymmetricKeys::accept : SymmetricKeys::refuse);
  if (!payload) return refusal(payload.error());
  // Copied at once: a view into the memory dies with its next growth.
  val bytes = val::global("Uint8Array")
                  .new_(emscripten::typed_memory_view(payload->size(), reinterpret_cast<const unsigned char*>(payload->data())));
  val out = val::object();
  out.set("payload", bytes);
  return out;
}

// {} or {code}. Bytes come as Uint8Array.
val verify_signature_by_value(const std::string& jwk, const std::string& alg, const std::string& input,
                              const std::string& signature) {
  auto verified = verify_signature(jwk, alg, input, signature);
  return verified ? val::object() : refusal(verified.error());
}

}  // namespace
}  // namespace postern

EMSCRIPTEN_BINDINGS(postern_verify) {
  emscripten::function("verifyJws", &postern::verify_jws_by_value);
  emscripten::function("verifySignature", &postern::verify_signature_by_value);
}
