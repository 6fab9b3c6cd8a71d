#include "serve.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <utility>
#include <variant>

#include "http.h"
#include "key_snapshot.h"

namespace postern::native {
namespace {

using std::chrono::steady_clock;

// A request takes a handful of steps; a core that goes on and on would keep the client waiting for ever.
constexpr unsigned steps_max = 64;
// Descriptors for listening, signals, epoll, key fetches and name service.
constexpr std::size_t descriptors_reserved = 64;
// Longer paths are cut in the log.
constexpr std::size_t path_logged_bytes_max = 512;
// What a client may still send after an answer that closes the connection, so that it can read the
// answer: closing with unread bytes makes the kernel reset the connection.
constexpr std::size_t linger_bytes_max = 256 * 1024;
constexpr milliseconds linger_limit{2'000};

std::int64_t since_ms(steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(steady_clock::now() - start).count();
}

// RFC 9110 section 6.6.1, made once a second.
std::string_view http_date() {
  static std::time_t made_for = 0;
  static std::array<char, 40> text{};
  static std::size_t size = 0;
  const std::time_t seconds = static_cast<std::time_t>(now().unix_ms / 1000);
  if (seconds != made_for) {
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
    made_for = seconds;
  }
  return {text.data(), size};
}

// The same shape as the core's refusals.
Respond refusal(int status, std::string_view code, std::string_view sentence) {
  Respond respond;
  respond.status = status;
  respond.headers = {{"content-type", "application/json"}, {"cache-control", "no-store"}};
  if (status == 503) respond.headers.push_back({"retry-after", "1"});
  respond.body = "{\"detail\":\"";
  append_json(respond.body, sentence);
  respond.body += "\",\"code\":\"";
  append_json(respond.body, code);
  respond.body += "\"}";
  return respond;
}

Respond refusal(Error error) {
  Respond respond = refusal(http_status(error), name(error), sentence(error));
  respond.error = error;
  return respond;
}

Respond refusal(HttpFault fault) { return refusal(http_status(fault), name(fault), sentence(fault)); }

}  // namespace

// One connection of a client's, and the request on it.
//
// A single coroutine reads and answers. While it waits for something else than the client, `watch`
// looks out for the client leaving: `lost` then closes the socket and calls on_lost_, which ends
// what the coroutine waits for.
class Client : public std::enable_shared_from_this<Client> {
 public:
  Client(Server& server, Socket socket)
      : server_(server), socket_(std::move(socket)), alarm_(server.timers_, [this] { time_is_up(); }) {
    server_.clients_.insert(this);
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() {
    server_.clients_.erase(this);
    server_.stop_if_drained();
  }

  Task<> run();
  // The server stops: now if nothing is under way, else after it.
  void finish_soon() {
    if (idle_) lost();
  }
  void lost();
  // The caller was denied while a reply streams: the connection breaks.
  void leave_if_denied() {
    if (credential_.empty() || !server_.gate_.is_denied(credential_)) return;
    line_.error = name(Error::credential_revoked);
    lost();
  }

 private:
  enum class Arrival : std::uint8_t { whole, over_limit, over_budget, failed };

  // What ends the coroutine's wait when the client leaves; taken back on every way out, an exception's too.
  struct OnLost {
    OnLost(Client& client, std::function<void()> action) : client_(client) { client_.on_lost_ = std::move(action); }
    OnLost(const OnLost&) = delete;
    OnLost& operator=(const OnLost&) = delete;
    ~OnLost() { client_.on_lost_ = nullptr; }
    Client& client_;
  };

  // What the next request of the connection is about has nothing to do with this one's caller.
  struct Forget {
    explicit Forget(Client& client) : client_(client) {}
    Forget(const Forget&) = delete;
    Forget& operator=(const Forget&) = delete;
    ~Forget() { client_.credential_.clear(); }
    Client& client_;
  };

  Task<bool> read_head();
  Task<> handle();
  Task<Arrival> read_body(std::string& body, std::size_t bytes_max);
  Task<> linger();
  Task<std::size_t> take_bytes(std::string& body);

  Task<> respond(Respond answer);
  Task<> respond(HttpFault fault);
  Task<> wait_for(std::uint64_t fetch_id, milliseconds limit);
  Task<IncomingResponse> ask(const OutgoingRequest& request, std::size_t bytes_max, milliseconds first_byte_limit,
                             milliseconds whole_limit);
  Task<> pass(Forward forward);
  void append_reply_head(std::string& out, MessageParser& reply, const Forward& forward);
  [[nodiscard]] std::string_view connection_field();

  void send(std::array<asio::const_buffer, 4> parts);
  Task<> flush();

  void watch();
  void unwatch();
  void time_is_up();
  void describe_request();
  void write_access_line();

  Server& server_;
  Socket socket_;
  std::string credential_;  // of the caller whose reply streams
  Alarm alarm_;
  MessageParser request_{MessageParser::Kind::request};
  std::string input_;  // bytes that were read and are not used up
  std::size_t input_used_ = 0;
  std::string output_;  // bytes the socket did not take at once
  std::size_t output_used_ = 0;
  std::function<void()> on_lost_;
  unsigned watch_generation_ = 0;
  bool watching_ = false;
  bool gone_ = false;       // nothing more can be said to the client
  bool timed_out_ = false;  // by alarm_
  bool idle_ = false;       // between requests
  bool keep_alive_ = true;
  bool answered_ = false;  // the head of a final response went out
  bool linger_ = false;    // something of the request is unread

  HeldBytes held_{server_.held_bytes_};  // of the request under way
  AccessLine line_;
  steady_clock::time_point started_{};
};

// ------------------------------------------------------------------------------------------ bytes in and out

void Client::lost() {
  if (gone_) return;
  gone_ = true;
  error_code ignored;
  socket_.close(ignored);
  if (on_lost_) on_lost_();
}

void Client::time_is_up() {
  timed_out_ = true;
  error_code ignored;
  socket_.cancel(ignored);
}

// Reads once and feeds the parser; the rest is kept in input_. 0: nothing came, gone_ or timed_out_ says why.
Task<std::size_t> Client::take_bytes(std::string& body) {
  if (input_used_ < input_.size()) {
    const std::string_view rest = std::string_view(input_).substr(input_used_);
    input_used_ += request_.feed(rest, body);
    if (input_used_ >= input_.size()) {
      input_ = std::string();  // gives the memory back: most connections are idle most of the time
      input_used_ = 0;
    }
    co_return rest.size();
  }
  for (;;) {
    error_code error;
    co_await socket_.async_wait(Socket::wait_read, into(error));
    if (timed_out_) co_return 0;
    std::size_t size = 0;
    if (!error) size = socket_.read_some(asio::buffer(server_.scratch_.in), error);
    if (error == asio::error::would_block) continue;
    if (error) {
      lost();
      co_return 0;
    }
    const std::string_view bytes = std::string_view(server_.scratch_.in).substr(0, size);
    const std::size_t used = std::min(request_.feed(bytes, body), size);
    input_.assign(bytes.substr(used));
    input_used_ = 0;
    co_return size;
  }
}

void Client::send(std::array<asio::const_buffer, 4> parts) {
  if (gone_) return;
  std::size_t sent = 0;
  if (output_.empty()) {
    error_code error;
    sent = socket_.write_some(parts, error);
    if (error && error != asio::error::would_block) return lost();
  }
  for (const asio::const_buffer& part : parts) {
    const std::size_t skip = std::min(sent, part.size());
    sent -= skip;
    output_.append(static_cast<const char*>(part.data()) + skip, part.size() - skip);
  }
}

// Back-pressure: nothing more is read for this client until it took what there is.
Task<> Client::flush() {
  while (!gone_ && output_used_ < output_.size()) {
    error_code error;
    timed_out_ = false;
    alarm_.arm(write_stall_limit);
    co_await socket_.async_wait(Socket::wait_write, into(error));
    if (!error && !timed_out_) {
      output_used_ += socket_.write_some(asio::buffer(std::string_view(output_).substr(output_used_)), error);
      if (error == asio::error::would_block) error.clear();
    }
    if (error || timed_out_) lost();
  }
  alarm_.disarm();
  output_ = std::string();
  output_used_ = 0;
}

void Client::watch() {
  if (watching_ || gone_) return;
  watching_ = true;
  socket_.async_wait(Socket::wait_read, [self = shared_from_this(), generation = watch_generation_](error_code error) {
    Client& client = *self;
    // A handler that was on its way when unwatch() was called must not take the bytes of the next read.
    if (generation != client.watch_generation_) return;
    client.watching_ = false;
    if (error) return;
    std::string& in = client.server_.scratch_.in;
    const std::size_t size = client.socket_.read_some(asio::buffer(in.data(), pipelined_bytes_max), error);
    if (error == asio::error::would_block) return client.watch();
    // End of input counts as leaving: who half-closes and still wants an answer cannot be told apart
    // from who left, and a run that nobody reads costs money.
    if (error) return client.lost();
    client.input_.append(in, 0, size);
    if (client.input_.size() - client.input_used_ < pipelined_bytes_max) client.watch();
  });
}

void Client::unwatch() {
  ++watch_generation_;
  if (!watching_) return;
  watching_ = false;
  error_code ignored;
  socket_.cancel(ignored);
}

// ------------------------------------------------------------------------------------------------- connection

Task<> Client::run() {
  while (keep_alive_ && !gone_) {
    const bool arrived = co_await read_head();
    if (!arrived) break;
    co_await handle();
    held_.release();
    unwatch();
    write_access_line();
    if (server_.draining_) keep_alive_ = false;
  }
  if (!gone_ && linger_) co_await linger();
  alarm_.disarm();
  error_code ignored;
  if (!gone_) socket_.shutdown(Socket::shutdown_both, ignored);
  socket_.close(ignored);
}

// False: there is no request, and what was to be said about that has been said.
Task<bool> Client::read_head() {
  const bool first = started_ == steady_clock::time_point();
  request_.restart();
  timed_out_ = false;
  answered_ = false;
  line_ = AccessLine();
  std::string none;
  bool begun = input_used_ < input_.size();
  idle_ = !begun;
  if (server_.draining_ && idle_) co_return false;
  if (begun || first) started_ = steady_clock::now();
  alarm_.arm(begun || first ? head_time_limit : keep_alive_idle_limit);
  for (;;) {
    const std::size_t size = co_await take_bytes(none);
    if (size == 0) {
      idle_ = false;
      // An idle connection is closed without a word; half a request deserves one.
      if (timed_out_ && begun) {
        co_await respond(HttpFault::request_timeout);
        write_access_line();
      }
      co_return false;
    }
    if (!begun) {
      begun = true;
      idle_ = false;
      started_ = steady_clock::now();
      if (!first) alarm_.arm(head_time_limit);
    }
    switch (request_.state()) {
      case MessageParser::State::head:
        continue;
      case MessageParser::State::body:
      case MessageParser::State::done:
        alarm_.disarm();
        co_return true;
      case MessageParser::State::failed:
        alarm_.disarm();
        co_await respond(request_.fault());
        write_access_line();
        co_return false;
    }
  }
}

Task<Client::Arrival> Client::read_body(std::string& body, std::size_t bytes_max) {
  if (request_.state() == MessageParser::State::done) co_return Arrival::whole;
  if (request_.framing() == Framing::length && request_.length() > bytes_max) co_return Arrival::over_limit;
  if (request_.expects_continue() && input_used_ == input_.size() && !answered_) {
    send({asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n"))});
    co_await flush();
  }
  const auto begun = steady_clock::now();
  while (request_.state() == MessageParser::State::body) {
    timed_out_ = false;
    alarm_.arm(body_stall_limit);
    const std::size_t before = body.size();
    const std::size_t size = co_await take_bytes(body);
    alarm_.disarm();
    if (size == 0) co_return Arrival::failed;
    if (body.size() > bytes_max) co_return Arrival::over_limit;
    if (!held_.grow(body.size() - before)) co_return Arrival::over_budget;
    const std::int64_t ms = since_ms(begun);
    if (ms > body_stall_limit.count() && static_cast<std::int64_t>(body.size()) * 1000 < ms * body_bytes_per_second_min) {
      timed_out_ = true;
      co_return Arrival::failed;
    }
  }
  co_return request_.state() == MessageParser::State::done ? Arrival::whole : Arrival::failed;
}

// Lets a client that is still sending read why it was refused, for a bounded while.
Task<> Client::linger() {
  error_code error;
  socket_.shutdown(Socket::shutdown_send, error);
  timed_out_ = false;
  alarm_.arm(linger_limit);
  std::size_t dropped = 0;
  while (!error && !timed_out_ && dropped < linger_bytes_max) {
    dropped += socket_.read_some(asio::buffer(server_.scratch_.in), error);
    if (error != asio::error::would_block) continue;
    error.clear();
    co_await socket_.async_wait(Socket::wait_read, into(error));
  }
  alarm_.disarm();
}

// For the log. A target that is not a path may hold a password before its host.
void Client::describe_request() {
  line_.method = request_.method();
  const std::string_view target = request_.target();
  if (target.starts_with('/')) line_.path = target.substr(0, std::min(target.find_first_of("?#"), path_logged_bytes_max));
}

void Client::write_access_line() {
  if (!answered_) {
    line_.status = 499;
    line_.error = "client_left";
  }
  line_.duration_ms = since_ms(started_);
  server_.log_.request(line_);
}

// -------------------------------------------------------------------------------------------------- answering

std::string_view Client::connection_field() {
  if (server_.draining_) keep_alive_ = false;
  return keep_alive_ ? std::string_view() : std::string_view("connection: close\r\n");
}

Task<> Client::respond(HttpFault fault) {
  keep_alive_ = false;
  linger_ = true;
  line_.error = name(fault);
  if (line_.method.empty()) describe_request();
  co_await respond(refusal(fault));
}

Task<> Client::respond(Respond answer) {
  // Anything of the body that is not here yet: short enough to be taken after the answer, or the
  // connection ends. Who waits for 100 Continue has not sent it and may never.
  const bool unread = request_.state() == MessageParser::State::body;
  if (unread &&
      (request_.expects_continue() || (request_.framing() == Framing::length && request_.length() > dropped_body_bytes_max))) {
    keep_alive_ = false;
  }
  if (request_.state() == MessageParser::State::failed) keep_alive_ = false;
  if (!keep_alive_) linger_ = linger_ || request_.state() != MessageParser::State::done;

  const bool bodiless = answer.status == 204 || answer.status == 304 || answer.status < 200;
  std::string out;
  out.reserve(256 + answer.body.size());
  append_status_line(out, answer.status);
  append_header(out, "date", http_date());
  for (const Header& header : answer.headers) {
    if (!is_writable(header) || is_hop_by_hop(header.name) || equal_names(header.name, "date")) continue;
    append_header(out, header.name, header.value);
  }
  if (!bodiless) append_header(out, "content-length", std::to_string(answer.body.size()));
  out += connection_field();
  out += "\r\n";
  if (!bodiless && line_.method != "HEAD") {
    out += answer.body;
    line_.bytes += answer.body.size();
  }
  line_.status = answer.status;
  if (answer.error) line_.error = name(*answer.error);
  answered_ = true;
  send({asio::buffer(out)});
  if (!output_.empty()) co_await flush();

  if (unread && keep_alive_ && !gone_) {
    unwatch();
    std::string dropped;
    if (co_await read_body(dropped, dropped_body_bytes_max) != Arrival::whole) {
      keep_alive_ = false;
      linger_ = true;
    }
  }
}

// ------------------------------------------------------------------------------------------- the loop over steps

Task<> Client::handle() {
  keep_alive_ = request_.keep_alive();
  const std::string_view target = request_.target();
  describe_request();

  std::unique_ptr<Exchange> exchange;
  {
    const RequestHead head{request_.method(), target, request_.headers().data(), request_.headers().size()};
    exchange = server_.gate_.open(head, now());
  }
  request_.release_head();

  for (unsigned steps = 0; steps < steps_max; ++steps) {
    Step step = exchange->next(now());

    if (auto* answer = std::get_if<Respond>(&step.action)) {
      exchange.reset();
      co_await respond(std::move(*answer));
      co_return;
    }

    if (auto* fetch = std::get_if<Fetch>(&step.action)) {
      if (fetch->purpose == FetchPurpose::upstream_object) {
        // This one is for this request alone and ends with its client.
        const milliseconds limit(fetch->time_limit_ms);
        IncomingResponse response = co_await ask(fetch->request, fetch->bytes_max, limit, limit);
        if (gone_) co_return;
        server_.gate_.give(fetch->fetch_id, std::move(response), now());
        server_.answered(fetch->fetch_id);
      } else {
        const std::uint64_t fetch_id = fetch->fetch_id;
        server_.start_fetch(std::move(*fetch));
        co_await wait_for(fetch_id, milliseconds::max());
        if (gone_) co_return;
      }
      continue;
    }

    if (auto* wait = std::get_if<Wait>(&step.action)) {
      const std::int64_t limit = std::max<std::int64_t>(wait->until.unix_ms - now().unix_ms, 1);
      co_await wait_for(wait->fetch_id, milliseconds(limit));
      if (gone_) co_return;
      continue;
    }

    if (auto* read = std::get_if<ReadBody>(&step.action)) {
      BodyResult result;
      switch (co_await read_body(result.bytes, read->bytes_max)) {
        case Arrival::whole:
          break;
        case Arrival::over_limit:
          result.state = BodyResult::State::over_limit;
          result.bytes.clear();
          break;
        case Arrival::over_budget:
          exchange.reset();
          keep_alive_ = false;
          linger_ = true;
          co_await respond(refusal(Error::gate_overloaded));
          co_return;
        case Arrival::failed:
          if (gone_) co_return;
          exchange.reset();
          co_await respond(timed_out_ ? HttpFault::request_timeout : HttpFault::request_malformed);
          co_return;
      }
      exchange->give(step.step_id, std::move(result), now());
      continue;
    }

    if (auto* forward = std::get_if<Forward>(&step.action)) {
      // A body that the route has no use for is taken off the connection before anything is forwarded.
      std::string dropped;
      const Arrival arrival = co_await read_body(dropped, dropped_body_bytes_max);
      if (gone_) co_return;
      if (arrival != Arrival::whole) {
        exchange.reset();
        const HttpFault fault = timed_out_ ? HttpFault::request_timeout : HttpFault::request_malformed;
        co_await respond(arrival == Arrival::over_limit ? HttpFault::request_body_too_large : fault);
        co_return;
      }
      if (forward->reply == ReplyMode::pass) {
        exchange.reset();
        co_await pass(std::move(*forward));
        co_return;
      }
      IncomingResponse response =
          co_await ask(forward->request, forward->bytes_max, milliseconds(forward->time_limit_ms), milliseconds(0));
      if (gone_) co_return;
      exchange->give(step.step_id, std::move(response), now());
      continue;
    }

    // Authenticated is for exchanges that were opened for it.
    break;
  }
  exchange.reset();
  co_await respond(refusal(Error::host_failed));
}

// Returns when the fetch was answered, when the time is over or when the client left.
Task<> Client::wait_for(std::uint64_t fetch_id, milliseconds limit) {
  // A fetch nobody carries would never be answered; a short wait keeps this from becoming a busy loop.
  if (!server_.fetches_.contains(fetch_id)) limit = std::min(limit, milliseconds(50));
  SteadyTimer timer(server_.io_);
  if (limit == milliseconds::max()) {
    timer.expires_at(steady_clock::time_point::max());
  } else {
    timer.expires_after(limit);
  }
  struct Waiter {
    ~Waiter() { server_.waiters_.erase(place_); }
    Server& server_;
    decltype(server_.waiters_)::iterator place_;
  } const waiter{server_, server_.waiters_.emplace(fetch_id, &timer)};
  {
    const OnLost leaving(*this, [&timer] { timer.cancel(); });
    watch();
    error_code signalled;
    if (!gone_) co_await timer.async_wait(into(signalled));
  }
  unwatch();
}

Task<IncomingResponse> Client::ask(const OutgoingRequest& request, std::size_t bytes_max, milliseconds first_byte_limit,
                                   milliseconds whole_limit) {
  const auto asked = steady_clock::now();
  IncomingResponse response;
  {
    Call call(server_.upstreams_);
    const OnLost leaving(*this, [&call] { call.leave(); });
    watch();
    if (!gone_) response = co_await server_.upstreams_.collect(call, request, bytes_max, first_byte_limit, whole_limit, &held_);
  }
  unwatch();
  line_.upstream_ms = std::max<std::int64_t>(line_.upstream_ms, 0) + since_ms(asked);
  co_return response;
}

void Client::append_reply_head(std::string& out, MessageParser& reply, const Forward& forward) {
  const auto& dropped = forward.drop_reply_headers;
  append_status_line(out, reply.status());
  bool dated = false;
  for (const HeaderView& header : reply.headers()) {
    const bool drop =
        std::any_of(dropped.begin(), dropped.end(), [&](const std::string& one) { return equal_names(one, header.name); });
    if (drop) continue;
    dated = dated || equal_names(header.name, "date");
    append_header(out, header.name, header.value);
  }
  for (const Header& header : forward.add_reply_headers) append_header(out, header.name, header.value);
  if (!dated) append_header(out, "date", http_date());
  if (reply.framing() == Framing::length || (reply.framing() == Framing::none && reply.length_declared())) {
    append_header(out, "content-length", std::to_string(reply.length()));
  } else if (reply.framing() != Framing::none) {
    if (request_.is_http_1_0()) {
      keep_alive_ = false;
    } else {
      append_header(out, "transfer-encoding", "chunked");
    }
  }
  out += connection_field();
  out += "\r\n";
}

// Streams the upstream's reply as it arrives: what one read brought goes out in one write, at once.
Task<> Client::pass(Forward forward) {
  const auto asked = steady_clock::now();
  Call call(server_.upstreams_);
  const OnLost leaving(*this, [&call] { call.leave(); });
  credential_ = std::move(forward.credential);
  const Forget forgetting(*this);
  leave_if_denied();  // since the core decided, while the rest of the body was taken off the connection
  if (gone_) co_return;
  watch();
  Failure failure = co_await call.begin(forward.request, milliseconds(forward.time_limit_ms));
  line_.upstream_ms = std::max<std::int64_t>(line_.upstream_ms, 0) + since_ms(asked);
  MessageParser& reply = call.reply();
  // A redirect would send the client, with its credential, past the gate.
  const bool redirect = failure == Failure::none && reply.status() >= 300 && reply.status() < 400 && reply.status() != 304;
  // The upstream's 401, 403 and 407 are about the gate's own credential there; passed on, they would make clients throw
  // theirs away.
  const bool refused = failure == Failure::none && (reply.status() == 401 || reply.status() == 403 || reply.status() == 407);
  if (failure != Failure::none || redirect || refused) {
    call.leave();
    on_lost_ = nullptr;  // the answer is no business of the call any more
    if (gone_) co_return;
    Error error = failure == Failure::timed_out ? Error::upstream_timeout : Error::upstream_failed;
    if (failure == Failure::request_unusable) error = Error::host_failed;
    if (redirect) server_.log_.event("upstream_redirected", {{"path", line_.path}});
    if (refused) server_.log_.event("upstream_refused_the_gate", {{"path", line_.path}});
    co_await respond(refusal(error));
    co_return;
  }

  Scratch& scratch = server_.scratch_;
  const bool chunked =
      (reply.framing() == Framing::chunked || reply.framing() == Framing::until_close) && !request_.is_http_1_0();
  scratch.out.clear();
  append_reply_head(scratch.out, reply, forward);
  line_.status = reply.status();
  answered_ = true;
  reply.release_head();
  forward = Forward();

  for (;;) {
    const std::string_view body = scratch.body;
    line_.bytes += body.size();
    std::string_view after;
    if (chunked) {
      if (!body.empty()) append_chunk_size(scratch.out, body.size());
      after = body.empty() ? "" : "\r\n";
      if (call.done()) after = body.empty() ? "0\r\n\r\n" : "\r\n0\r\n\r\n";
    }
    if (!scratch.out.empty() || !body.empty() || !after.empty()) {
      send({asio::buffer(scratch.out), asio::buffer(body), asio::buffer(after)});
      if (!output_.empty()) co_await flush();
    }
    if (gone_ || call.done()) break;
    failure = co_await call.more();
    scratch.out.clear();
    if (failure != Failure::none) break;
  }
  on_lost_ = nullptr;
  if (gone_) {
    if (line_.error.empty()) line_.error = "client_left";
  } else if (failure != Failure::none) {
    // Too late for a status: a reply that ends early must look like one, so the connection breaks.
    line_.error = name(Error::upstream_failed);
    keep_alive_ = false;
    lost();
  }
}

// ----------------------------------------------------------------------------------------------------- server

Server::Server(Gate& gate, const ServeOptions& options)
    : gate_(gate),
      options_(options),
      log_(io_, options.log),
      timers_(io_),
      upstreams_(io_, timers_, log_, scratch_, options.ca_file),
      acceptor_(io_),
      signals_(io_, SIGINT, SIGTERM),
      due_timer_(io_),
      drain_timer_(io_),
      denylist_timer_(io_) {}

Server::~Server() = default;

bool Server::listen() {
  error_code error;
  const auto address = asio::ip::make_address(options_.address, error);
  const Tcp::endpoint endpoint(address, options_.port);
  if (!error) acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(Acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(Acceptor::max_listen_connections, error);
  if (!error) return true;
  std::fprintf(stderr, "postern: cannot listen on %s:%u: %s\n", options_.address.c_str(), unsigned{options_.port},
               error.message().c_str());
  return false;
}

int Server::run() {
  std::signal(SIGPIPE, SIG_IGN);  // a log reader that went away must not end the gate

  // Each client may need a connection to the upstream.
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = descriptors.rlim_max;
  setrlimit(RLIMIT_NOFILE, &descriptors);
  getrlimit(RLIMIT_NOFILE, &descriptors);
  const std::size_t usable = std::min<std::size_t>(descriptors.rlim_cur, 1'000'000);
  clients_max_ = usable > 2 * descriptors_reserved ? (usable - descriptors_reserved) / 2 : 32;

  if (!listen()) return 1;
  take_up_key_snapshot();
  if (!options_.denylist.empty()) {
    // Who starts with a list that cannot be read would let in whom it names.
    const std::string fault = take_up_first_denylist();
    if (!fault.empty()) {
      std::fprintf(stderr, "postern: %s: %s\n", options_.denylist.c_str(), fault.c_str());
      return 1;
    }
    look_after_denylist();
  }
  const Tcp::endpoint local = acceptor_.local_endpoint();
  const std::string host = local.address().is_v6() ? "[" + local.address().to_string() + "]" : local.address().to_string();
  const std::string url = "http://" + host + ":" + std::to_string(local.port());
  log_.event("limits", {{"clients_max", std::to_string(clients_max_)}, {"descriptors", std::to_string(descriptors.rlim_cur)}});
  log_.flush();
  std::fprintf(stderr, "postern listening on %s -> %s\n", url.c_str(), gate_.upstream_url().c_str());
  if (options_.ready_json) {
    std::string ready = "{\"ready\":true,\"url\":\"";
    append_json(ready, url);
    ready += "\"}\n";
    std::fputs(ready.c_str(), stdout);
    std::fflush(stdout);
  }

  asio::co_spawn(io_, accept(), [this](std::exception_ptr failure) {
    if (failure) io_.stop();
  });
  signals_.async_wait([this](error_code error, int) {
    if (!error) start_drain();
  });
  look_after_due();
  io_.run();
  log_.event("stopped", {{"clients", std::to_string(clients_.size())}});
  log_.flush();
  // Connections that were cut: their coroutines refer to members that would be gone before them.
  if (!clients_.empty() || !fetches_.empty() || reading_denylist_) std::_Exit(0);
  return 0;
}

Task<> Server::accept() {
  while (acceptor_.is_open()) {
    error_code error;
    Socket socket = co_await acceptor_.async_accept(into(error));
    if (error == asio::error::operation_aborted || error == asio::error::bad_descriptor) break;
    if (error) {
      // Out of descriptors, most likely: the connection stays in the queue, so do not spin on it.
      log_.event("accept_failed", {{"reason", error.message()}});
      SteadyTimer pause(io_, milliseconds(50));
      co_await pause.async_wait(into(error));
      continue;
    }
    if (clients_.size() >= clients_max_) {
      turn_away(std::move(socket));
      continue;
    }
    turning_away_ = false;
    socket.non_blocking(true, error);
    socket.set_option(Tcp::no_delay(true), error);
    auto client = std::make_shared<Client>(*this, std::move(socket));
    Client& running = *client;
    asio::co_spawn(io_, running.run(), [this, client = std::move(client)](std::exception_ptr failure) {
      if (!failure) return;
      client->lost();
      log_.event("connection_failed", {});  // out of memory, or a bug; the others go on
    });
  }
}

void Server::turn_away(Socket socket) {
  if (!turning_away_) log_.event("clients_over_limit", {{"clients_max", std::to_string(clients_max_)}});
  turning_away_ = true;
  const Respond answer = refusal(Error::gate_overloaded);
  std::string out;
  append_status_line(out, answer.status);
  for (const Header& header : answer.headers) append_header(out, header.name, header.value);
  append_header(out, "content-length", std::to_string(answer.body.size()));
  append_header(out, "connection", "close");
  out += "\r\n" + answer.body;
  error_code ignored;
  socket.non_blocking(true, ignored);
  socket.write_some(asio::buffer(out), ignored);
  // What the client sent already is taken, else the kernel resets the connection and the answer with it.
  socket.read_some(asio::buffer(scratch_.in), ignored);
  socket.shutdown(Socket::shutdown_send, ignored);
}

void Server::start_drain() {
  draining_ = true;
  error_code ignored;
  acceptor_.close(ignored);
  upstreams_.close_idle();
  log_.event("draining", {{"clients", std::to_string(clients_.size())}, {"seconds_max", std::to_string(options_.drain_seconds)}});
  const std::vector<Client*> clients(clients_.begin(), clients_.end());
  for (Client* client : clients) client->finish_soon();
  drain_timer_.expires_after(std::chrono::seconds(options_.drain_seconds));
  drain_timer_.async_wait([this](error_code error) {
    if (!error) io_.stop();
  });
  signals_.async_wait([this](error_code error, int) {
    if (!error) io_.stop();
  });
  stop_if_drained();
}

void Server::stop_if_drained() {
  if (draining_ && clients_.empty()) io_.stop();
}

// ----------------------------------------------------------------------------------------------- gate's fetches

void Server::start_fetch(Fetch fetch) {
  if (!fetches_.insert(fetch.fetch_id).second) return;
  const std::uint64_t fetch_id = fetch.fetch_id;
  asio::co_spawn(io_, run_fetch(std::move(fetch)), [this, fetch_id](std::exception_ptr failure) {
    if (!failure) return;
    gate_.give(fetch_id, IncomingResponse(), now());
    answered(fetch_id);
  });
}

Task<> Server::run_fetch(Fetch fetch) {
  const milliseconds limit(fetch.time_limit_ms);
  IncomingResponse response;
  {
    Call call(upstreams_);
    response = co_await upstreams_.collect(call, fetch.request, fetch.bytes_max, limit, limit);
  }
  const auto url = parse_url(fetch.request.url);
  const bool about_keys = fetch.purpose == FetchPurpose::keys;
  const bool about_token = fetch.purpose == FetchPurpose::introspection;
  log_.debug("fetched", {{"purpose", about_keys    ? "keys"
                                     : about_token ? "introspection"
                                                   : "discovery"},
                         {"origin", url ? url->authority : ""},
                         {"status", std::to_string(response.status)}});
  gate_.give(fetch.fetch_id, std::move(response), now());
  answered(fetch.fetch_id);
  look_after_keys();
  look_after_due();
}

void Server::take_up_key_snapshot() {
  if (options_.key_snapshot_file.empty()) return;
  std::string fault;
  const std::string text = read_key_snapshot(options_.key_snapshot_file, fault);
  if (!fault.empty()) log_.event("key_snapshot_refused", {{"why", fault}});
  if (text.empty()) return;
  log_.event("key_snapshot_read", {{"issuers", std::to_string(gate_.import_keys(text, now()))}});
}

// After a fetch of keys: says what was wrong with it, and keeps what is new.
void Server::look_after_keys() {
  for (const std::string& fault : gate_.key_faults()) log_.event("keys_unusable", {{"why", fault}});
  if (options_.key_snapshot_file.empty() || gate_.keys_version() == keys_kept_) return;
  keys_kept_ = gate_.keys_version();
  const std::string fault = write_key_snapshot(options_.key_snapshot_file, gate_.export_keys());
  if (!fault.empty()) log_.event("key_snapshot_not_written", {{"why", fault}});
}

Task<std::string> Server::take_up_denylist() {
  std::string text;
  if (options_.denylist_redis) {
    RedisValue value = co_await read_redis(io_, timers_, upstreams_, *options_.denylist_redis, options_.redis_login);
    if (!value.fault.empty()) co_return std::move(value.fault);
    if (!value.text) {
      // A Redis that nobody wrote a list into has none. One that had it and lost it (emptied, evicted, restarted without its
      // data) must not let anybody in.
      if (denylist_text_.empty()) co_return std::string();
      co_return "the key is gone and the last list stays; an empty list is written as []";
    }
    text = std::move(*value.text);
  } else {
    std::ifstream file(options_.denylist, std::ios::binary);
    try {
      if (file) text.assign(std::istreambuf_iterator<char>(file), {});
    } catch (const std::exception&) {
      // A directory, EIO, ESTALE: the iterator throws what a stream would keep, and a mount that changes must not end the server.
      co_return "cannot be read";
    }
    if (!file || file.bad()) co_return "cannot be read";
  }
  if (text == denylist_text_) co_return std::string();
  const auto entries = gate_.set_denylist(text);
  if (!entries) co_return entries.error().text();
  denylist_text_ = std::move(text);
  log_.event("denylist_read", {{"entries", std::to_string(entries.value())}});
  const std::vector<Client*> clients(clients_.begin(), clients_.end());
  for (Client* client : clients) client->leave_if_denied();
  co_return std::string();
}

// Before anybody is served, so the loop runs for this alone.
std::string Server::take_up_first_denylist() {
  std::optional<std::string> fault;
  asio::co_spawn(io_, take_up_denylist(), [&](std::exception_ptr failure, std::string what) {
    fault = failure ? "there is not enough memory for it" : std::move(what);
  });
  while (!fault) io_.run_one();
  io_.restart();
  // The key may be misspelt, which only a person can tell.
  if (fault->empty() && denylist_text_.empty()) log_.event("denylist_empty", {});
  return *fault;
}

void Server::look_after_denylist() {
  denylist_timer_.expires_after(std::chrono::seconds(options_.denylist_seconds));
  denylist_timer_.async_wait([this](error_code error) {
    if (error) return;
    reading_denylist_ = true;
    asio::co_spawn(io_, take_up_denylist(), [this](std::exception_ptr failure, const std::string& fault) {
      reading_denylist_ = false;
      // The last good list stays: a file that is being written must not let anybody in.
      if (failure || !fault.empty())
        log_.event("denylist_refused", {{"why", failure ? "there is not enough memory for it" : fault}});
      look_after_denylist();
    });
  });
}

void Server::answered(std::uint64_t fetch_id) {
  fetches_.erase(fetch_id);
  const auto [begin, end] = waiters_.equal_range(fetch_id);
  std::for_each(begin, end, [](auto& waiter) { waiter.second->cancel(); });
}

void Server::look_after_due() {
  Due due = gate_.due(now());
  for (Fetch& fetch : due.fetches) start_fetch(std::move(fetch));
  // Neither a busy loop nor a timer that the clock's jump leaves behind.
  const std::int64_t wait_ms = std::clamp<std::int64_t>(due.next_at.unix_ms - now().unix_ms, 50, 60'000);
  due_timer_.expires_after(milliseconds(wait_ms));
  due_timer_.async_wait([this](error_code error) {
    if (!error) look_after_due();
  });
}

}  // namespace postern::native
