#include "redis.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>
#include <charconv>
#include <initializer_list>
#include <utility>
#include <vector>

#include "tls.h"

namespace postern::native {
namespace {

// "+OK", "$SIZE" or "-CODE sentence": what is longer is no answer to what was asked.
constexpr std::size_t line_bytes_max = 1024;
constexpr std::string_view line_end = "\r\n";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// RFC 3986 section 2.1.
std::optional<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '%') {
      out += text[at];
      continue;
    }
    if (text.size() - at < 3) return std::nullopt;
    const int high = hex_digit(text[at + 1]);
    const int low = hex_digit(text[at + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return out;
}

bool all_digits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// A command is an array of bulk strings; sizes come first, so no word needs escaping.
void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  out += '*' + std::to_string(words.size());
  out += line_end;
  for (const std::string_view word : words) {
    out += '$' + std::to_string(word.size());
    out += line_end;
    out += word;
    out += line_end;
  }
}

// An error's sentence may repeat what was sent, a password too; only its code is told.
std::string refusal(std::string_view command, std::string_view line) {
  const std::string_view word = line.substr(1, line.find(' ') - 1);
  const bool code =
      !word.empty() && word.size() <= 16 && std::all_of(word.begin(), word.end(), [](char c) { return c >= 'A' && c <= 'Z'; });
  std::string text = "Redis refuses " + std::string(command) + " (" + (code ? std::string(word) : "without a code") + ")";
  if (word == "NOAUTH") return text + ": set POSTERN_REDIS_PASSWORD, or POSTERN_REDIS_PASSWORD_FILE to a file that can be read";
  if (command == "AUTH") return text + ": look at POSTERN_REDIS_USER and POSTERN_REDIS_PASSWORD";
  if (command == "SELECT") return text + ": look at the database in the URL, and at what the user may do";
  if (word == "NOPERM") return text + ": the user needs `+get` and the key (ACL SETUSER)";
  if (word == "WRONGTYPE") return text + ": the key must hold a string, as SET writes it";
  return text;
}

std::string broken(error_code error) {
  if (error == asio::error::not_found) return "what answers there is no Redis server";
  if (error == asio::error::eof) return "Redis closed the connection before its answer was whole";
  return "the connection to Redis broke: " + error.message();
}

template <typename Stream>
Task<RedisValue> ask(Stream& stream, const RedisKey& place, const RedisLogin& login) {
  std::string out;
  std::vector<std::string_view> commands;
  if (!login.password.empty()) {
    if (login.user.empty()) {
      append_command(out, {"AUTH", login.password});
    } else {
      append_command(out, {"AUTH", login.user, login.password});
    }
    commands.emplace_back("AUTH");
  }
  if (place.database != "0") {
    append_command(out, {"SELECT", place.database});
    commands.emplace_back("SELECT");
  }
  append_command(out, {"GET", place.key});
  commands.emplace_back("GET");

  RedisValue value;
  error_code error;
  co_await asio::async_write(stream, asio::buffer(out), into(error));
  // Answers come in the order of the commands; the first that is refused ends it.
  std::string in;
  for (const std::string_view command : commands) {
    std::size_t size = 0;
    if (!error) size = co_await asio::async_read_until(stream, asio::dynamic_buffer(in, line_bytes_max), line_end, into(error));
    if (error) {
      value.fault = broken(error);
      co_return value;
    }
    const std::string line = in.substr(0, size - line_end.size());
    in.erase(0, size);
    if (line.starts_with('-')) {
      value.fault = refusal(command, line);
      co_return value;
    }
    if (command != "GET") {
      if (line == "+OK") continue;
      value.fault = broken(asio::error::not_found);
      co_return value;
    }
    if (line == "$-1") co_return value;
    std::size_t value_bytes = 0;
    const auto [end, failure] =
        std::from_chars(line.data() + std::min<std::size_t>(1, line.size()), line.data() + line.size(), value_bytes);
    if (!line.starts_with('$') || failure == std::errc::invalid_argument || end != line.data() + line.size()) {
      value.fault = broken(asio::error::not_found);
      co_return value;
    }
    if (failure != std::errc() || value_bytes > redis_value_bytes_max) {
      value.fault = "the value is larger than 16 MiB";
      co_return value;
    }
    const std::size_t whole = value_bytes + line_end.size();
    if (in.size() < whole) {
      co_await asio::async_read(stream, asio::dynamic_buffer(in, whole), asio::transfer_exactly(whole - in.size()), into(error));
    }
    if (error) {
      value.fault = broken(error);
    } else if (in.size() != whole || !in.ends_with(line_end)) {
      value.fault = broken(asio::error::not_found);
    } else {
      in.resize(value_bytes);
      value.text = std::move(in);
    }
  }
  co_return value;
}

// The time limit closes `socket` from outside and sets `timed_out`: nothing may be opened after that.
Task<RedisValue> connect_and_ask(Socket& socket, const bool& timed_out, Upstreams& upstreams, const RedisKey& place,
                                 const RedisLogin& login) {
  const auto lookup = co_await upstreams.look_up(place.host, place.port);
  if (!lookup->finished || lookup->endpoints.empty()) co_return RedisValue{"the name " + place.host + " has no address", {}};
  error_code error = asio::error::timed_out;
  for (const Tcp::endpoint& endpoint : lookup->endpoints) {
    if (timed_out) break;
    socket.close(error);
    co_await socket.async_connect(endpoint, into(error));
    if (!error) break;
  }
  if (error) co_return RedisValue{"Redis cannot be reached: " + error.message(), {}};
  if (!place.secure) co_return co_await ask(socket, place, login);

  TlsStream tls(socket, upstreams.tls());
  if (!demand_host(tls, place.host, Inside::redis)) co_return RedisValue{"the host name cannot be verified", {}};
  co_await tls.async_handshake(TlsStream::client, into(error));
  if (error) co_return RedisValue{"no TLS with Redis: " + handshake_failure(tls, error), {}};
  co_return co_await ask(tls, place, login);
}

}  // namespace

