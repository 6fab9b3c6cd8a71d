// Why a request is refused, with what a client may be told about it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "postern/error.h"
#include "postern/request.h"

namespace postern {

// A refusal in a client's words, as a literal.
struct Reason {
  Error error;
  const char* text;
};

// Two words, made by a call: there are a hundred places that refuse, and each is compiled and sent to every edge.
class Refusal {
 public:
  struct Details {
    std::string text;                      // "": the error's own sentence. Names fields and parameters, never values
    std::string allow;                     // the methods that are accepted, for method_not_allowed
    std::string scope;                     // the scopes that are missing, for scope_insufficient (RFC 6750 section 3.1)
    std::int64_t retry_after_seconds = 1;  // sent with 503
    int status = 0;                        // a handler's own instead of the error's; 0: the error's
    std::vector<Header> headers;           // a handler's, for the client
  };

  Refusal(Error error);           // NOLINT: implicit by intent
  Refusal(const Reason& reason);  // NOLINT: implicit by intent
  Refusal(Error error, const char* text) : Refusal(Reason{error, text}) {}
  Refusal(Error error, std::string text);
  Refusal(const Refusal& other);
  Refusal(Refusal&& other) noexcept;
  Refusal& operator=(Refusal other) noexcept;
  ~Refusal();

  [[nodiscard]] Error error() const { return error_; }
  [[nodiscard]] const Details& details() const;
  // To be filled in.
  [[nodiscard]] Details& details();

 private:
  Error error_;
  std::unique_ptr<Details> details_;  // none: as a Details is made
};

// `text` in quotes when it is short and plain enough to be repeated in an error, else "(unprintable)".
[[nodiscard]] std::string printable_name(std::string_view text);

}  // namespace postern
