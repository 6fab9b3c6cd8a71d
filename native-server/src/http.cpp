#include "http.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace postern::native {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// RFC 9110 section 5.6.2.
bool is_token_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t'; };
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Calls `visit` for each member of a comma-separated list.
template <typename Visit>
void for_each_member(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = list.find(',');
    const std::string_view member = trimmed(list.substr(0, comma));
    if (!member.empty()) visit(member);
    if (comma == std::string_view::npos) break;
    list.remove_prefix(comma + 1);
  }
}

// RFC 3986 section 3.2.2 with a port, without user information.
bool is_host(std::string_view value) {
  return !value.empty() && value.size() <= 255 && std::all_of(value.begin(), value.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           std::string_view("-._~:[]%!$&'()*+;=").find(c) != std::string_view::npos;
  });
}

// Origin form (RFC 9112 section 3.2.1) of visible ASCII. A fragment never travels in HTTP; some servers
// cut it off and some do not.
bool is_origin_form(std::string_view target) {
  return !target.empty() && target.front() == '/' &&
         std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

}  // namespace

int http_status(HttpFault fault) {
  switch (fault) {
    case HttpFault::none:
      return 500;
#define X(code, status, sentence) \
  case HttpFault::code:           \
    return status;
      POSTERN_HTTP_FAULTS(X)
#undef X
  }
  return 500;
}

std::string_view name(HttpFault fault) {
  switch (fault) {
    case HttpFault::none:
      return "";
#define X(code, status, sentence) \
  case HttpFault::code:           \
    return #code;
      POSTERN_HTTP_FAULTS(X)
#undef X
  }
  return "";
}

std::string_view sentence(HttpFault fault) {
  switch (fault) {
    case HttpFault::none:
      return "";
#define X(code, status, sentence) \
  case HttpFault::code:           \
    return sentence;
      POSTERN_HTTP_FAULTS(X)
#undef X
  }
  return "";
}

bool equal_names(std::string_view left, std::string_view right) {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(), [](char a, char b) { return lower(a) == lower(b); });
}

bool is_hop_by_hop(std::string_view name) {
  static constexpr std::array<std::string_view, 10> names = {
      "connection", "content-length",    "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te",
      "trailer",    "transfer-encoding", "upgrade"};
  return std::any_of(names.begin(), names.end(), [&](std::string_view one) { return equal_names(one, name); });
}

bool is_writable(const Header& header) {
  return !header.name.empty() && std::all_of(header.name.begin(), header.name.end(), is_token_char) &&
         std::all_of(header.value.begin(), header.value.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
         });
}

// What llhttp calls back. Its return values: 0 goes on, -1 fails, HPE_PAUSED stops after this.
struct MessageParser::Callbacks {
  static MessageParser& of(llhttp_t* llhttp) { return *static_cast<MessageParser*>(llhttp->data); }

  static int on_method(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& self = of(llhttp);
    // One empty line may stand before a request (RFC 9112 section 2.2); llhttp takes CR and LF in any number.
    if (self.method_.empty() && self.offset_of(at) != 0 && self.offset_of(at) != 2) {
      self.fail(HttpFault::request_malformed);
      return -1;
    }
    self.method_.append(at, size);
    self.part_end_ = self.offset_of(at) + size;
    return 0;
  }

  static int on_url(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& self = of(llhttp);
    // llhttp lets any number of spaces stand between the parts of the line.
    if (self.target_size_ == 0 && self.offset_of(at) != self.part_end_ + 1) {
      self.fail(HttpFault::request_malformed);
      return -1;
    }
    // "GET " before it and " HTTP/1.1\r\n" after it belong to the line.
    if (self.method_.size() + 12 + self.text_.size() + size > request_line_bytes_max) {
      self.fail(HttpFault::target_too_large);
      return -1;
    }
    self.text_.append(at, size);
    self.target_size_ = self.text_.size();
    self.part_end_ = self.offset_of(at) + size;
    return 0;
  }

  static int on_version(llhttp_t* llhttp, const char* at, std::size_t) {
    MessageParser& self = of(llhttp);
    constexpr std::size_t name_size = 5;  // "HTTP/"
    if (self.kind_ == Kind::request && !self.version_seen_ && self.offset_of(at) != self.part_end_ + 1 + name_size) {
      self.fail(HttpFault::request_malformed);
      return -1;
    }
    self.version_seen_ = true;
    return 0;
  }

