// Payloads signed with a configured secret, through the whole pipeline. The first byte chooses the rules, the second the
// header's typ, the rest is the payload. A second implementation of the claim rules decides, and the gate must agree.
#include <memory>
#include <vector>

#include "fuzz/claim_reference.h"
#include "fuzz/must.h"
#include "fuzz/mutate_json.h"
#include "fuzz/reference_json.h"
#include "fuzz/tokens.h"
#include "postern/gate.h"
#include "support/sign.h"

namespace postern::fuzz {
namespace {

constexpr std::string_view secret = "a secret of the fuzz targets, 32 bytes and more";
constexpr std::size_t token_bytes_max = 8192;

struct Setting {
  ReferenceRules rules;
  std::string more;  // the issuer's members in the configuration, beside those that all settings have
};

std::vector<Setting> make_settings() {
  std::vector<Setting> out;
  const auto add = [&](std::string more) -> ReferenceRules& {
    out.push_back({{}, std::move(more)});
    out.back().rules.issuer = token_file().issuer;
    return out.back().rules;
  };
  add(R"("audience":"agents")").audiences = {"agents"};
  {
    ReferenceRules& rules = add(R"("audience":["agents","other"],"leeway_seconds":0)");
    rules.audiences = {"agents", "other"};
    rules.leeway_seconds = 0;
  }
  add(R"("any_audience":true)").any_audience = true;
  {
    ReferenceRules& rules = add(R"("audience":"agents","require":{"role":"authenticated"},"leeway_seconds":300)");
    rules.audiences = {"agents"};
    rules.required = {{"role", "authenticated"}};
    rules.leeway_seconds = 300;
  }
  {
    ReferenceRules& rules = add(R"("audience":"agents","identity_claim":"email")");
    rules.audiences = {"agents"};
    rules.identity_claim = "email";
  }
  {
    ReferenceRules& rules = add(R"("audience":"agents","types":["at+jwt","X/Y"],"type_required":true)");
    rules.audiences = {"agents"};
    rules.types = {"at+jwt", "x/y"};
    rules.type_required = true;
  }
  // Presets: what the providers' documentation says about their tokens. The issuer's name is the targets' own.
  const auto preset = [&](const std::string& name, const std::string& url) -> ReferenceRules& {
    return add(R"("audience":"agents","preset":")" + name + R"(","url":")" + url + '"');
  };
  {
    ReferenceRules& rules = preset("supabase", "https://p.supabase.co");
    rules.audiences = {"agents"};
    rules.required = {{"role", "authenticated"}};
  }
  {
    ReferenceRules& rules = preset("cognito", "https://cognito-idp.eu-1.amazonaws.com/POOL");
    rules.audience_absent = true;
    rules.required = {{"token_use", "access"}, {"client_id", "agents"}};
  }
  {
    ReferenceRules& rules = preset("clerk", "https://a.clerk.accounts.dev");
    rules.audience_absent = true;
    rules.required = {{"azp", "agents"}};
    rules.required_any = {"sid"};
    rules.only = {{"sts", "active"}};
  }
  {
    ReferenceRules& rules = preset("entra", "https://login.microsoftonline.com/t/v2.0");
    rules.audiences = {"agents"};
    rules.required = {{"ver", "2.0"}};
    rules.required_any = {"scp", "roles"};
  }
  {
    ReferenceRules& rules = preset("google", "https://accounts.google.com");
    rules.audiences = {"agents"};
    rules.id_tokens = true;
  }
  {
    ReferenceRules& rules = preset("keycloak", "https://k.example/realms/r");
    rules.audiences = {"agents"};
    rules.required = {{"typ", "Bearer"}};
  }
  return out;
}

const std::vector<std::optional<std::string>>& types() {
  static const std::vector<std::optional<std::string>> list = {
      std::nullopt,      "JWT", "at+jwt", "application/at+JWT",          "logout+jwt", "", "application/",
      "application/X/Y", "x/y", "jwt ",   "application/application/jwt", "dpop+jwt"};
  return list;
}

struct Rig {
  Setting setting;
  Gate gate;
};

Rig& rig(std::size_t which) {
  static std::vector<std::unique_ptr<Rig>> rigs = [] {
    std::vector<std::unique_ptr<Rig>> out;
    for (Setting& setting : make_settings()) {
      auto gate =
          Gate::create(R"({"issuers":[{"issuer":")" + token_file().issuer + R"(","symmetric_keys":[{"alg":"HS256","secret":")" +
                       std::string(secret) + R"("}],)" + setting.more + R"(}],"upstream":{"url":"http://127.0.0.1:2024"}})");
      must(gate.ok(), "the target's own configuration loads", gate.ok() ? "" : gate.error().text());
      out.push_back(std::make_unique<Rig>(Rig{std::move(setting), std::move(gate).value()}));
    }
    return out;
  }();
  return *rigs[which % rigs.size()];
}

