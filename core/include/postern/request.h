// A request head as the host received it, and a request the host is to send.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern {

struct Header {
  std::string name;   // any case on input; lower case in what the core makes
  std::string value;  // no CR, LF or NUL
};

// What the client sent, body apart. The views live until Gate::open returns: it copies what it keeps.
struct HeaderView {
  std::string_view name;
  std::string_view value;
};

struct RequestHead {
  std::string_view method;  // as sent, e.g. "GET"
  std::string_view target;  // origin form: path and query, e.g. "/threads/search?x=1"
  const HeaderView* headers = nullptr;
  std::size_t headers_size = 0;
};

// What the host is to send. The URL is absolute and its origin is one of the configuration's
// (invariant configured-origins). Header names are lower case; the host adds only Host and framing.
struct OutgoingRequest {
  std::string method;
  std::string url;
  std::vector<Header> headers;
  std::string body;  // empty: none is sent
};

// What came back. Redirects are never followed, so 3xx is an ordinary status here.
struct IncomingResponse {
  int status = 0;  // 0: no response (connect, TLS or protocol failure, time-out)
  std::vector<Header> headers;
  std::string body;
  bool timed_out = false;        // with status 0: the time limit passed
  bool body_over_limit = false;  // the body was longer than bytes_max; `body` is empty
};

}  // namespace postern
