// Every way a request can be refused, one list for C++, JavaScript, logs and docs.
//
// An Error is an enumerator: no text of the request, no credential and no claim value can travel in
// it. What a person reads is the fixed sentence in the table; what a client sees is the status.
#pragma once

#include <cstdint>
#include <string_view>

namespace postern {

// X(code, HTTP status, sentence for people). Names are noun_state. Append where it belongs by kind;
// the wasm bindings and docs are generated from this list, so the numbers carry no meaning.
#define POSTERN_ERRORS(X)                                                                       \
  /* credential: what the request carries (RFC 6750) */                                         \
  X(credential_missing, 401, "no bearer token was sent")                                        \
  X(credential_malformed, 400, "the Authorization header is not one bearer token")              \
  X(credential_duplicated, 400, "more than one Authorization header was sent")                  \
  X(credential_unknown, 401, "the token or key is not known here")                              \
  X(credential_refused, 401, "the authority does not accept the token")                         \
  X(credential_revoked, 401, "the token or key has been revoked")                               \
  X(origin_not_allowed, 403, "the cookie does not count for pages of this origin")              \
  X(authority_unavailable, 503, "the authority that knows the token cannot be asked")           \
  /* jws: shape (RFC 7515) */                                                                   \
  X(token_too_large, 401, "the token is larger than the limit")                                 \
  X(jws_malformed, 401, "the token is not three base64url parts")                               \
  X(header_malformed, 401, "the token's header is not a strict JSON object")                    \
  X(header_unsupported, 401, "the token's header asks for an extension that is not supported")  \
  X(type_not_allowed, 401, "the token's typ is not accepted for this issuer")                   \
  X(algorithm_not_allowed, 401, "the token's alg is not accepted for this key or issuer")       \
  X(payload_malformed, 401, "the token's payload is not a strict JSON object")                  \
  X(issuer_unknown, 401, "the token's issuer is not configured")                                \
  /* key and signature */                                                                       \
  X(key_unknown, 401, "no key of the issuer matches the token")                                 \
  X(key_ambiguous, 401, "more than one key of the issuer matches the token")                    \
  X(keys_unavailable, 503, "the issuer's keys cannot be had at the moment")                     \
  X(signature_malformed, 401, "the signature has the wrong length for its algorithm")           \
  X(signature_invalid, 401, "the signature does not verify")                                    \
  /* claims (RFC 7519, RFC 9068) */                                                             \
  X(claim_malformed, 401, "a claim has the wrong type or range")                                \
  X(claim_missing, 401, "a required claim is missing")                                          \
  X(issuer_mismatch, 401, "the token is from another issuer")                                   \
  X(audience_mismatch, 401, "the token is for another audience")                                \
  X(token_expired, 401, "the token has expired")                                                \
  X(token_not_yet_valid, 401, "the token is not valid yet")                                     \
  X(token_issued_in_future, 401, "the token was issued in the future")                          \
  X(token_kind_not_allowed, 401, "this kind of token is not accepted as an access token")       \
  X(claim_mismatch, 401, "a required claim has another value")                                  \
  X(identity_malformed, 401, "the identity claim is not a non-empty string within the limit")   \
  /* request: what is asked for */                                                              \
  X(method_not_allowed, 405, "the method is not accepted here")                                 \
  X(target_malformed, 400, "the request target is not a plain path and query")                  \
  X(route_unknown, 404, "no such route")                                                        \
  X(route_denied, 403, "this route is not open through the gate")                               \
  X(policy_denied, 403, "the policy does not allow this")                                       \
  X(handler_denied, 403, "a handler of the gate's program does not allow this")                 \
  X(scope_insufficient, 403, "the token's scopes do not suffice for this")                      \
  X(query_not_accepted, 400, "a query parameter is not accepted on this route")                 \
  X(body_malformed, 400, "the body is not strict JSON of the expected shape")                   \
  X(body_too_large, 413, "the body is larger than the limit")                                   \
  X(body_encoding_unsupported, 415, "the body must be sent without content-encoding")           \
  X(field_not_accepted, 400, "a field of the body is not accepted on this route")               \
  X(field_malformed, 400, "a field of the body has the wrong type")                             \
  X(assistant_not_allowed, 404, "no such assistant")                                            \
  X(filter_not_enforceable, 403, "the policy's filter cannot be enforced on this route")        \
  X(search_not_enforceable, 422, "the policy's filter cannot be enforced so far into a search") \
  X(namespace_denied, 403, "the namespace is not one that the policy allows")                   \
  /* object: existence is not told to strangers, so missing and foreign are one code */         \
  X(object_unknown, 404, "no such object")                                                      \
  X(object_exists, 409, "an object with this id already exists")                                \
  X(copy_source_unknown, 409, "no such object to copy")                                         \
  /* upstream and host */                                                                       \
  X(upstream_failed, 502, "the upstream did not give a usable answer")                          \
  X(upstream_timeout, 504, "the upstream did not answer in time")                               \
  X(reply_too_large, 502, "the upstream's reply is larger than can be inspected")               \
  X(gate_overloaded, 503, "too many requests are open")                                         \
  X(handler_failed, 500, "a handler of the gate's program did not give a usable answer")        \
  X(handler_timeout, 503, "a handler of the gate's program did not answer in time")             \
  X(step_mismatch, 500, "the host answered another step than it was given")                     \
  X(host_failed, 500, "the host could not carry out a step")

enum class Error : std::uint8_t {
#define X(code, status, sentence) code,
  POSTERN_ERRORS(X)
#undef X
};

// The code's spelling, as in logs and in the `code` member of an error body.
[[nodiscard]] constexpr std::string_view name(Error error) {
  switch (error) {
#define X(code, status, sentence) \
  case Error::code:               \
    return #code;
    POSTERN_ERRORS(X)
#undef X
  }
  return "unknown";
}

[[nodiscard]] constexpr int http_status(Error error) {
  switch (error) {
#define X(code, status, sentence) \
  case Error::code:               \
    return status;
    POSTERN_ERRORS(X)
#undef X
  }
  return 500;
}

[[nodiscard]] constexpr std::string_view sentence(Error error) {
  switch (error) {
#define X(code, status, sentence) \
  case Error::code:               \
    return sentence;
    POSTERN_ERRORS(X)
#undef X
  }
  return "unknown";
}

}  // namespace postern