void check(Rig& rig, const std::optional<std::string>& typ, std::string_view payload) {
  static const testing::SigningKey key = testing::make_symmetric_key("HS256", "", secret);
  const std::string token = testing::sign(testing::header_for(key, typ ? R"(,"typ":")" + *typ + '"' : ""), payload, key);
  const Judgement wanted = judge_claims(typ, payload, rig.setting.rules, token_file().now_ms);

  const std::string value = "Bearer " + token;
  const HeaderView header{"authorization", value};
  const Time now{token_file().now_ms};
  const auto exchange = rig.gate.open(RequestHead{"GET", "/", &header, 1}, now, Purpose::authenticate);
  const Step step = exchange->next(now);
  if (const auto* respond = std::get_if<Respond>(&step.action)) {
    must(respond->status == 401 && respond->error.has_value(), "a refused token is 401, with its reason");
    must(wanted.verdict != Verdict::accept || token.size() > token_bytes_max, "good claims are accepted",
         respond->error ? name(*respond->error) : "");
    must(respond->body.find(token) == std::string::npos, "a refusal does not hold the token");
    return;
  }
  const auto* authenticated = std::get_if<Authenticated>(&step.action);
  must(authenticated != nullptr, "one step decides");
  must(token.size() <= token_bytes_max, "a token over the limit is refused");
  must(wanted.verdict != Verdict::reject, "bad claims are refused", wanted.why);
  const User& user = *authenticated->user;
  must(user.identity == wanted.identity, "the identity is the claim's value", user.identity);
  must(!user.display_name.empty(), "a user has a name to show");
  const ReferenceText kept = read_reference(user.claims_json);
  must(kept.strict && kept.dom == read_reference(payload).dom, "the claims that rules see are the payload's", user.claims_json);
}

constexpr std::string_view words[] = {"iss",
                                      "aud",
                                      "exp",
                                      "nbf",
                                      "iat",
                                      "sub",
                                      "jti",
                                      "nonce",
                                      "scope",
                                      "scp",
                                      "roles",
                                      "azp",
                                      "cnf",
                                      "events",
                                      "htm",
                                      "htu",
                                      "at_hash",
                                      "c_hash",
                                      "s_hash",
                                      "role",
                                      "authenticated",
                                      "email",
                                      "email_verified",
                                      "token_use",
                                      "access",
                                      "client_id",
                                      "sid",
                                      "sts",
                                      "active",
                                      "ver",
                                      "2.0",
                                      "typ",
                                      "Bearer",
                                      "name",
                                      "permissions",
                                      "agents",
                                      "agent",
                                      "agents ",
                                      "Agents",
                                      "agentsx",
                                      "other",
                                      "alice",
                                      "https://idp.example/auth/v1",
                                      "https://idp.example/auth/v1/",
                                      "https://idp.example/auth/v",
                                      "[\"agents\"]",
                                      "[\"x\",\"agents\"]",
                                      "[[\"agents\"]]",
                                      "{\"agents\":true}",
                                      "1800000000",
                                      "1799999995",
                                      "1799999994",
                                      "1800000005",
                                      "1800000006",
                                      "1800000300",
                                      "1800000301",
                                      "1799999700",
                                      "1799999699",
                                      "1800000000.5",
                                      "9007199254740992",
                                      "9007199254740993",
                                      "1e300",
                                      "true"};

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace postern::fuzz;
  if (size < 2) return 0;
  check(rig(bytes[0]), types()[bytes[1] % types().size()], text_of(bytes + 2, size - 2));
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size, std::size_t size_max, unsigned seed) {
  using namespace postern::fuzz;
  Random random(seed);
  if (size < 2 || random() % 8 == 0) return store(mutate_bytes(std::string(text_of(bytes, size)), size_max), bytes, size_max);
  const std::string choices(text_of(bytes, 2));
  return store(choices + mutate_json(text_of(bytes + 2, size - 2), words, size_max - 2, random), bytes, size_max);
}
