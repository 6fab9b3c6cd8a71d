// Whether a payload's claims are good, decided a second time: the rules as docs and RFCs say them, over nlohmann's DOM,
// one after the other and without a thought for speed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::fuzz {

struct ReferenceRules {
  std::string issuer;
  std::vector<std::string> audiences;
  bool any_audience = false;
  std::int64_t leeway_seconds = 5;
  std::vector<std::string> types = {"jwt", "at+jwt"};  // lower case
  bool type_required = false;
  std::vector<std::pair<std::string, std::string>> required;
  std::vector<std::string> required_any;                  // one of them is there and not null
  std::vector<std::pair<std::string, std::string>> only;  // where it is there, it says this
  bool audience_absent = false;                           // aud must not be there
  std::string identity_claim = "sub";                     // an email must be verified
  bool id_tokens = false;
};

// undecided: a time with a fraction of a second so close to `now` that rounding decides.
enum class Verdict : std::uint8_t { accept, reject, undecided };

struct Judgement {
  Verdict verdict = Verdict::reject;
  std::string identity;  // when not rejected
  std::string why;       // when rejected
};

// `typ`: of the header, when it has one.
[[nodiscard]] Judgement judge_claims(const std::optional<std::string>& typ, std::string_view payload, const ReferenceRules& rules,
                                     std::int64_t now_ms);

}  // namespace postern::fuzz