  static int on_field_name(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& self = of(llhttp);
    if (!self.take_head_bytes(size)) return -1;
    if (self.state_ != State::head) return 0;  // a trailer: counted, dropped
    if (self.fields_.empty() || self.fields_.back().value_at != 0) {
      const std::size_t fields_max = self.kind_ == Kind::request ? request_fields_max : reply_fields_max;
      if (self.fields_.size() == fields_max) {
        self.fail(HttpFault::head_too_large);
        return -1;
      }
      self.fields_.push_back(Field{static_cast<std::uint32_t>(self.text_.size()), 0, 0, 0});
    }
    self.text_.append(at, size);
    self.fields_.back().name_size += static_cast<std::uint32_t>(size);
    return 0;
  }

  static int on_field_name_complete(llhttp_t* llhttp) {
    MessageParser& self = of(llhttp);
    // Never 0: a name of at least one byte is before it. An empty value is not called back for.
    if (self.state_ == State::head) self.fields_.back().value_at = static_cast<std::uint32_t>(self.text_.size());
    return 0;
  }

  static int on_field_value(llhttp_t* llhttp, const char* at, std::size_t size) {
    MessageParser& self = of(llhttp);
    if (!self.take_head_bytes(size)) return -1;
    if (self.state_ != State::head) return 0;
    self.text_.append(at, size);
    self.fields_.back().value_size += static_cast<std::uint32_t>(size);
    return 0;
  }

  static int on_headers_complete(llhttp_t* llhttp) {
    MessageParser& self = of(llhttp);
    self.finish_head();
    if (self.state_ == State::failed) return -1;
    if (self.kind_ == Kind::request) return HPE_PAUSED;
    return self.framing_ == Framing::none ? 1 : 0;  // 1: no body follows
  }

  static int on_body(llhttp_t* llhttp, const char* at, std::size_t size) {
    of(llhttp).body_->append(at, size);
    return 0;
  }

  static int on_extension(llhttp_t* llhttp, const char*, std::size_t size) {
    MessageParser& self = of(llhttp);
    self.extension_bytes_ += size;
    if (self.extension_bytes_ <= extension_bytes_max) return 0;
    self.fail(HttpFault::request_malformed);
    return -1;
  }

  static int on_message_complete(llhttp_t* llhttp) {
    of(llhttp).state_ = State::done;
    return HPE_PAUSED;
  }

  static const llhttp_settings_t* settings() {
    static const llhttp_settings_t table = [] {
      llhttp_settings_t made;
      llhttp_settings_init(&made);
      made.on_method = on_method;
      made.on_url = on_url;
      made.on_version = on_version;
      made.on_header_field = on_field_name;
      made.on_header_field_complete = on_field_name_complete;
      made.on_header_value = on_field_value;
      made.on_headers_complete = on_headers_complete;
      made.on_body = on_body;
      made.on_chunk_extension_name = on_extension;
      made.on_chunk_extension_value = on_extension;
      made.on_message_complete = on_message_complete;
      return made;
    }();
    return &table;
  }
};

MessageParser::MessageParser(Kind kind) : kind_(kind) { restart(); }

void MessageParser::restart(ReplyTo reply_to) {
  llhttp_init(&llhttp_, kind_ == Kind::request ? HTTP_REQUEST : HTTP_RESPONSE, Callbacks::settings());
  llhttp_.data = this;
  state_ = State::head;
  fault_ = HttpFault::none;
  reply_to_ = reply_to;
  framing_ = Framing::none;
  paused_ = false;
  keep_alive_ = false;
  expects_continue_ = false;
  length_declared_ = false;
  length_ = 0;
  head_bytes_ = extension_bytes_ = trailer_bytes_ = framing_bytes_ = body_bytes_ = target_size_ = part_end_ = 0;
  version_seen_ = false;
  method_.clear();
  text_.clear();
  fields_.clear();
  headers_.clear();
}

void MessageParser::release_head() {
  text_ = std::string();
  target_size_ = 0;
  fields_ = std::vector<Field>();
  headers_ = std::vector<HeaderView>();
}

void MessageParser::fail(HttpFault fault) {
  if (state_ == State::failed) return;
  state_ = State::failed;
  fault_ = fault;
}

bool MessageParser::take_head_bytes(std::size_t size) {
  if (state_ != State::head) {
    trailer_bytes_ += size;
    if (trailer_bytes_ <= trailer_bytes_max) return true;
    fail(HttpFault::request_malformed);
    return false;
  }
  const std::size_t bytes_max = kind_ == Kind::request ? request_head_bytes_max : reply_head_bytes_max;
  // ": " and CRLF around each field are part of the head too.
  if (text_.size() + size + 4 * fields_.size() <= bytes_max) return true;
  fail(HttpFault::head_too_large);
  return false;
}

