// What the host does next. The core does no I/O: missing input is a step, and its result comes back
// through Exchange::give or Gate::give. Every host is the same short loop over these.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "postern/error.h"
#include "postern/request.h"
#include "postern/time.h"
#include "postern/user.h"

namespace postern {

// Read the client's body, whole, and give it: Exchange::give(step_id, BodyResult).
struct ReadBody {
  std::size_t bytes_max = 0;
};

enum class FetchPurpose : std::uint8_t {
  keys,
  discovery,
  upstream_object,
  introspection,  // an authority is asked about a token; like keys it belongs to the gate, and others may wait for it
};

// Send `request` and give the answer to the *gate*: Gate::give(fetch_id, response). Then call next()
// again. Redirects are not followed. A host that cannot gives an IncomingResponse with status 0.
struct Fetch {
  std::uint64_t fetch_id = 0;
  FetchPurpose purpose = FetchPurpose::keys;
  OutgoingRequest request;
  std::size_t bytes_max = 0;
  std::int64_t time_limit_ms = 0;
};

// Another exchange carries this fetch. Call next() when it was given, or at `until`.
struct Wait {
  std::uint64_t fetch_id = 0;
  Time until;
};

// How the upstream's reply to a Forward travels.
enum class ReplyMode : std::uint8_t {
  pass,     // stream it to the client untouched as it arrives; the exchange is over
  inspect,  // read it whole (at most `bytes_max`) and give it: Exchange::give(step_id, response)
};

// Send `request` to the upstream.
struct Forward {
  OutgoingRequest request;
  ReplyMode reply = ReplyMode::pass;
  std::size_t bytes_max = 0;                    // for inspect
  std::int64_t time_limit_ms = 0;               // to the first byte of the reply; 0: no limit (streams, waits)
  std::vector<std::string> drop_reply_headers;  // lower case; the host leaves them out of a passed reply
  std::vector<Header> add_reply_headers;        // the host adds them to a passed reply (CORS)
  // By what a denylist could name the caller's credential, for Gate::is_denied while the reply streams; "" for nobody's,
  // and as long as the host has given no denylist.
  std::string credential;
};

// The final answer to the client.
struct Respond {
  int status = 500;
  std::vector<Header> headers;
  std::string body;
  std::optional<Error> error;  // the reason, for logs and metrics; none when a reply is passed on
};

// Final, for an exchange opened with Purpose::authenticate: the credential is good.
struct Authenticated {
  std::shared_ptr<const User> user;  // never null; others with the same token share it
  // Where Gate::recall will find the user the next time; serial 0: nowhere.
  std::uint32_t cache_slot = 0;
  std::uint32_t cache_serial = 0;
};

// Call a function of the host program (Gate::create's HostHandlers) and give what became of it: Exchange::give(step_id,
// HandlerResult). It may take its time; the host bounds it.
struct CallHandler {
  enum class Kind : std::uint8_t {
    authenticate,  // who sends the request that the exchange was opened with? The members below are empty
    on,            // may this user do that?
  };
  Kind kind = Kind::authenticate;
  std::string resource;  // LangGraph's words: threads, assistants, crons, store; or a configured route's
  std::string action;
  std::string user;   // a JSON object in LangGraph's shape: identity, display_name, is_authenticated, permissions, fields, claims
  std::string value;  // a JSON object in LangGraph's shape for this event; null stands for what the client has not sent
};

// What became of a CallHandler. Anything but `answered`, and any text that is not of the shape asked for, ends the exchange.
struct HandlerResult {
  enum class State : std::uint8_t { answered, refused, failed, timed_out };
  State state = State::failed;
  // answered. authenticate: a JSON object as Gate::filter_for takes it, {identity, display_name?, permissions?, fields?}.
  // on: true, false, or a filter in LangGraph's words, whose operands are literals.
  std::string answer;
  // answered, on: a JSON object of what the function changed in `value`; "" for nothing. `metadata`: its changed members, null
  // for those that were removed. `namespace` (store): the labels. Nothing else may change.
  std::string changes;
  // refused, as by LangGraph's HTTPException. The headers go to the client, except those that frame the answer.
  int status = 0;  // 400 to 599; 0: the usual one
  std::string message;
  std::vector<Header> headers;
};

#ifdef POSTERN_WASM
// Verify a signature: where the host program has named a verifier of its own (Gate::use_host_verifier). The answer goes to
// Exchange::give(step_id, SignatureVerdict). There is no such step natively (invariant no-unverified).
struct VerifySignature {
  std::uint64_t key_handle = 0;  // one RSA key of one set: what the host imported for it holds for good (Gate::key_jwk)
  std::string_view alg;          // a name of RFC 7518
  std::string input;
  std::string signature;  // as long as the key's modulus
};

enum class SignatureVerdict : std::uint8_t {
  valid,
  invalid,
  unable,  // the host does not know: the core verifies by itself
};
#endif

struct Step {
  std::uint64_t step_id = 0;
#ifdef POSTERN_WASM
  std::variant<ReadBody, Fetch, Wait, Forward, Respond, Authenticated, CallHandler, VerifySignature> action;
#else
  std::variant<ReadBody, Fetch, Wait, Forward, Respond, Authenticated, CallHandler> action;
#endif
};

// The client's body, or why there is none.
struct BodyResult {
  enum class State : std::uint8_t { whole, over_limit, failed };
  State state = State::whole;
  std::string bytes;
};

}  // namespace postern