std::variant<RedisKey, std::string> parse_redis_url(std::string_view text) {
  static const std::string form = "as in redis://127.0.0.1:6379/0/postern:denylist";
  RedisKey place;
  if (text.starts_with("rediss://")) {
    place.secure = true;
    text.remove_prefix(9);
  } else if (text.starts_with("redis://")) {
    text.remove_prefix(8);
  } else {
    return "takes a file or a redis:// or rediss:// URL, " + form;
  }
  if (text.find('@') != std::string_view::npos)
    return std::string(
        "a user and a password do not belong into the URL: set POSTERN_REDIS_USER and POSTERN_REDIS_PASSWORD (in the key @ is "
        "%40)");
  if (text.find_first_of("?#") != std::string_view::npos)
    return std::string("a redis:// URL has no ? and no #; in the key they are %3F and %23");
  const std::size_t slash = std::min(text.find('/'), text.size());
  Url url;
  unsigned port = 0;
  const bool readable = read_authority(text.substr(0, slash), "6379", url);
  if (readable) std::from_chars(url.port.data(), url.port.data() + url.port.size(), port);
  if (!readable || port == 0 || port > 65535) return "a redis:// URL begins with a host and perhaps a port, " + form;
  place.host = url.host;
  place.port = url.port;

  std::string_view path = text.substr(std::min(slash + 1, text.size()));
  place.database = "0";
  if (const std::size_t second = path.find('/'); second != std::string_view::npos) {
    if (!all_digits(path.substr(0, second)) || second > 5)
      return "before the key stands the database, a number, " + form + "; a slash in the key is %2F";
    place.database = std::to_string(std::stoul(std::string(path.substr(0, second))));
    path.remove_prefix(second + 1);
  } else if (all_digits(path)) {
    // Somebody who means database 1 would watch a key that nobody writes.
    return "a redis:// URL ends with the key, after the database, " + form;
  }
  if (path.empty() || path.find('/') != std::string_view::npos)
    return "a redis:// URL ends with the key, " + form + "; a slash in the key is %2F";
  std::optional<std::string> key = percent_decoded(path);
  if (!key) return std::string("in a redis:// URL two hexadecimal digits follow each %");
  place.key = std::move(*key);
  return place;
}

Task<RedisValue> read_redis(asio::io_context& io, Timers& timers, Upstreams& upstreams, const RedisKey& place,
                            const RedisLogin& login) {
  Socket socket(io);
  bool timed_out = false;
  Alarm alarm(timers, [&] {
    timed_out = true;
    error_code ignored;
    socket.close(ignored);
  });
  alarm.arm(redis_time_limit);
  RedisValue value = co_await connect_and_ask(socket, timed_out, upstreams, place, login);
  if (timed_out) value = RedisValue{"Redis did not answer within 3 s", {}};
  co_return value;
}

}  // namespace postern::native
