// Postern natively: a header string in, the user or the first request to the upstream out.
#include <openssl/rand.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "contestant.h"
#include "postern/gate.h"

namespace bench {
namespace {

using postern::Gate;
using postern::HeaderView;
using postern::Purpose;
using postern::RequestHead;
using postern::Time;

Time now() {
  return Time{std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count()};
}

// The cache of verified tokens is off until the host gave it a key that nobody can guess. False: this build has no such call.
template <typename G>
bool seed(G& gate) {
  std::array<std::uint8_t, 16> key{};
  if (RAND_bytes(key.data(), static_cast<int>(key.size())) != 1) fail("RAND_bytes", "no randomness");
  if constexpr (requires { gate.seed(key); }) {
    gate.seed(key);
    return true;
  } else {
    return false;
  }
}

std::optional<Gate> make_gate(const Suite& suite, const std::string& more) {
  std::string config = suite.config;
  if (!more.empty()) config.insert(config.rfind('}'), "," + more);
  auto gate = Gate::create(config, suite.environment);
  if (!gate) return std::nullopt;
  return std::move(gate).value();
}

class PosternContestant final : public Contestant {
 public:
  PosternContestant(Gate gate, Purpose purpose) : gate_(std::move(gate)), purpose_(purpose) {}

  void prepare(const std::vector<const Token*>& tokens) override {
    tokens_ = tokens;
    inputs_.clear();
    for (const Token* token : tokens) inputs_.push_back("Bearer " + token->text);
    steps_.clear();
    steps_.resize(tokens.size());
    // Keys are refreshed and tables built while no request waits, as a server does it: a slice a call.
    for (int slices = 0; slices < 10'000 && gate_.due(now()).next_at <= now(); ++slices) {
    }
  }

  void run() override {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const HeaderView headers[] = {{"authorization", inputs_[i]}, {"user-agent", "bench"}, {"accept", "*/*"}};
      const RequestHead head{"GET", "/threads/3b0c1c5e-6a0f-4f3e-9a70-0a3b2d6a9d11", headers, std::size(headers)};
      steps_[i] = gate_.open(head, now(), purpose_)->next(now());
    }
  }

  [[nodiscard]] Outcome outcome(std::size_t index) const override {
    const Token& token = *tokens_[index];
    const auto& action = steps_[index].action;
    if (std::holds_alternative<postern::Respond>(action)) return Outcome::refused;
    if (const auto* done = std::get_if<postern::Authenticated>(&action)) {
      const bool right = done->user->identity == token.subject &&
                         done->user->claims_json.find(token.subject + "@users.example") != std::string::npos;
      return right ? Outcome::right : Outcome::mixed_up;
    }
    const postern::OutgoingRequest* request = nullptr;
    if (const auto* forward = std::get_if<postern::Forward>(&action)) request = &forward->request;
    if (const auto* fetch = std::get_if<postern::Fetch>(&action)) request = &fetch->request;
    // Each user asks for their own objects alone: the identity is in what the upstream is asked.
    const bool right = request != nullptr && (request->url + request->body).find(token.subject) != std::string::npos;
    return right ? Outcome::right : Outcome::mixed_up;
  }

 private:
  Gate gate_;
  Purpose purpose_;
  std::vector<const Token*> tokens_;
  std::vector<std::string> inputs_;
  std::vector<postern::Step> steps_;
};

}  // namespace

void add_postern(const Suite& suite, Contestants& out) {
  const auto add = [&](const char* name, const std::string& more, Purpose purpose) {
    auto gate = make_gate(suite, more);
    if (!gate) return false;
    if (suite.kind != "verify" && suite.kind != "growth" && !seed(*gate)) {
      fail(suite.name,
           "the configuration has a token cache, and seed() in bench/native/postern.cpp does not know how to seed it");
    }
    out.emplace_back(name, std::make_unique<PosternContestant>(std::move(*gate), purpose));
    return true;
  };
  // Builds from before there was a cache have no such member, and none to switch off.
  const std::string cache_off = R"("token_cache":{"bytes_max":0})";
  const std::string off = make_gate(suite, cache_off) ? cache_off : "";
  const std::string on = R"("token_cache":{"bytes_max":67108864})";
  if (suite.kind == "verify") {
    if (!add("postern", off, Purpose::authenticate)) fail(suite.name, "no gate was made of its configuration");
    if (suite.alg != "HS256" && suite.alg != "EdDSA")
      add("postern-portable", off + (off.empty() ? "" : ",") + R"("verifier":"portable")", Purpose::authenticate);
  }
  if (suite.kind == "verify-cached") add("postern", on, Purpose::authenticate);
  if (suite.kind == "growth") add("postern", off, Purpose::authenticate);
  if (suite.kind == "growth-cached") add("postern", "", Purpose::authenticate);
  if (suite.kind == "gate.thread-get") add("postern", on, Purpose::handle);
}

}  // namespace bench