std::size_t MessageParser::feed(std::string_view bytes, std::string& body) {
  if (state_ == State::done || state_ == State::failed) return 0;
  const bool in_head = state_ == State::head;
  const bool at_start = head_bytes_ == 0;
  const std::size_t body_before = body.size();
  body_ = &body;
  begin_ = bytes.data();
  if (paused_) {
    llhttp_resume(&llhttp_);
    paused_ = false;
  }
  if (in_head && kind_ == Kind::request) {
    for (std::size_t i = head_bytes_; i < 2 && i - head_bytes_ < bytes.size(); ++i) {
      if (bytes[i - head_bytes_] == (i == 0 ? '\n' : '\r')) return fail(HttpFault::request_malformed), bytes.size();
    }
  }
  const llhttp_errno_t error = llhttp_execute(&llhttp_, bytes.data(), bytes.size());
  std::size_t used = bytes.size();
  if (error != HPE_OK) {
    const char* at = llhttp_get_error_pos(&llhttp_);
    used = at == nullptr ? bytes.size() : static_cast<std::size_t>(at - bytes.data());
  }
  if (error == HPE_PAUSED) {
    paused_ = true;
  } else if (error != HPE_OK && state_ != State::failed) {
    HttpFault fault = HttpFault::request_malformed;
    // What stands behind the version has the same error.
    const bool version_fine = llhttp_.http_major == 1 && llhttp_.http_minor <= 1;
    if ((error == HPE_INVALID_VERSION && !version_fine) || error == HPE_PAUSED_H2_UPGRADE) {
      fault = HttpFault::version_not_supported;
    }
    if (error == HPE_INVALID_METHOD && at_start) {
      // A method nobody knows is told apart from bytes that are no HTTP at all, as of a TLS handshake.
      const std::size_t word = std::min(bytes.find(' '), bytes.size());
      if (word > 0 && word < bytes.size() && word <= 32 &&
          std::all_of(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(word), is_token_char)) {
        fault = HttpFault::method_not_supported;
      }
    }
    fail(fault);
  }
  if (state_ == State::failed) return used;

  if (in_head && kind_ == Kind::request) {
    head_bytes_ += used;
    // Counted here as well: blank lines before the request are called back for by nobody.
    if (head_bytes_ > request_head_bytes_max + request_line_bytes_max) fail(HttpFault::head_too_large);
  } else {
    head_bytes_ += used;
    const std::size_t body_bytes = body.size() - body_before;
    body_bytes_ += body_bytes;
    framing_bytes_ += used - body_bytes;
    const std::size_t allowance = framing_bytes_max + (kind_ == Kind::response ? reply_head_bytes_max : 0);
    // A chunk of one byte takes five more.
    if (framing_bytes_ > allowance + 8 * body_bytes_) fail(HttpFault::request_malformed);
  }
  return used;
}

void MessageParser::feed_end() {
  if (state_ == State::done || state_ == State::failed) return;
  if (state_ == State::body && framing_ == Framing::until_close) {
    state_ = State::done;
  } else {
    fail(HttpFault::request_malformed);
  }
}

void MessageParser::finish_head() {
  headers_.reserve(fields_.size());
  for (const Field& field : fields_) {
    const std::string_view text(text_);
    headers_.push_back(
        HeaderView{text.substr(field.name_at, field.name_size), trimmed(text.substr(field.value_at, field.value_size))});
  }
  kind_ == Kind::request ? check_request() : check_reply();
  if (state_ == State::failed) return;
  state_ = State::body;
  if (kind_ == Kind::request && framing_ == Framing::none) state_ = State::done;
}

