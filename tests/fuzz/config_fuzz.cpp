// Arbitrary text as the configuration.
//
// - No gate without an audience for each issuer, unless any_audience is spelled out or the preset's documentation fixes it;
//   none with an identity space that two issuers share by accident.
// - Keys come over TLS or from this machine; a key that is not known makes the whole configuration fail.
// - An error always has its text: one line, with a place in the file, and never a secret.
// - A gate that was made refuses who shows nothing, and who shows a token that nobody signed.
#include <algorithm>
#include <fstream>
#include <functional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "fuzz/must.h"
#include "fuzz/mutate_json.h"
#include "fuzz/reference_json.h"
#include "fuzz/tokens.h"
#include "postern/gate.h"
#include "preset.h"
#include "settings.h"

namespace postern::fuzz {
namespace {

constexpr std::string_view secret = "s3cr3t-of-the-environment-0123456789-abcdef-0123456789";

const Environment& environment() {
  static const Environment values = {{"SECRET", std::string(secret)}, {"EMPTY", ""}, {"SHORT", "short"}, {"CONTROL", "a\nb"}};
  return values;
}

// https, or http to this machine; nothing in it that a second parser could take for another host.
bool is_secure(std::string_view url) {
  for (const std::string_view start : {"http://127.0.0.1", "http://localhost", "http://[::1]", "https://"}) {
    if (!url.starts_with(start)) continue;
    const std::string_view rest = url.substr(start.size());
    const bool host_ends = start == "https://" || rest.empty() || rest.front() == '/' || rest.front() == ':';
    if (host_ends && url.find_first_of("@?#\\% \t\r\n") == std::string_view::npos) return true;
  }
  return false;
}

bool is_true(const Dom& object, const char* name) { return object.is_object() && object.contains(name) && object[name] == true; }

void check_issuer(const IssuerSettings& issuer, const Dom& dom) {
  const ClaimRules& rules = issuer.claims;
  must(!rules.issuer.empty(), "an issuer has a name");
  const Preset* preset = find_preset(string_member(dom, "preset"));
  const bool fixed = preset != nullptr && !preset->audience.empty();
  must(dom.contains("audience") || is_true(dom, "any_audience") || fixed, "an audience is named, or any_audience spelled out");
  must(!rules.any_audience || is_true(dom, "any_audience"), "any audience is accepted where that is spelled out only");
  if (rules.audience_absent) {
    const bool elsewhere = preset != nullptr && preset->audience_claim != "aud" &&
                           std::any_of(rules.required.begin(), rules.required.end(), [&](const auto& pair) {
                             return pair.first == preset->audience_claim && !pair.second.empty();
                           });
    must(elsewhere, "aud is not looked at only where the preset's claim is");
  }
  must(rules.any_audience || rules.audience_absent || !rules.audiences.empty(), "an audience is checked");
  for (const std::string& audience : rules.audiences) must(!audience.empty(), "no audience is empty");
  must(rules.leeway_seconds >= 0 && rules.leeway_seconds <= 300, "the leeway is bounded");
  must(!rules.identity_claim.empty(), "the identity comes from a claim");
  must(!rules.types.empty(), "some typ is accepted");
  for (const auto& [name, value] : rules.required) must(!value.empty(), "a required claim has a value", name);

  must(!issuer.algorithms.empty(), "some algorithm is accepted");
  for (const Jwa* alg : issuer.algorithms) {
    must(alg != nullptr && (alg->scheme != Scheme::hmac || dom.contains("symmetric_keys")),
         "a symmetric algorithm comes with a configured secret");
  }
  for (const Jwk& key : issuer.static_keys) {
    must(key.key.kind() != KeyKind::symmetric || key.alg != nullptr, "a secret is for one algorithm", key.kid);
  }
  must(issuer.fetches_keys || !issuer.static_keys.empty(), "keys stand in the configuration, or are fetched");
  if (issuer.fetches_keys) {
    const std::string& source = issuer.keys.jwks_uri.empty() ? issuer.keys.issuer : issuer.keys.jwks_uri;
    must(is_secure(source), "keys are fetched over TLS or from this machine", source);
  }
  must(issuer.keys.issuer == rules.issuer, "keys and claims are of one issuer");
  must(issuer.keys.max_age_seconds >= 30 && issuer.keys.max_age_seconds <= 86'400, "keys age");
  must(issuer.keys.stale_seconds_max >= 0 && issuer.keys.stale_seconds_max <= 86'400,
       "keys do not outlive their issuer for long");
}

// The people of a table are nobody else's: no other source can come by their identity.
void check_identity_spaces(const Settings& settings) {
  std::vector<std::string> prefixes;  // of sources whose identities come from outside
  for (const IssuerSettings& issuer : settings.issuers) prefixes.push_back(issuer.identity_prefix);
  std::set<std::string> known;  // of the tables before
  for (const CredentialSource& source : settings.credentials.chain) {
    if (const auto* check = std::get_if<OnlineCheckSettings>(&source)) prefixes.push_back(check->identity_prefix);
  }
  const auto add = [&](const std::vector<KnownUser>& users) {
    for (const KnownUser& one : users) {
      for (const std::string& prefix : prefixes) must(!one.user.identity.starts_with(prefix), "a table's people are its own");
      must(!known.contains(one.user.identity), "two tables share nobody");
    }
    for (const KnownUser& one : users) known.insert(one.user.identity);
  };
  for (const CredentialSource& source : settings.credentials.chain) {
    if (const auto* tokens = std::get_if<StaticTokens>(&source)) add(tokens->users);
    if (const auto* keys = std::get_if<ApiKeys>(&source)) add(keys->users);
  }
}

void check_identities(const Settings& settings, const Dom& dom) {
  const auto& issuers = settings.issuers;
  must(!settings.credentials.chain.empty(), "there is a way to say who one is");
  for (std::size_t i = 0; i < issuers.size(); ++i) {
    for (std::size_t j = 0; j < issuers.size(); ++j) {
      if (i == j) continue;
      must(issuers[i].claims.issuer != issuers[j].claims.issuer, "no issuer is configured twice");
      if (is_true(dom, "shared_identities")) continue;
      must(!issuers[j].identity_prefix.starts_with(issuers[i].identity_prefix), "identities of two issuers never meet");
    }
  }
  if (!is_true(dom, "shared_identities")) check_identity_spaces(settings);
}

void check_upstream(const UpstreamSettings& upstream) {
  const bool scheme = upstream.url.starts_with("http://") || upstream.url.starts_with("https://");
  must(scheme && !upstream.url.ends_with('/'), "the upstream is a URL without a trailing slash", upstream.url);
  must(upstream.url.find_first_of("@?#\\% \t\r\n") == std::string::npos, "the upstream's URL is plain", upstream.url);
  std::set<std::string> names;
  for (const Header& header : upstream.headers) {
    must(!header.name.empty() && header.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string::npos,
         "a header's name is a token in lower case", header.name);
    must(names.insert(header.name).second, "no header is sent twice", header.name);
    for (const char c : header.value) must(static_cast<unsigned char>(c) >= 0x20 && c != 0x7F, "a header's value is one line");
  }
}

// A member that is not known, put anywhere that is closed, must be found.
void check_unknown_keys(const Dom& dom) {
  const auto must_fail = [](const Dom& changed) {
    must(!Gate::create(changed.dump(), environment()).ok(), "a key that is not known is refused", changed.dump());
  };
  for (const char* where : {"/x-unknown-9", "/issuers/0/x-unknown-9", "/upstream/x-unknown-9", "/limits/x-unknown-9"}) {
    const Dom::json_pointer pointer(where);
    if (!dom.contains(pointer.parent_pointer())) continue;
    Dom changed = dom;
    changed[pointer] = true;
    must_fail(changed);
  }
  if (!dom.contains("policy")) return;
  Dom changed = dom;
  changed["policy"]["x-unknown-9"] = "deny";
  must_fail(changed);
}

// Without the members that name audiences, an issuer must fail unless its preset fixes it.
void check_without_audience(Dom dom) {
  bool fixed = false;
  for (Dom& issuer : dom["issuers"]) {
    issuer.erase("audience");
    issuer.erase("any_audience");
    const Preset* preset = find_preset(string_member(issuer, "preset"));
    fixed = fixed || (preset != nullptr && !preset->audience.empty());
  }
  must(fixed || !Gate::create(dom.dump(), environment()).ok(), "without an audience no gate is made", dom.dump());
}

void check_gate(Gate gate) {
  const Time now{token_file().now_ms};
  for (const Fetch& fetch : gate.due(now).fetches) must(is_secure(fetch.request.url), "keys are fetched ahead securely");
  const std::string token = token_file().find("zero_signature")->text;
  for (const std::string& value : {std::string(), "Bearer " + token}) {
    const HeaderView header{"authorization", value};
    const RequestHead head{"GET", "/threads/11111111-1111-4111-8111-111111111111", &header, value.empty() ? 0U : 1U};
    const auto exchange = gate.open(head, now);
    const Step step = exchange->next(now);
    if (const auto* respond = std::get_if<Respond>(&step.action)) {
      must(respond->status == 401, "nobody gets 401");
    } else if (const auto* fetch = std::get_if<Fetch>(&step.action)) {
      must(!value.empty() && fetch->purpose != FetchPurpose::upstream_object, "only keys are fetched for a stranger");
      must(is_secure(fetch->request.url), "keys are fetched securely", fetch->request.url);
    } else {
      must(false, "a stranger is refused, or keys are fetched to judge");
    }
    must(read_reference(gate.explain(head, "{}", now)).strict, "an explanation is JSON");
  }
}

void check_error(const ConfigError& error, std::string_view text, const ReferenceText& read) {
  const std::string told = error.text();
  must(!error.message.empty() && !told.empty(), "an error has its text");
  const auto lines = static_cast<unsigned>(std::count(text.begin(), text.end(), '\n') + 1);
  must(error.line >= 1 && error.line <= lines && error.column >= 1 && error.column <= text.size() + 1, "an error has its place");
  must(std::none_of(told.begin(), told.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; }),
       "an error is one printable line", told);
  must(text.find(secret) != std::string_view::npos || told.find(secret) == std::string::npos,
       "no secret of the environment is told");
  // A secret that stands in the text itself. "$NAME" is a name, and a word that errors have by themselves is no secret.
  if (!read.strict || !read.dom.is_object() || !read.dom.contains("issuers") || !read.dom["issuers"].is_array()) return;
  for (const Dom& issuer : read.dom["issuers"]) {
    if (!issuer.is_object() || !issuer.contains("symmetric_keys") || !issuer["symmetric_keys"].is_array()) continue;
    for (const Dom& key : issuer["symmetric_keys"]) {
      const std::string value = string_member(key, "secret");
      if (value.size() < 24 || value.front() == '$' || value.find_first_of("0123456789") == std::string::npos) continue;
      const std::size_t first = text.find(value);
      const bool elsewhere = first != std::string_view::npos && text.find(value, first + 1) != std::string_view::npos;
      must(elsewhere || told.find(value) == std::string::npos, "no secret of the configuration is told", told);
    }
  }
}

void check(std::string_view text) {
  const ReferenceText read = read_reference(text, ReferenceComments::skip);
  auto gate = Gate::create(text, environment());
  auto settings = parse_settings(text, environment());
  must(gate.ok() == settings.ok(), "a gate is made of what parses");
  if (!gate) return check_error(gate.error(), text, read);

  must(read.strict && read.dom.is_object(), "a configuration is a strict JSON object, comments apart");
  const Dom none = Dom::array();
  const Dom& issuers = read.dom.contains("issuers") ? read.dom["issuers"] : none;
  must((!issuers.empty() || read.dom.contains("credentials")) && issuers.is_array() && issuers.size() == settings->issuers.size(),
       "every issuer is read");
  for (std::size_t i = 0; i < issuers.size(); ++i) check_issuer(settings->issuers[i], issuers[i]);
  check_identities(*settings, read.dom);
  check_upstream(settings->upstream);
  const bool loud =
      std::any_of(issuers.begin(), issuers.end(), [](const Dom& issuer) { return is_true(issuer, "any_audience"); });
  const auto is_shout = [](const std::string& warning) { return warning.find("ANY AUDIENCE") != std::string::npos; };
  must(loud == std::any_of(gate->warnings().begin(), gate->warnings().end(), is_shout), "any_audience is shouted");
  for (const std::string& warning : gate->warnings()) must(warning.find(secret) == std::string::npos, "no secret is told");
  check_unknown_keys(read.dom);
  check_without_audience(read.dom);
  check_gate(std::move(gate).value());
}

// What means something beside the schema's own names: values, and whole parts.
constexpr std::string_view values[] = {
    "*:read",
    "threads",
    "threads:create_run",
    "assistants:read",
    "assistants:search",
    "store",
    "crons",
    "owner",
    "$user.identity",
    "$user.display_name",
    "$user.claims.team",
    "$user",
    "$SECRET",
    "$EMPTY",
    "$SHORT",
    "$CONTROL",
    "$MISSING",
    "https://idp.example/auth/v1",
    "https://other.example",
    "http://127.0.0.1:2024",
    "http://[::1]:1",
    "http://10.0.0.1",
    "http://localhost.evil.example",
    "https://user@host",
    "https://login.microsoftonline.com/t/v2.0",
    "https://login.microsoftonline.com/common/v2.0",
    "x-api-key",
    "X-Api-Key",
    "authorization",
    "a-secret-of-32-bytes-0123456789-abcdef",
    "agents",
    "1024",
    "300",
    "86400",
    "30",
    "100",
    "2",
    "{\"owner\":\"$user.identity\"}",
    "{\"issuer\":\"https://two.example\",\"audience\":\"a\",\"identity_prefix\":\"two:\"}",
    "{\"alg\":\"HS256\",\"secret\":\"$SECRET\",\"kid\":\"k\"}",
    "{\"filter\":{\"owner\":\"$user.identity\"}}",
    "{\"kind\":\"static_tokens\",\"identity_prefix\":\"t:\",\"tokens\":[{\"sha256\":"
    "\"2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae\",\"identity\":\"a\"}]}"};

// The names that the configuration has, from the schema that editors use (a test holds it against the parser), and the values.
const std::vector<std::string_view>& words() {
  static const std::vector<std::string>* const names = [] {
    std::ifstream file(POSTERN_FUZZ_DIR "/../../docs/postern.schema.json");
    const Dom schema = Dom::parse(file, nullptr, false);
    must(schema.is_object(), "the schema of the configuration can be read");
    auto* out = new std::vector<std::string>(std::begin(values), std::end(values));
    const std::function<void(const Dom&, bool)> collect = [&](const Dom& part, bool properties) {
      if (!part.is_structured()) return;
      for (const auto& [name, inner] : part.items()) {
        if (properties) out->push_back(name);
        if (name == "const" && inner.is_string()) out->push_back(inner);
        if (name == "enum") {
          for (const Dom& value : inner) {
            if (value.is_string()) out->push_back(value);
          }
        }
        collect(inner, !properties && name == "properties");
      }
    };
    collect(schema, false);
    return out;
  }();
  static const std::vector<std::string_view> views(names->begin(), names->end());
  return views;
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  postern::fuzz::check(postern::fuzz::text_of(bytes, size));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size, std::size_t size_max, unsigned seed) {
  using namespace postern::fuzz;
  Random random(seed);
  return store(mutate_json(text_of(bytes, size), words(), size_max, random), bytes, size_max);
}
