// What a policy's tests found -> text for a person, or JSON lines for a program.
#pragma once

#include <string>

#include "postern/policy_test.h"

namespace postern::native {

// A line for each case, below it what was expected and what came instead, and a sum at the end.
[[nodiscard]] std::string readable(const PolicyTestReport& report);
// A JSON object for each case, one a line.
[[nodiscard]] std::string json_lines(const PolicyTestReport& report);

}  // namespace postern::native
