// The configuration as data: JSON with comments in, a validated Config or a ConfigError out.
//
// Unknown keys are errors. No default opens anything: what no rule names is denied, and an issuer
// without an audience does not load unless `any_audience` is spelled out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "postern/result.h"

namespace postern {

// Names and values that "$NAME" in a secret field may refer to. The host decides what it offers.
using Environment = std::vector<std::pair<std::string, std::string>>;

// Functions of the host program that take part in decisions, and which it carries CallHandler steps out for. Said by host code
// alone: a configuration that asks for one in a host without it is refused.
struct HostHandlers {
  bool authenticate = false;  // says who is calling; its place in the chain is {"kind": "handler"}
  bool on = false;            // is asked about every decision, beside the policy: both must allow
};

// For a person: where it is, what is wrong and how to mend it. Holds key names, never values.
struct ConfigError {
  unsigned line = 0;    // 1-based; 0 when the fault has no place in the text
  unsigned column = 0;  // 1-based
  std::string path;     // e.g. issuers[0].audience
  std::string message;
  // "line:column: path: message"
  [[nodiscard]] std::string text() const;
};

}  // namespace postern
