#include "log.h"

#include <unistd.h>

#include <boost/asio/post.hpp>
#include <cerrno>
#include <cstdio>
#include <ctime>

namespace postern::native {

void append_json(std::string& out, std::string_view text) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      // Also bytes of UTF-8: a log line stays ASCII whatever came in.
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(byte));
      out += escaped;
    }
  }
}

namespace {

void append_member(std::string& out, std::string_view name, std::string_view value) {
  out += ",\"";
  out += name;
  out += "\":\"";
  append_json(out, value);
  out += '"';
}

void append_member(std::string& out, std::string_view name, std::int64_t value) {
  out += ",\"";
  out += name;
  out += "\":";
  out += std::to_string(value);
}

}  // namespace

void Log::begin(std::string_view kind) {
  const Time time = now();
  const std::time_t seconds = static_cast<std::time_t>(time.unix_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char stamp[40];
  const std::size_t size = std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
  char fraction[8];
  std::snprintf(fraction, sizeof fraction, ".%03dZ", static_cast<int>(time.unix_ms % 1000));
  pending_ += "{\"time\":\"";
  pending_.append(stamp, size);
  pending_ += fraction;
  pending_ += "\",\"event\":\"";
  pending_ += kind;
  pending_ += '"';
}

void Log::end() {
  pending_ += "}\n";
  if (pending_.size() > 16 * 1024) {
    flush();
  } else if (!flush_posted_) {
    flush_posted_ = true;
    asio::post(io_, [this] {
      flush_posted_ = false;
      flush();
    });
  }
}

void Log::flush() {
  std::string_view rest = pending_;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) break;  // a log that cannot be written does not stop the gate
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  pending_.clear();
}

void Log::request(const AccessLine& line) {
  if (level_ == LogLevel::off) return;
  begin("request");
  append_member(pending_, "method", line.method);
  append_member(pending_, "path", line.path);
  append_member(pending_, "status", line.status);
  if (!line.error.empty()) append_member(pending_, "error", line.error);
  append_member(pending_, "duration_ms", line.duration_ms);
  if (line.upstream_ms >= 0) append_member(pending_, "upstream_ms", line.upstream_ms);
  append_member(pending_, "bytes", static_cast<std::int64_t>(line.bytes));
  end();
}

void Log::event(std::string_view name, Fields fields) {
  if (level_ == LogLevel::off) return;
  begin(name);
  for (const auto& [key, value] : fields) append_member(pending_, key, value);
  end();
}

}  // namespace postern::native
