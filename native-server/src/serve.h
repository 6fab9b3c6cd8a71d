// The native host: connections in, the gate's steps carried out, replies streamed back.
//
// One thread, one io_context, one Gate. The core decides; this file is the loop over its steps and the
// care for sockets around it. Invariant fail-closed: what cannot be carried out ends in an error answer
// or a closed connection, never in a forward.
#pragma once

#include <boost/asio/signal_set.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

#include "io.h"
#include "log.h"
#include "postern/gate.h"
#include "redis.h"
#include "timers.h"
#include "upstream.h"

namespace postern::native {

// The whole head, from its first byte on: a limit per read would let a client that sends a byte at a
// time hold a connection for hours.
inline constexpr milliseconds head_time_limit{10'000};
// A body may take long, but something of it must come, and after the first such time more than a trickle:
// else ten MiB could be drawn out over years.
inline constexpr milliseconds body_stall_limit{30'000};
inline constexpr std::int64_t body_bytes_per_second_min = 240;
// Browsers and pools keep idle connections about a minute; nginx's keepalive_timeout is 75 s.
inline constexpr milliseconds keep_alive_idle_limit{75'000};
// A client that takes nothing of its reply for so long is gone, and holds an upstream connection.
inline constexpr milliseconds write_stall_limit{60'000};
// A body on a route that has no use for it.
inline constexpr std::size_t dropped_body_bytes_max = 64 * 1024;
// Requests that a client sends ahead while one is under way; more stays in the kernel.
inline constexpr std::size_t pipelined_bytes_max = 16 * 1024;

struct ServeOptions {
  std::string address = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string ca_file;
  std::string key_snapshot_file;           // "": keys are kept in memory alone
  std::string denylist;                    // a file or where it is in Redis; "": the configuration's alone
  std::optional<RedisKey> denylist_redis;  // the same, if it is in Redis
  RedisLogin redis_login;
  unsigned denylist_seconds = 5;  // how often it is looked at
  LogLevel log = LogLevel::access;
  unsigned drain_seconds = 10;
  bool ready_json = false;
};

class Client;

class Server {
 public:
  // `gate` outlives the server. Throws std::invalid_argument if `ca_file` cannot be used.
  Server(Gate& gate, const ServeOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Serves until it is told to stop by a signal; what is to be the exit status.
  int run();

 private:
  friend class Client;

  [[nodiscard]] bool listen();
  Task<> accept();
  void turn_away(Socket socket);
  void start_drain();
  void stop_if_drained();

  // Invariant bounded-fetch is the core's; the host sends each fetch once and lets nobody's leaving end it.
  void start_fetch(Fetch fetch);
  Task<> run_fetch(Fetch fetch);
  void answered(std::uint64_t fetch_id);
  void look_after_due();
  void take_up_key_snapshot();
  void look_after_keys();
  // Reads the denylist and takes it where it has changed; "" or what is wrong with it.
  [[nodiscard]] Task<std::string> take_up_denylist();
  [[nodiscard]] std::string take_up_first_denylist();
  void look_after_denylist();

  Gate& gate_;
  const ServeOptions options_;
  asio::io_context io_{1};  // 1: one thread runs it
  Log log_;
  Scratch scratch_;
  Timers timers_;
  Upstreams upstreams_;
  Acceptor acceptor_;
  asio::signal_set signals_;
  SteadyTimer due_timer_;
  SteadyTimer drain_timer_;
  SteadyTimer denylist_timer_;
  std::string denylist_text_;
  bool reading_denylist_ = false;
  std::uint64_t keys_kept_ = 0;  // Gate::keys_version of the snapshot on disk
  std::size_t held_bytes_ = 0;
  std::set<Client*> clients_;
  std::size_t clients_max_ = 0;
  bool turning_away_ = false;  // said in the log
  bool draining_ = false;
  std::unordered_set<std::uint64_t> fetches_;
  std::unordered_multimap<std::uint64_t, SteadyTimer*> waiters_;
};

}  // namespace postern::native
