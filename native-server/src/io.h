// The asio names used here, with the concrete executor: any_io_executor is type-erased, and every
// socket, timer and coroutine frame would carry it.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>

#include "postern/time.h"

namespace postern::native {

namespace asio = boost::asio;
using boost::system::error_code;
using std::chrono::milliseconds;

using Executor = asio::io_context::executor_type;
using Tcp = asio::ip::tcp;
using Socket = asio::basic_stream_socket<Tcp, Executor>;
using Acceptor = asio::basic_socket_acceptor<Tcp, Executor>;
using SteadyTimer = asio::basic_waitable_timer<std::chrono::steady_clock, asio::wait_traits<std::chrono::steady_clock>, Executor>;

template <typename T = void>
using Task = asio::awaitable<T, Executor>;

// Awaits an operation; its error lands in `error` instead of an exception.
inline auto into(error_code& error) { return asio::redirect_error(asio::use_awaitable_t<Executor>(), error); }

// The only place that reads the wall clock; the core gets it as an argument.
inline Time now() {
  return Time{std::chrono::duration_cast<milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
}

// Buffers for bytes between a read and the write that follows it, one set per thread. Nothing in here
// may be used across a suspension: whoever runs meanwhile overwrites it. That is why an idle
// connection or stream owns no buffer.
struct Scratch {
  // One read takes at most this: large enough that a fast body needs few system calls, small enough
  // that the rest of a write to a slow peer can be kept.
  static constexpr std::size_t read_bytes = 64 * 1024;

  std::string in = std::string(read_bytes, '\0');
  std::string body;
  std::string out;
};

}  // namespace postern::native
