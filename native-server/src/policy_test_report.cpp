#include "policy_test_report.h"

namespace postern::native {
namespace {

std::string summary(const PolicyTestResult& result) {
  std::string out = result.outcome + ", " + std::to_string(result.status);
  if (!result.code.empty()) out += " " + result.code;
  return result.rule.empty() ? out + ", before any rule" : out + ", by the rule \"" + result.rule + "\"";
}

}  // namespace

std::string readable(const PolicyTestReport& report) {
  std::string out;
  for (const PolicyTestResult& result : report.results) {
    out += (result.differences.empty() ? "ok    " : "FAIL  ") + result.name + "\n";
    if (result.differences.empty()) continue;
    out += "      it came to: " + summary(result) + "\n";
    for (const PolicyTestDifference& one : result.differences) {
      out += "      " + one.what + "\n        - expected " + one.expected + "\n        + got      " + one.got + "\n";
    }
  }
  const std::size_t passed = report.results.size() - report.failed;
  return out + std::to_string(passed) + " passed, " + std::to_string(report.failed) + " failed\n";
}

std::string json_lines(const PolicyTestReport& report) {
  std::string out;
  for (const PolicyTestResult& result : report.results) out += to_json(result) + "\n";
  return out;
}

}  // namespace postern::native
