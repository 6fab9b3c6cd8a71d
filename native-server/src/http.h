// Bytes of a connection -> HTTP/1.1 messages (RFC 9112), strictly; and heads back into bytes.
//
// llhttp tells the parts apart. On top of it stand the rules where servers and proxies are known to
// read one message in two ways: what could be framed differently by the next hop is refused here, and
// nothing that came in is ever written out again byte for byte. This file knows nothing about auth.
#pragma once

#include <llhttp.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "postern/request.h"

namespace postern::native {

// Node and nginx refuse at the same sizes, so nothing that is let in here fails behind us.
inline constexpr std::size_t request_line_bytes_max = 8 * 1024;
inline constexpr std::size_t request_head_bytes_max = 16 * 1024;
inline constexpr std::size_t request_fields_max = 100;
// Replies come from a server that the operator chose; the bounds only keep memory bounded.
inline constexpr std::size_t reply_head_bytes_max = 64 * 1024;
inline constexpr std::size_t reply_fields_max = 256;
// Chunk extensions and trailers mean nothing to anyone here, so they may not become a cost.
inline constexpr std::size_t extension_bytes_max = 4 * 1024;
inline constexpr std::size_t trailer_bytes_max = 8 * 1024;
// What is not body, beyond what the chunks of a body take: leading zeros of a chunk size, for one.
inline constexpr std::size_t framing_bytes_max = 16 * 1024;

// X(code, status, sentence): why a message is refused before the gate sees it.
#define POSTERN_HTTP_FAULTS(X)                                                           \
  X(request_malformed, 400, "the request is not well-formed HTTP/1.1")                   \
  X(request_timeout, 408, "the request did not arrive in time")                          \
  X(request_body_too_large, 413, "the body is larger than can be dropped")               \
  X(target_too_large, 414, "the request line is longer than 8 KiB")                      \
  X(expectation_not_supported, 417, "only the expectation 100-continue is supported")    \
  X(head_too_large, 431, "the request head is over 16 KiB or 100 fields")                \
  X(method_not_supported, 501, "the method is not supported")                            \
  X(coding_not_supported, 501, "the only transfer coding supported is chunked")          \
  X(upgrade_not_supported, 501, "the connection cannot be upgraded to another protocol") \
  X(version_not_supported, 505, "only HTTP/1.1 and HTTP/1.0 are supported")

enum class HttpFault : std::uint8_t {
  none,
#define X(code, status, sentence) code,
  POSTERN_HTTP_FAULTS(X)
#undef X
};

[[nodiscard]] int http_status(HttpFault fault);
[[nodiscard]] std::string_view name(HttpFault fault);
[[nodiscard]] std::string_view sentence(HttpFault fault);

enum class Framing : std::uint8_t { none, length, chunked, until_close };
// A reply to HEAD carries the fields of a body it does not have.
enum class ReplyTo : std::uint8_t { head_method, other_method };

class MessageParser {
 public:
  enum class Kind : std::uint8_t { request, response };
  enum class State : std::uint8_t { head, body, done, failed };

  explicit MessageParser(Kind kind);
  MessageParser(const MessageParser&) = delete;
  MessageParser& operator=(const MessageParser&) = delete;

  // For the next message on the connection.
  void restart(ReplyTo reply_to = ReplyTo::other_method);

  // Takes bytes off the front and says how many; appends those of the body to `body`. Stops at the end
  // of the message, and for a request also after its head: whether its body is read is decided later.
  std::size_t feed(std::string_view bytes, std::string& body);
  // The peer will send nothing more: ends a reply that is framed by that, fails any other.
  void feed_end();

  [[nodiscard]] State state() const { return state_; }
  [[nodiscard]] HttpFault fault() const { return fault_; }  // why a request has failed
  [[nodiscard]] bool started() const { return head_bytes_ > 0; }

  [[nodiscard]] std::string_view method() const { return method_; }
  [[nodiscard]] std::string_view target() const { return std::string_view(text_).substr(0, target_size_); }
  [[nodiscard]] int status() const { return llhttp_.status_code; }
  // Without hop-by-hop fields: those of RFC 9110 section 7.6.1 and what Connection names.
  [[nodiscard]] const std::vector<HeaderView>& headers() const { return headers_; }
  [[nodiscard]] Framing framing() const { return framing_; }
  [[nodiscard]] std::uint64_t length() const { return length_; }  // with Framing::length
  // A reply to HEAD may say how long the body would be.
  [[nodiscard]] bool length_declared() const { return length_declared_; }
  [[nodiscard]] bool keep_alive() const { return keep_alive_; }
  [[nodiscard]] bool is_http_1_0() const { return llhttp_.http_minor == 0; }
  [[nodiscard]] bool expects_continue() const { return expects_continue_; }
  // Frees what only the head needed; target() and headers() are empty from then on.
  void release_head();

 private:
  struct Field {
    std::uint32_t name_at, name_size, value_at, value_size;
  };
  struct Callbacks;

  void fail(HttpFault fault);
  [[nodiscard]] bool take_head_bytes(std::size_t size);
  void finish_head();
  void check_request();
  void check_reply();
  [[nodiscard]] bool read_framing();
  void read_connection();

  llhttp_t llhttp_{};
  const Kind kind_;
  State state_ = State::head;
  HttpFault fault_ = HttpFault::none;
  ReplyTo reply_to_ = ReplyTo::other_method;
  Framing framing_ = Framing::none;
  bool paused_ = false;
  bool keep_alive_ = false;
  bool expects_continue_ = false;
  bool length_declared_ = false;
  std::uint64_t length_ = 0;
  std::size_t head_bytes_ = 0;
  std::size_t extension_bytes_ = 0;
  std::size_t trailer_bytes_ = 0;
  std::size_t framing_bytes_ = 0;
  std::size_t body_bytes_ = 0;
  std::size_t target_size_ = 0;
  std::string method_;
  std::string text_;  // the target, then names and values
  std::vector<Field> fields_;
  std::vector<HeaderView> headers_;
  std::size_t part_end_ = 0;  // of the request line, counted from the message's first byte
  bool version_seen_ = false;

  // During feed.
  [[nodiscard]] std::size_t offset_of(const char* at) const { return head_bytes_ + static_cast<std::size_t>(at - begin_); }
  std::string* body_ = nullptr;
  const char* begin_ = nullptr;
};

// ASCII without regard to case.
[[nodiscard]] bool equal_names(std::string_view left, std::string_view right);
// Fields that speak of the connection or of framing: never passed on, either way.
[[nodiscard]] bool is_hop_by_hop(std::string_view name);

// Name is a token, value has no CTL but HTAB: what may be written into a head.
[[nodiscard]] bool is_writable(const Header& header);

void append_status_line(std::string& out, int status);
void append_header(std::string& out, std::string_view name, std::string_view value);
void append_chunk_size(std::string& out, std::size_t size);

}  // namespace postern::native
