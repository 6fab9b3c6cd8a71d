#include "fuzz/claim_reference.h"

#include <algorithm>
#include <cmath>

#include "fuzz/reference_json.h"

namespace postern::fuzz {
namespace {

std::string lower_case(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

// RFC 7515 4.1.9: "application/" may be left out of a typ that has no other slash.
std::string media_type(std::string typ) {
  typ = lower_case(std::move(typ));
  const std::string prefix = "application/";
  if (typ.size() > prefix.size() && typ.rfind(prefix, 0) == 0 && typ.find('/', prefix.size()) == std::string::npos) {
    return typ.substr(prefix.size());
  }
  return typ;
}

struct Moment {
  bool valid = false;
  bool exact = false;
  long double ms = 0;
  bool doubtful = false;  // perhaps not valid
};

// NumericDate: a number of seconds, 0 to 2^53.
Moment moment_of(const Dom& value) {
  if (value.is_number_unsigned()) {
    const auto seconds = value.get<std::uint64_t>();
    return {seconds <= (std::uint64_t{1} << 53), true, static_cast<long double>(seconds) * 1000};
  }
  if (value.is_number_integer()) {
    const auto seconds = value.get<std::int64_t>();
    return {seconds == 0, true, 0};  // the DOM keeps only negative ones signed, and -0
  }
  if (!value.is_number_float()) return {};
  const long double seconds = value.get<double>();
  // What the DOM has rounded to one of the bounds may be on either side of it.
  if (seconds == 0 || seconds == 9007199254740992.0L) return {true, false, seconds * 1000, true};
  return {seconds >= 0 && seconds <= 9007199254740992.0L, false, seconds * 1000};
}

struct Reader {
  const Dom& claims;
  const ReferenceRules& rules;
  Judgement out{Verdict::accept, {}, {}};

  [[nodiscard]] bool has(const char* name) const { return claims.contains(name); }
  bool reject(std::string why) {
    if (out.verdict != Verdict::reject) out = {Verdict::reject, {}, std::move(why)};
    return false;
  }
  // `left` must be before `right`.
  void before(const Moment& moment, long double left, long double right, const char* why) {
    if (moment.doubtful || (!moment.exact && std::fabs(left - right) <= 2)) {
      if (out.verdict == Verdict::accept) out.verdict = Verdict::undecided;
    } else if (!(left < right)) {
      reject(why);
    }
  }

  void issuer() {
    if (!has("iss") || !claims["iss"].is_string() || claims["iss"] != rules.issuer) reject("iss");
  }

  void audience() {
    if (rules.audience_absent) {
      if (has("aud")) reject("aud, where another claim says whom the token is for");
      return;
    }
    if (!has("aud")) {
      if (!rules.any_audience) reject("no aud");
      return;
    }
    std::vector<Dom> list;
    const Dom& aud = claims["aud"];
    if (aud.is_string()) {
      list.push_back(aud);
    } else if (aud.is_array()) {
      list = aud.get<std::vector<Dom>>();
    } else {
      reject("aud is neither a string nor a list");
    }
    bool listed = rules.any_audience;
    for (const Dom& one : list) {
      if (!one.is_string()) {
        reject("aud holds something else than strings");
        return;
      }
      for (const std::string& ours : rules.audiences) listed = listed || one == ours;
    }
    if (!listed) reject("aud is another's");
  }

  void times(std::int64_t now_ms) {
    const long double now = now_ms;
    const long double leeway = static_cast<long double>(rules.leeway_seconds) * 1000;
    if (!has("exp")) return void(reject("no exp"));
    const Moment exp = moment_of(claims["exp"]);
    if (!exp.valid) return void(reject("exp is no date"));
    before(exp, now, exp.ms + leeway, "expired");
    for (const char* name : {"nbf", "iat"}) {
      if (!has(name)) continue;
      const Moment from = moment_of(claims[name]);
      if (!from.valid) return void(reject("nbf or iat is no date"));
      // Good from this very millisecond on.
      before(from, from.ms, now + leeway + 1, "not yet");
    }
  }

  void kind(const std::string& typ) {
    for (const char* name : {"events", "htm", "htu", "cnf"}) {
      if (has(name)) reject("a logout token, a DPoP proof or a bound token");
    }
    if (rules.id_tokens) return;
    for (const char* name : {"at_hash", "c_hash", "s_hash"}) {
      if (has(name)) reject("an ID token");
    }
    if (has("nonce") && ((!has("scope") && !has("scp")) || typ == "at+jwt")) reject("an ID token, by its nonce");
  }

  void strings() {
    for (const char* name : {"sub", "jti"}) {
      if (has(name) && !claims[name].is_string()) reject("sub or jti is no string");
    }
    for (const auto& [name, value] : rules.required) {
      if (!claims.contains(name) || claims[name] != value) reject("a required claim");
    }
    for (const auto& [name, value] : rules.only) {
      if (claims.contains(name) && claims[name] != value) reject("a claim that may say one thing only");
    }
    bool some = rules.required_any.empty();
    for (const std::string& name : rules.required_any) some = some || (claims.contains(name) && !claims[name].is_null());
    if (!some) reject("none of the claims of which one is required");
  }

  void identity() {
    const std::string identity = string_member(claims, rules.identity_claim.c_str());
    if (identity.empty() || identity.size() > 256) return void(reject("identity"));
    if (rules.identity_claim == "email" && (!has("email_verified") || claims["email_verified"] != true)) {
      return void(reject("an email that nobody verified"));
    }
    for (const char c : identity) {
      const auto byte = static_cast<unsigned char>(c);
      if (byte < 0x20 || byte == 0x7F) return void(reject("identity has a control character"));
    }
    if (out.verdict != Verdict::reject) out.identity = identity;
  }
};

}  // namespace

Judgement judge_claims(const std::optional<std::string>& typ, std::string_view payload, const ReferenceRules& rules,
                       std::int64_t now_ms) {
  const std::string type = media_type(typ.value_or(""));
  if (!typ && rules.type_required) return {Verdict::reject, {}, "no typ"};
  if (typ && std::find(rules.types.begin(), rules.types.end(), type) == rules.types.end()) return {Verdict::reject, {}, "typ"};
  const ReferenceText text = read_reference(payload);
  if (!text.strict || !text.dom.is_object()) return {Verdict::reject, {}, "no strict JSON object"};
  if (text.depth > 16 || text.values > 1024) return {Verdict::reject, {}, "over the limits"};
  Reader reader{text.dom, rules};
  reader.issuer();
  reader.audience();
  reader.times(now_ms);
  reader.kind(type);
  reader.strings();
  reader.identity();
  return reader.out;
}

}  // namespace postern::fuzz
