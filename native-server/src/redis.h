// The value of one key in Redis or Valkey, read over RESP2 (https://redis.io/docs/latest/develop/reference/protocol-spec/).
//
// A new connection for each read: it is asked every few seconds, and a connection that is kept would have to be noticed dead.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "io.h"
#include "timers.h"
#include "upstream.h"

namespace postern::native {

// Name, connection, TLS, login and the whole value. A server that takes longer is as good as away.
inline constexpr milliseconds redis_time_limit{3'000};
// As the core's limit on a denylist's text: more would be refused there.
inline constexpr std::size_t redis_value_bytes_max = 16 * 1024 * 1024;

struct RedisKey {
  bool secure = false;
  std::string host;
  std::string port;
  std::string database;  // digits; "0": nothing is selected
  std::string key;       // any bytes
};

// redis://HOST[:PORT][/DB]/KEY, rediss:// for TLS; port 6379 and database 0 if not said; what is no plain text in the key is
// %-encoded, a slash too. Else what is wrong with it, which repeats nothing of `text`: somebody's password may stand there.
[[nodiscard]] std::variant<RedisKey, std::string> parse_redis_url(std::string_view text);

struct RedisLogin {
  std::string user;      // "": the default user
  std::string password;  // "": no login
};

struct RedisValue {
  std::string fault;                // "", or why it could not be read; holds nothing that the server sent but its error's code
  std::optional<std::string> text;  // nothing: there is no such key
};

// Reads it within redis_time_limit. `upstreams` gives names' addresses and the TLS context.
[[nodiscard]] Task<RedisValue> read_redis(asio::io_context& io, Timers& timers, Upstreams& upstreams, const RedisKey& place,
                                          const RedisLogin& login);

}  // namespace postern::native
