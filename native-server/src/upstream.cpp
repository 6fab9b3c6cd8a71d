#include "upstream.h"

#include <algorithm>
#include <array>
#include <boost/asio/write.hpp>
#include <utility>

namespace postern::native {
namespace {

// A server may send any number of 1xx before its answer; one that does not stop is not waited for.
constexpr unsigned interim_replies_max = 16;
constexpr std::size_t tls_read_bytes = 16 * 1024;  // one record, RFC 8446 section 5.1

std::string describe(const Tcp::endpoint& endpoint) {
  const std::string address = endpoint.address().to_string();
  const std::string port = std::to_string(endpoint.port());
  return endpoint.address().is_v6() ? "[" + address + "]:" + port : address + ":" + port;
}

// The request as bytes, all framing made here. Empty: something in it must not be written into a head.
std::string request_head(const OutgoingRequest& request, const Url& url) {
  const auto visible = [](std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  };
  if (!visible(request.method) || !visible(url.target)) return {};
  std::string head;
  head.reserve(512);
  head += request.method;
  head += ' ';
  head += url.target;
  head += " HTTP/1.1\r\n";
  append_header(head, "host", url.authority);
  for (const Header& header : request.headers) {
    if (!is_writable(header)) return {};
    if (is_hop_by_hop(header.name) || equal_names(header.name, "host")) continue;
    append_header(head, header.name, header.value);
  }
  // RFC 9110 section 8.6: a method that expects content says so even when there is none.
  const bool expects_content = request.method == "POST" || request.method == "PUT" || request.method == "PATCH";
  if (!request.body.empty() || expects_content) append_header(head, "content-length", std::to_string(request.body.size()));
  head += "\r\n";
  return head;
}

}  // namespace

std::string_view name(Failure failure) {
  switch (failure) {
    case Failure::none:
      return "none";
    case Failure::request_unusable:
      return "request_unusable";
    case Failure::unresolvable:
      return "unresolvable";
    case Failure::unreachable:
      return "unreachable";
    case Failure::untrusted:
      return "untrusted";
    case Failure::timed_out:
      return "timed_out";
    case Failure::closed:
      return "closed";
    case Failure::malformed:
      return "malformed";
    case Failure::abandoned:
      return "abandoned";
  }
  return "unknown";
}

bool read_authority(std::string_view authority, std::string_view default_port, Url& url) {
  const bool visible = std::all_of(authority.begin(), authority.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (authority.empty() || !visible || authority.find('@') != std::string_view::npos) return false;

  std::string_view port;
  if (authority.front() == '[') {
    const std::size_t bracket = authority.find(']');
    if (bracket == std::string_view::npos) return false;
    url.host = authority.substr(1, bracket - 1);
    port = authority.substr(bracket + 1);
  } else {
    const std::size_t colon = std::min(authority.find(':'), authority.size());
    url.host = authority.substr(0, colon);
    port = authority.substr(colon);
  }
  if (url.host.empty()) return false;
  if (!port.empty()) {
    if (port.front() != ':') return false;
    port.remove_prefix(1);
    const bool digits =
        !port.empty() && port.size() <= 5 && std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!digits) return false;
  }
  url.port = port.empty() ? default_port : port;
  url.authority = authority;
  return true;
}

std::optional<Url> parse_url(std::string_view text) {
  Url url;
  if (text.starts_with("https://")) {
    url.secure = true;
    text.remove_prefix(8);
  } else if (text.starts_with("http://")) {
    text.remove_prefix(7);
  } else {
    return std::nullopt;
  }
  const std::size_t slash = text.find_first_of("/?");
  const std::string_view target = slash == std::string_view::npos ? std::string_view() : text.substr(slash);
  if (!read_authority(text.substr(0, slash), url.secure ? "443" : "80", url)) return std::nullopt;
  if (target.find('#') != std::string_view::npos) return std::nullopt;
  if (target.empty() || target.front() != '/') url.target = "/";
  url.target += target;
  return url;
}

// ---------------------------------------------------------------------------------------------- connection

UpstreamConnection::UpstreamConnection(Upstreams& upstreams, std::string origin)
    : upstreams_(upstreams), origin_(std::move(origin)), socket_(upstreams.io_) {}

void UpstreamConnection::close() {
  error_code ignored;
  socket_.close(ignored);
}

Task<std::string_view> UpstreamConnection::read(error_code& error) {
  if (tls_) {
    if (!tls_in_) tls_in_ = std::make_unique<char[]>(tls_read_bytes);
    const std::size_t size = co_await tls_->async_read_some(asio::buffer(tls_in_.get(), tls_read_bytes), into(error));
    co_return std::string_view(tls_in_.get(), size);
  }
  // Wait, then take: no buffer is tied up while nothing comes.
  for (;;) {
    if (!more_likely_) {
      co_await socket_.async_wait(Socket::wait_read, into(error));
      if (error) co_return std::string_view();
    }
    std::string& in = upstreams_.scratch_.in;
    const std::size_t size = socket_.read_some(asio::buffer(in), error);
    more_likely_ = size == in.size();
    if (error == asio::error::would_block) {
      error.clear();
      continue;
    }
    co_return std::string_view(in).substr(0, size);
  }
}

Task<> UpstreamConnection::write(std::string_view head, std::string_view body, std::size_t& written, error_code& error) {
  const std::array<asio::const_buffer, 2> parts = {asio::buffer(head), asio::buffer(body)};
  if (tls_) {
    written = co_await asio::async_write(*tls_, parts, into(error));
    co_return;
  }
  written = 0;
  const std::size_t size = head.size() + body.size();
  for (;;) {
    const std::size_t in_head = std::min(written, head.size());
    const std::array<asio::const_buffer, 2> rest = {asio::buffer(head.substr(in_head)),
                                                    asio::buffer(body.substr(written - in_head))};
    const std::size_t taken = socket_.write_some(rest, error);
    written += taken;
    if (written == size) co_return;
    if (error == asio::error::would_block) {
      error.clear();
      co_await socket_.async_wait(Socket::wait_write, into(error));
    }
    if (error) co_return;
  }
}

bool UpstreamConnection::is_stale() {
  if (!socket_.is_open()) return true;
  // Readable means closed or speaking out of turn; either way it is not used again.
  char byte = 0;
  error_code error;
  socket_.receive(asio::buffer(&byte, 1), Socket::message_peek, error);
  return error != asio::error::would_block;
}

// ------------------------------------------------------------------------------------------------- upstreams

Upstreams::Upstreams(asio::io_context& io, Timers& timers, Log& log, Scratch& scratch, const std::string& ca_file)
    : io_(io),
      timers_(timers),
      log_(log),
      scratch_(scratch),
      tls_(make_tls_context(ca_file)),
      resolver_(io),
      sweep_alarm_(timers, [this] { sweep(); }) {}

Upstreams::~Upstreams() = default;

void Upstreams::close_idle() { idle_.clear(); }

std::unique_ptr<UpstreamConnection> Upstreams::take_idle(const std::string& origin) {
  const auto found = idle_.find(origin);
  if (found == idle_.end()) return nullptr;
  auto& list = found->second;
  while (!list.empty()) {
    std::unique_ptr<UpstreamConnection> connection = std::move(list.back());
    list.pop_back();
    if (!connection->is_stale()) return connection;
  }
  return nullptr;
}

void Upstreams::keep(std::unique_ptr<UpstreamConnection> connection) {
  auto& list = idle_[connection->origin_];
  if (list.size() >= pool_idle_max) return;
  connection->idle_since_ = std::chrono::steady_clock::now();
  connection->more_likely_ = false;
  const bool first = std::all_of(idle_.begin(), idle_.end(), [](const auto& one) { return one.second.empty(); });
  list.push_back(std::move(connection));
  if (first) sweep_alarm_.arm(milliseconds(1'000));
}

void Upstreams::sweep() {
  const auto oldest = std::chrono::steady_clock::now() - pool_idle_limit;
  bool any = false;
  for (auto& [origin, list] : idle_) {
    std::erase_if(list, [&](const auto& connection) { return connection->idle_since_ < oldest; });
    any = any || !list.empty();
  }
  if (any) sweep_alarm_.arm(milliseconds(1'000));
}

// getaddrinfo runs on a thread of asio's and cannot be interrupted. So a lookup belongs to nobody: who
// waits for it may stop waiting.
Task<std::shared_ptr<Upstreams::Lookup>> Upstreams::look_up(const std::string& host, const std::string& port) {
  error_code not_an_address;
  const auto address = asio::ip::make_address(host, not_an_address);
  if (!not_an_address) {
    auto literal = std::make_shared<Lookup>(io_);
    literal->finished = true;
    literal->endpoints.emplace_back(address, static_cast<asio::ip::port_type>(std::stoul(port)));
    co_return literal;
  }
  const std::string key = host + ":" + port;
  std::shared_ptr<Lookup> lookup;
  if (const auto known = lookups_.find(key); known != lookups_.end()) {
    lookup = known->second;
    const bool old = lookup->finished && std::chrono::steady_clock::now() - lookup->at > address_age_max;
    if (old || (lookup->finished && lookup->endpoints.empty())) lookup = nullptr;
  }
  if (!lookup) {
    lookup = std::make_shared<Lookup>(io_);
    lookups_[key] = lookup;
    lookup->finished_signal.expires_after(connect_time_limit);
    resolver_.async_resolve(host, port, [lookup](error_code error, const Tcp::resolver::results_type& results) {
      lookup->finished = true;
      lookup->at = std::chrono::steady_clock::now();
      if (!error) {
        for (const auto& result : results) lookup->endpoints.push_back(result.endpoint());
      }
      lookup->finished_signal.cancel();
    });
  }
  if (!lookup->finished) {
    error_code signalled;
    co_await lookup->finished_signal.async_wait(into(signalled));
  }
  co_return lookup;
}

// ------------------------------------------------------------------------------------------------------ call

Call::Call(Upstreams& upstreams) : upstreams_(upstreams), alarm_(upstreams.timers_, [this] { stop(Failure::timed_out); }) {}

Call::~Call() {
  if (connection_ && done() && clean_ && stopped_ == Failure::none && reply_.keep_alive())
    upstreams_.keep(std::move(connection_));
}

void Call::stop(Failure failure) {
  if (stopped_ != Failure::none) return;
  stopped_ = failure;
  if (connection_) connection_->close();
}

Task<Failure> Call::connect(const Url& url, std::string_view origin) {
  alarm_.arm(connect_time_limit);
  const std::shared_ptr<Upstreams::Lookup> lookup = co_await upstreams_.look_up(url.host, url.port);
  if (stopped_ != Failure::none) co_return stopped_;
  if (!lookup->finished) co_return Failure::timed_out;
  if (lookup->endpoints.empty()) {
    upstreams_.log_.event("upstream_unresolvable", {{"origin", origin}});
    co_return Failure::unresolvable;
  }
  error_code error;
  for (const Tcp::endpoint& endpoint : lookup->endpoints) {
    connection_ = std::make_unique<UpstreamConnection>(upstreams_, std::string(origin));
    co_await connection_->socket_.async_connect(endpoint, into(error));
    if (stopped_ != Failure::none) break;
    if (!error) break;
    upstreams_.log_.debug("upstream_refused_connection",
                          {{"origin", origin}, {"address", describe(endpoint)}, {"reason", error.message()}});
  }
  if (stopped_ != Failure::none || error) {
    const std::string reason = stopped_ == Failure::timed_out ? "no answer within 3 s" : error.message();
    if (stopped_ != Failure::abandoned) upstreams_.log_.event("upstream_unreachable", {{"origin", origin}, {"reason", reason}});
    upstreams_.lookups_.erase(url.host + ":" + url.port);  // it may have moved
    co_return stopped_ != Failure::none ? stopped_ : Failure::unreachable;
  }
  connection_->socket_.non_blocking(true, error);
  connection_->socket_.set_option(Tcp::no_delay(true), error);

  if (url.secure) {
    connection_->tls_ = std::make_unique<TlsStream>(connection_->socket_, upstreams_.tls_);
    TlsStream& tls = *connection_->tls_;
    if (!demand_host(tls, url.host, Inside::http)) {
      upstreams_.log_.event("upstream_untrusted", {{"origin", origin}, {"reason", "the host name cannot be verified"}});
      co_return Failure::untrusted;
    }
    co_await tls.async_handshake(TlsStream::client, into(error));
    if (stopped_ != Failure::none) co_return stopped_;
    if (error) {
      const std::string reason = handshake_failure(tls, error);
      upstreams_.log_.event("upstream_untrusted", {{"origin", origin}, {"reason", reason}});
      co_return Failure::untrusted;
    }
  }
  co_return Failure::none;
}

Failure Call::feed(std::string_view bytes) {
  Scratch& scratch = upstreams_.scratch_;
  for (;;) {
    const std::size_t used = reply_.feed(bytes, scratch.body);
    bytes.remove_prefix(std::min(used, bytes.size()));
    if (reply_.state() == MessageParser::State::failed) return Failure::malformed;
    if (!done()) return Failure::none;
    if (reply_.status() >= 200) {
      clean_ = bytes.empty();
      return Failure::none;
    }
    // 1xx: the answer is still to come.
    if (++interim_replies_ > interim_replies_max) return Failure::malformed;
    reply_.restart(reply_to_);
  }
}

Task<Failure> Call::attempt(const OutgoingRequest& request, const Url& url, milliseconds first_byte_limit, bool& retry) {
  retry = false;
  const std::string origin = (url.secure ? "https://" : "http://") + url.authority;
  const std::string head = request_head(request, url);
  if (head.empty()) co_return Failure::request_unusable;

  const bool may_be_stale = !first_attempt_failed_;
  if (may_be_stale) connection_ = upstreams_.take_idle(origin);
  const bool pooled = connection_ != nullptr;
  if (!pooled) {
    const Failure failure = co_await connect(url, origin);
    if (failure != Failure::none) co_return failure;
  }

  const bool limited = first_byte_limit.count() > 0;
  alarm_.arm(limited ? first_byte_limit : request_write_limit);
  error_code error;
  std::size_t written = 0;
  co_await connection_->write(head, request.body, written, error);
  if (stopped_ != Failure::none) co_return stopped_;
  if (error) clean_ = false;
  if (!limited) alarm_.disarm();  // a run may take its time to answer, not to take the request
  // After a failed write an early answer may still be there to read, a 413 for one.

  upstreams_.scratch_.body.clear();
  bool anything = false;
  while (reply_.state() == MessageParser::State::head) {
    std::string_view bytes;
    if (!error || written > 0) {
      error.clear();
      bytes = co_await connection_->read(error);
      if (stopped_ != Failure::none) co_return stopped_;
    }
    if (error) {
      const bool repeatable = written == 0 || request.method == "GET" || request.method == "HEAD";
      retry = pooled && !anything && repeatable;
      co_return Failure::closed;
    }
    anything = true;
    upstreams_.scratch_.body.clear();
    const Failure failure = feed(bytes);
    if (failure != Failure::none) co_return failure;
  }
  alarm_.disarm();
  co_return Failure::none;
}

Task<Failure> Call::begin(const OutgoingRequest& request, milliseconds first_byte_limit) {
  const std::optional<Url> url = parse_url(request.url);
  if (!url) co_return Failure::request_unusable;
  reply_to_ = request.method == "HEAD" ? ReplyTo::head_method : ReplyTo::other_method;
  reply_.restart(reply_to_);
  bool retry = false;
  Failure failure = co_await attempt(request, *url, first_byte_limit, retry);
  if (retry) {
    // The kept connection was closed by the other side just now.
    first_attempt_failed_ = true;
    connection_.reset();
    clean_ = true;
    reply_.restart(reply_to_);
    failure = co_await attempt(request, *url, first_byte_limit, retry);
  }
  alarm_.disarm();
  if (failure == Failure::closed || failure == Failure::malformed) {
    upstreams_.log_.event("upstream_reply_unusable", {{"origin", url->authority}, {"reason", name(failure)}});
  }
  co_return failure;
}

Task<Failure> Call::more() {
  error_code error;
  const std::string_view bytes = co_await connection_->read(error);
  upstreams_.scratch_.body.clear();
  if (stopped_ != Failure::none) co_return stopped_;
  if (error == asio::error::eof) {
    reply_.feed_end();
    co_return done() ? Failure::none : Failure::closed;
  }
  if (error) co_return Failure::closed;
  co_return feed(bytes);
}

Task<IncomingResponse> Upstreams::collect(Call& call, const OutgoingRequest& request, std::size_t bytes_max,
                                          milliseconds first_byte_limit, milliseconds whole_limit, HeldBytes* held) {
  IncomingResponse response;
  Alarm whole_alarm(timers_, [&call] { call.time_out(); });
  if (whole_limit.count() > 0) whole_alarm.arm(whole_limit);
  Failure failure = co_await call.begin(request, first_byte_limit);
  std::string body;
  while (failure == Failure::none) {
    const bool within_budget = held == nullptr || held->grow(scratch_.body.size());
    if (!within_budget || body.size() + scratch_.body.size() > bytes_max) {
      response.body_over_limit = true;
      break;
    }
    body += scratch_.body;
    if (call.done()) break;
    if (whole_limit.count() == 0) whole_alarm.arm(reply_stall_limit);
    failure = co_await call.more();
  }
  whole_alarm.disarm();
  if (failure != Failure::none) {
    response.timed_out = failure == Failure::timed_out;
    response.body_over_limit = false;
    co_return response;
  }
  response.status = call.reply().status();
  for (const HeaderView& header : call.reply().headers()) {
    Header copy{std::string(header.name), std::string(header.value)};
    for (char& c : copy.name) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    response.headers.push_back(std::move(copy));
  }
  if (!response.body_over_limit) response.body = std::move(body);
  co_return response;
}

}  // namespace postern::native
