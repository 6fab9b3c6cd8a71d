// The byte layout between the wasm instance and its JavaScript host (js/src/abi.ts is the other side).
//
// A message is a list of 32-bit little-endian words, then the text and the bodies they measure:
//
//   words   numbers; a string is one word, its length in UTF-8 bytes; a list is a count, then its items
//   text    the bytes of every string, in the order the words name them, with nothing between them
//   body    raw bytes, never looked at as text; in the order of their lengths
//
// One buffer of text lets the host decode (or encode) every string of a message in a single call,
// which is where the time of a naive layout goes. A 64-bit number or a double is two words, low first.
//
// In:   the host asks for room with postern_input(bytes), writes words, text and body one after the
//       other and names the three sizes in the call. The room is good for that one call.
// Out:  postern_ledger() is the address, always the same, of seven words: address and count of the words,
//       address and bytes of the text, address and bytes of the body, and what postern_recall says. They hold until the next
//       call of any export.
//
// Memory may grow in any call, so the host keeps no view across calls (invariant handles).
//
//   RequestHead        method:text target:text headers
//   IncomingResponse   status flags headers            + body (the call says how long)
//   headers            count, then name:text value:text each
//   OutgoingRequest    method:text url:text headers
//
//   Step               kind step_id:u64, then by kind; or not_opened error, from postern_open alone
//     read_body        bytes_max
//     fetch            fetch_id:u64 purpose bytes_max time_limit_ms:f64 OutgoingRequest body:text
//     wait             fetch_id:u64 until_unix_ms:f64
//     forward          reply_mode bytes_max time_limit_ms:f64 OutgoingRequest body_bytes drop_reply_headers:count,text...
//                      add_reply_headers:headers credential:text    + body
//     respond          status error (error_none: there is none) headers body_bytes    + body
//     verify_signature key_handle:u64 alg:text input_bytes signature_bytes    + body, body
//     authenticated    cache_slot cache_serial (0: not kept) identity:text display_name:text permissions:count,text...
//                      claims_json:text fields_json:text
//     call_handler     handler (0: authenticate, 1: on) resource:text action:text user:text value:text
//
//   HandlerResult      state status answer:text changes:text message:text headers
//
//   Due                next_at_unix_ms:f64, count, then each fetch as in a Step, from its fetch_id on
//   Refusal            error
//
//   Texts              count, then each text
//   Fault              line column path:text message:text
//
// The calls of setup.cpp and verify.cpp take Texts and return an Answer. After `given` the output is what stands at the call,
// after `fault` a Fault (a Refusal in verify.cpp); after `unknown` there is none.
#pragma once

#include <cstdint>

namespace postern::abi {

// Raised whenever a word above moves; the host refuses another number than its own.
inline constexpr std::uint32_t version = 9;

// Open exchanges of one instance. Each holds a request head, and a body while it is judged: at 8 KiB
// of head this is 32 MiB, a quarter of the smallest host (a 128 MB isolate).
inline constexpr std::uint32_t exchanges_max = 4096;
// Gates of one instance: one is the rule, a page that compares policies makes a few.
inline constexpr std::uint32_t gates_max = 64;
// Room a message may ask for: a reply that is inspected (16 MiB) and its headers.
inline constexpr std::uint32_t input_bytes_max = 24 * 1024 * 1024;
// A larger buffer than this is given back after the call: one large body must not stay for good.
inline constexpr std::uint32_t input_bytes_kept = 64 * 1024;

enum class StepKind : std::uint32_t {
  not_opened = 0,
  read_body,
  fetch,
  wait,
  forward,
  respond,
  authenticated,
  verify_signature,
  call_handler
};
enum class FetchPurpose : std::uint32_t { keys = 0, discovery, upstream_object, introspection };
enum class ReplyMode : std::uint32_t { pass = 0, inspect };
enum class BodyState : std::uint32_t { whole = 0, over_limit, failed };
enum class SignatureVerdict : std::uint32_t { valid = 1, invalid, unable };
enum class HandlerState : std::uint32_t { answered = 1, refused, failed, timed_out };
enum class Purpose : std::uint32_t { handle = 0, authenticate };
enum ReplyFlags : std::uint32_t { reply_timed_out = 1, reply_body_over_limit = 2 };

inline constexpr std::uint32_t error_none = 0xffff'ffff;

// What a call of setup.cpp or verify.cpp returns. `unknown`: the handle is that of no gate, or the message does not fit.
enum class Answer : std::uint32_t { unknown = 0, given = 1, fault = 2 };

// What a call returns where it returns no handle.
enum class Outcome : std::uint32_t { done = 0, handle_unknown = 1, input_malformed = 2 };

}  // namespace postern::abi
