// Why a request is refused, with what a client may be told about it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "postern/error.h"
#include "postern/request.h"

namespace postern {

struct Refusal {
  Error error;
  std::string detail = {};               // "": the error's own sentence. Names fields and parameters, never values
  std::string allow = {};                // the methods that are accepted, for method_not_allowed
  std::int64_t retry_after_seconds = 1;  // sent with 503
  std::string scope = {};                // the scopes that are missing, for scope_insufficient (RFC 6750 section 3.1)
  int status = 0;                        // a handler's own instead of the error's; 0: the error's
  std::vector<Header> headers = {};      // a handler's, for the client
};

// `text` in quotes when it is short and plain enough to be repeated in an error, else "(unprintable)".
[[nodiscard]] inline std::string printable_name(std::string_view text) {
  const bool plain = !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-' || c == '.' ||
           c == ':' || c == '*';
  });
  return plain ? "\"" + std::string(text) + "\"" : "(unprintable)";
}

}  // namespace postern
