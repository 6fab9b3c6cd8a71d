// Events and requests as JSON lines on stderr.
//
// What a line may hold is decided here by type: numbers, fixed words and the path without its query.
// No header value, credential, query or claim has a way in.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "io.h"

namespace postern::native {

enum class LogLevel : std::uint8_t { off, access, debug };

struct AccessLine {
  std::string method;
  std::string path;  // no query
  int status = 0;    // 499: the client left before an answer
  std::string_view error;
  std::int64_t duration_ms = 0;
  std::int64_t upstream_ms = -1;  // to the head of the reply; -1: the upstream was not asked
  std::uint64_t bytes = 0;        // of the body, sent to the client
};

class Log {
 public:
  using Fields = std::initializer_list<std::pair<std::string_view, std::string_view>>;

  Log(asio::io_context& io, LogLevel level) : io_(io), level_(level) {}
  ~Log() { flush(); }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void request(const AccessLine& line);
  void event(std::string_view name, Fields fields);
  void debug(std::string_view name, Fields fields) {
    if (level_ == LogLevel::debug) event(name, fields);
  }
  void flush();

 private:
  void begin(std::string_view level);
  void end();

  asio::io_context& io_;
  LogLevel level_;
  std::string pending_;  // lines of one turn of the loop go out in one write
  bool flush_posted_ = false;
};

// `text` as the inside of a JSON string.
void append_json(std::string& out, std::string_view text);

}  // namespace postern::native
