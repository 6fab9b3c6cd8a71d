// Tests of a policy as a table: user, request and the upstream's objects in; what the gate does with it out.
//
// Nothing here is reachable from a request: the user comes from the file, and the upstream is simulated from its objects.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "postern/config.h"
#include "postern/result.h"

namespace postern {

// One expectation that was not met; both sides as JSON.
struct PolicyTestDifference {
  std::string what;  // the member of `expect`
  std::string expected;
  std::string got;
};

struct PolicyTestResult {
  std::string name;
  std::string outcome;                            // allow, deny or not_found
  int status = 0;                                 // of the final reply
  std::string code;                               // of the refusal; "" when the reply is the upstream's
  std::string rule;                               // the key of the policy's row; "" when the request did not get to the policy
  std::vector<PolicyTestDifference> differences;  // empty: passed
};

struct PolicyTestReport {
  std::vector<PolicyTestResult> results;
  std::size_t failed = 0;
};

// The `config` of a test file when it is the path of another file, or "" when the configuration stands in place.
[[nodiscard]] Result<std::string, ConfigError> policy_test_config(std::string_view text);

// Runs a test file (docs/policy-tests.md; JSON with comments). `config` is the text of the configuration when the file gives a
// path. Secrets "$NAME" in it need no value here. The error says what is wrong with the file; a fault of the configuration has
// the path "config".
[[nodiscard]] Result<PolicyTestReport, ConfigError> test_policy(std::string_view text, std::string_view config = {});

// {"name", "passed", "outcome", "status", "code"?, "rule"?, "differences": [{"what", "expected", "got"}]}: one line.
[[nodiscard]] std::string to_json(const PolicyTestResult& result);

}  // namespace postern
