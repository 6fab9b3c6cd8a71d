// Requests that the gate sends: to the upstream and to issuers, over connections that are kept.
//
// Only what the core asked for goes out, to the origin in its URL. Redirects are never followed.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http.h"
#include "io.h"
#include "log.h"
#include "postern/request.h"
#include "timers.h"
#include "tls.h"

namespace postern::native {

inline constexpr milliseconds connect_time_limit{3'000};
// Uvicorn and Node close an idle connection after 5 s; leaving before they do avoids most of the races
// in which a request meets a closing connection.
inline constexpr milliseconds pool_idle_limit{4'000};
inline constexpr std::size_t pool_idle_max = 64;  // per origin
// For the request to be taken where no limit is set on its answer.
inline constexpr milliseconds request_write_limit{30'000};
// The rest of a reply that is read whole, once its head is there.
inline constexpr milliseconds reply_stall_limit{30'000};
inline constexpr std::chrono::seconds address_age_max{30};

struct Url {
  bool secure = false;
  std::string host;       // without brackets
  std::string port;       // always there
  std::string authority;  // for the Host field
  std::string target;     // path and query
};
// An absolute http or https URL without user information or fragment.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text);
// HOST[:PORT], of a URL of any scheme, into host, port and authority. False: it is none, or holds user information.
[[nodiscard]] bool read_authority(std::string_view authority, std::string_view default_port, Url& url);

enum class Failure : std::uint8_t {
  none,
  request_unusable,  // what the core made cannot be sent as it is: our bug
  unresolvable,
  unreachable,
  untrusted,  // TLS
  timed_out,
  closed,     // the connection broke before the message was whole
  malformed,  // not a reply as RFC 9112 has it
  abandoned,  // by leave()
};
[[nodiscard]] std::string_view name(Failure failure);

class Upstreams;

// One connection to an origin.
class UpstreamConnection {
 public:
  UpstreamConnection(Upstreams& upstreams, std::string origin);

 private:
  friend class Upstreams;
  friend class Call;

  // Reads what is there, at least a byte. The view lives until the next suspension.
  Task<std::string_view> read(error_code& error);
  // What was written of `head` then `body` is in `written`, also after an error.
  Task<> write(std::string_view head, std::string_view body, std::size_t& written, error_code& error);
  [[nodiscard]] bool is_stale();
  void close();

  Upstreams& upstreams_;
  const std::string origin_;
  Socket socket_;
  std::unique_ptr<TlsStream> tls_;
  // A read over TLS stays outstanding while nothing comes, so it needs a buffer of its own.
  std::unique_ptr<char[]> tls_in_;
  bool more_likely_ = false;  // the last read filled its buffer
  std::chrono::steady_clock::time_point idle_since_{};
};

// One request and its reply.
class Call {
 public:
  explicit Call(Upstreams& upstreams);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  // Sends the request and reads until the reply's head is there. Body bytes that came along were appended
  // to scratch.body (as by more()): use them before the next suspension. `first_byte_limit` 0: none.
  Task<Failure> begin(const OutgoingRequest& request, milliseconds first_byte_limit);
  // Reads once; scratch.body holds the bytes of the body that came.
  Task<Failure> more();
  // Ends the call from outside, whatever it waits for: the connection is closed at once.
  void leave() { stop(Failure::abandoned); }
  void time_out() { stop(Failure::timed_out); }

  [[nodiscard]] MessageParser& reply() { return reply_; }
  [[nodiscard]] bool done() const { return reply_.state() == MessageParser::State::done; }

 private:
  Task<Failure> connect(const Url& url, std::string_view origin);
  Task<Failure> attempt(const OutgoingRequest& request, const Url& url, milliseconds first_byte_limit, bool& retry);
  Failure feed(std::string_view bytes);
  void stop(Failure failure);

  Upstreams& upstreams_;
  std::unique_ptr<UpstreamConnection> connection_;
  MessageParser reply_{MessageParser::Kind::response};
  Alarm alarm_;
  Failure stopped_ = Failure::none;
  ReplyTo reply_to_ = ReplyTo::other_method;
  bool first_attempt_failed_ = false;
  bool clean_ = true;  // nothing but this reply was on the connection
  unsigned interim_replies_ = 0;
};

// 256 MiB of bodies and judged replies at once: some twenty of the largest, thousands of ordinary ones. Each is bounded by
// itself as well; without a bound over all of them one user could fill the memory of everybody's gate.
inline constexpr std::size_t held_bytes_max = 256 * 1024 * 1024;

// What one request holds of that.
class HeldBytes {
 public:
  explicit HeldBytes(std::size_t& all) : all_(all) {}
  HeldBytes(const HeldBytes&) = delete;
  HeldBytes& operator=(const HeldBytes&) = delete;
  ~HeldBytes() { release(); }
  // False: there is no room for so much more.
  [[nodiscard]] bool grow(std::size_t bytes) {
    if (bytes > held_bytes_max - all_) return false;
    all_ += bytes;
    own_ += bytes;
    return true;
  }
  void release() {
    all_ -= own_;
    own_ = 0;
  }

 private:
  std::size_t& all_;
  std::size_t own_ = 0;
};

class Upstreams {
 public:
  Upstreams(asio::io_context& io, Timers& timers, Log& log, Scratch& scratch, const std::string& ca_file);
  ~Upstreams();

  // The whole reply, for the core. The time limit is for the head; a body may not stall.
  // `whole_limit`, if not 0, is for all of it. `held`, if given, counts the body; without room for it the reply counts as
  // over its limit.
  Task<IncomingResponse> collect(Call& call, const OutgoingRequest& request, std::size_t bytes_max, milliseconds first_byte_limit,
                                 milliseconds whole_limit, HeldBytes* held = nullptr);

  void close_idle();

  // Addresses of a host, asked for once for all who wait.
  struct Lookup {
    explicit Lookup(asio::io_context& io) : finished_signal(io) {}
    SteadyTimer finished_signal;
    bool finished = false;
    std::chrono::steady_clock::time_point at{};
    std::vector<Tcp::endpoint> endpoints;
  };

  // Waits for connect_time_limit at most; what is not `finished` then has no addresses.
  Task<std::shared_ptr<Lookup>> look_up(const std::string& host, const std::string& port);
  [[nodiscard]] asio::ssl::context& tls() { return tls_; }

 private:
  friend class Call;
  friend class UpstreamConnection;

  [[nodiscard]] std::unique_ptr<UpstreamConnection> take_idle(const std::string& origin);
  void keep(std::unique_ptr<UpstreamConnection> connection);
  void sweep();

  asio::io_context& io_;
  Timers& timers_;
  Log& log_;
  Scratch& scratch_;
  asio::ssl::context tls_;
  asio::ip::basic_resolver<Tcp, Executor> resolver_;
  std::map<std::string, std::shared_ptr<Lookup>> lookups_;
  // Per origin, the one used last at the back.
  std::map<std::string, std::vector<std::unique_ptr<UpstreamConnection>>> idle_;
  Alarm sweep_alarm_;
};

}  // namespace postern::native