// Refuses, as RFC 9112 section 6 asks of whoever stands in front of others: Content-Length beside
// Transfer-Encoding; more than one of either; a length that is not digits or over 2^63; a coding other
// than exactly "chunked"; any coding in HTTP/1.0.
bool MessageParser::read_framing() {
  const std::string_view* length = nullptr;
  const std::string_view* coding = nullptr;
  for (const HeaderView& header : headers_) {
    const bool is_length = equal_names(header.name, "content-length");
    if (!is_length && !equal_names(header.name, "transfer-encoding")) continue;
    const std::string_view*& seen = is_length ? length : coding;
    if (seen != nullptr) return fail(HttpFault::request_malformed), false;
    seen = &header.value;
  }
  if (length != nullptr && coding != nullptr) return fail(HttpFault::request_malformed), false;
  if (coding != nullptr) {
    if (is_http_1_0()) return fail(HttpFault::request_malformed), false;
    if (!equal_names(*coding, "chunked")) {
      // Chunked last and something before it: framed clearly, but not to be decoded here. Else nobody
      // knows where the body ends.
      const std::size_t comma = coding->rfind(',');
      const bool chunked_last = comma != std::string_view::npos && equal_names(trimmed(coding->substr(comma + 1)), "chunked");
      return fail(chunked_last ? HttpFault::coding_not_supported : HttpFault::request_malformed), false;
    }
    framing_ = Framing::chunked;
    return true;
  }
  if (length != nullptr) {
    // 18 digits: below 2^63, so no sum of lengths overflows.
    if (length->empty() || length->size() > 18) return fail(HttpFault::request_malformed), false;
    const auto [end, error] = std::from_chars(length->data(), length->data() + length->size(), length_);
    if (error != std::errc() || end != length->data() + length->size()) return fail(HttpFault::request_malformed), false;
    framing_ = Framing::length;
    length_declared_ = true;
    return true;
  }
  framing_ = Framing::none;
  return true;
}

// Sets keep_alive_ and takes the hop-by-hop fields out of headers_.
void MessageParser::read_connection() {
  keep_alive_ = !is_http_1_0();  // HTTP/1.0 connections are used once
  std::vector<std::string_view> named;
  for (const HeaderView& header : headers_) {
    if (!equal_names(header.name, "connection")) continue;
    for_each_member(header.value, [&](std::string_view option) {
      if (equal_names(option, "close")) keep_alive_ = false;
      named.push_back(option);
    });
  }
  std::erase_if(headers_, [&](const HeaderView& header) {
    return is_hop_by_hop(header.name) ||
           std::any_of(named.begin(), named.end(), [&](std::string_view option) { return equal_names(option, header.name); });
  });
}

void MessageParser::check_request() {
  if (llhttp_.http_major != 1 && llhttp_.http_major != 0) return fail(HttpFault::version_not_supported);
  if (llhttp_.http_major != 1) return fail(HttpFault::request_malformed);  // HTTP/0.9
  if (llhttp_.http_minor > 1) return fail(HttpFault::version_not_supported);
  if (method_ == "CONNECT") return fail(HttpFault::method_not_supported);
  if (!is_origin_form(target())) return fail(HttpFault::request_malformed);
  std::size_t hosts = 0;
  for (const HeaderView& header : headers_) {
    if (header.name.empty() || !std::all_of(header.name.begin(), header.name.end(), is_token_char)) {
      return fail(HttpFault::request_malformed);
    }
    if (equal_names(header.name, "host")) {
      ++hosts;
      if (!is_host(header.value)) return fail(HttpFault::request_malformed);
    } else if (equal_names(header.name, "upgrade")) {
      return fail(HttpFault::upgrade_not_supported);
    } else if (equal_names(header.name, "expect")) {
      if (!equal_names(header.value, "100-continue")) return fail(HttpFault::expectation_not_supported);
      expects_continue_ = !is_http_1_0();
    }
  }
  if (hosts > 1 || (hosts == 0 && !is_http_1_0())) return fail(HttpFault::request_malformed);
  if (!read_framing()) return;
  if (framing_ == Framing::length && length_ == 0) framing_ = Framing::none;
  read_connection();
}

void MessageParser::check_reply() {
  if (llhttp_.http_major != 1 || llhttp_.http_minor > 1 || status() < 100 || status() > 599) {
    return fail(HttpFault::request_malformed);
  }
  if (status() == 101) return fail(HttpFault::request_malformed);  // nobody asked to switch protocols
  if (!read_framing()) return;
  // RFC 9112 section 6.3, rules 1 and 8.
  const bool bodiless = reply_to_ == ReplyTo::head_method || status() < 200 || status() == 204 || status() == 304;
  if (bodiless) {
    framing_ = Framing::none;
  } else if (framing_ == Framing::none) {
    framing_ = Framing::until_close;
  }
  read_connection();
  if (framing_ == Framing::until_close) keep_alive_ = false;
}

namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";  // the phrase may be empty; the space before it may not (RFC 9112 section 4)
  }
}

}  // namespace

void append_status_line(std::string& out, int status) {
  out += "HTTP/1.1 ";
  out += std::to_string(status);
  out += ' ';
  out += reason(status);
  out += "\r\n";
}

void append_header(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

void append_chunk_size(std::string& out, std::size_t size) {
  std::array<char, 17> digits;
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16);
  out.append(digits.data(), end);
  out += "\r\n";
}

}  // namespace postern::native
