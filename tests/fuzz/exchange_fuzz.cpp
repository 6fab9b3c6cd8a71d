// Whole exchanges: clients, hosts that behave and hosts that do not, upstreams and issuers that answer anything, told by a
// script (exchange_script.h). A shadow of each exchange keeps what was shown and answered, and judges every step:
//
// - No Forward, no Fetch from the upstream and no user without a verified token that is good at that time, under keys that
//   the issuer published and has not taken back.
// - Every outgoing URL is the upstream's or the issuer's; the client's token is in no outgoing request, nor any header that
//   is not on the list.
// - A Forward on a thread or an assistant comes after a positive answer about that very id and this very user, or its reply
//   is judged before the client sees it; no object of somebody else is in what the client sees.
// - What is created, run, searched or counted carries the owner (the filter's and the stamp's fields) as the gate wrote it;
//   the rest of the body means what the client sent, and nothing in it names another thread or user.
// - After a mismatch, a failure or the last step only Respond comes.
#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "fuzz/claim_reference.h"
#include "fuzz/exchange_script.h"
#include "fuzz/must.h"
#include "fuzz/reference_json.h"
#include "fuzz/tokens.h"
#include "jwk.h"
#include "postern/gate.h"
#include "route.h"

namespace postern::fuzz {
namespace {

constexpr std::string_view upstream = "http://127.0.0.1:2024";
constexpr std::string_view issuer_origin = "https://idp.example/";
constexpr std::int64_t max_age_ms = 600'000;
constexpr std::int64_t stale_ms = 3'600'000;

// ------------------------------------------------------------------------------- what the configurations mean, once more

struct Permission {
  bool filtered = false;
  std::map<std::string, std::string> equalities;  // fields that the filter wants, where a search can say so
  std::map<std::string, std::string> stamp;
  std::function<bool(const Dom&)> matches = [](const Dom&) { return true; };  // an object's metadata
};

bool has_field(const Dom& metadata, const std::string& field, const std::string& value) {
  return metadata.is_object() && metadata.contains(field) && metadata[field] == value;
}

Permission equality(const std::string& field, const std::string& value) {
  return {true, {{field, value}}, {}, [=](const Dom& metadata) { return has_field(metadata, field, value); }};
}

enum class Keys : std::uint8_t { configured, secret, fetched, discovered };

struct Config {
  std::string_view name;
  Keys keys;
  std::string_view policy;  // "" for the default
  // Nothing: denied.
  std::optional<Permission> (*decide)(Resource, Action, const std::string& identity);
  std::string_view graphs = "";  // the only one that may be run
};

std::optional<Permission> decide_owner(Resource resource, Action action, const std::string& identity) {
  if (resource == Resource::assistants && (action == Action::read || action == Action::search)) {
    return equality("created_by", "system");
  }
  Permission out = equality("owner", identity);
  out.stamp = {{"owner", identity}};
  return out;
}

std::optional<Permission> decide_open(Resource resource, Action, const std::string&) {
  if (resource != Resource::threads && resource != Resource::assistants) return std::nullopt;
  return Permission{};
}

std::optional<Permission> decide_members(Resource, Action, const std::string& identity) {
  const auto is_member = [=](const Dom& metadata) {
    if (!metadata.is_object() || !metadata.contains("members") || !metadata["members"].is_array()) return false;
    return std::find(metadata["members"].begin(), metadata["members"].end(), Dom(identity)) != metadata["members"].end();
  };
  return Permission{true, {}, {{"owner", identity}}, is_member};
}

std::optional<Permission> decide_either(Resource, Action, const std::string& identity) {
  const auto matches = [=](const Dom& metadata) {
    return has_field(metadata, "owner", identity) ||
           (metadata.is_object() && metadata.contains("shared") && metadata["shared"] == true);
  };
  return Permission{true, {}, {{"owner", identity}}, matches};
}

std::optional<Permission> decide_reading(Resource resource, Action action, const std::string& identity) {
  if (resource == Resource::threads && action == Action::read) return decide_owner(resource, action, identity);
  if (resource == Resource::threads && action == Action::create) return Permission{};
  return std::nullopt;
}

const Config configs[] = {
    {"owner", Keys::configured, "", decide_owner},
    {"secret", Keys::secret, "", decide_owner, "agent"},
    {"remote", Keys::fetched, "", decide_owner},
    {"discovered", Keys::discovered, "", decide_owner},
    {"open", Keys::configured, R"({"threads":"allow","assistants":"allow"})", decide_open},
    {"members", Keys::configured,
     R"({"*":{"filter":{"members":{"$contains":"$user.identity"}},"stamp":{"owner":"$user.identity"}}})", decide_members},
    {"either", Keys::configured,
     R"({"*":{"filter":{"$or":[{"owner":"$user.identity"},{"shared":true}]},"stamp":{"owner":"$user.identity"}}})",
     decide_either},
    {"reading", Keys::configured,
     R"({"threads:read":{"filter":{"owner":"$user.identity"},"stamp":{"owner":"$user.identity"}},"threads:create":"allow"})",
     decide_reading},
};

const Config& find_config(std::string_view name) {
  for (const Config& config : configs) {
    if (config.name == name) return config;
  }
  return configs[0];
}

std::string config_text(const Config& config) {
  Dom issuer = {{"issuer", token_file().issuer}, {"audience", "agents"}};
  Dom to = {{"url", upstream}};
  switch (config.keys) {
    case Keys::configured:
      issuer["keys"] = Dom::parse(published_keys());
      break;
    case Keys::secret:
      issuer["symmetric_keys"] = {{{"alg", "HS256"}, {"secret", token_file().secrets.at("hs-256")}, {"kid", "hs-256"}}};
      to["headers"] = {{"X-Api-Key", "upstream-key"}};
      to["graphs"] = {config.graphs};
      break;
    case Keys::fetched:
      issuer["jwks_uri"] = token_file().issuer + "/.well-known/jwks.json";
      break;
    case Keys::discovered:
      break;
  }
  Dom out = {{"issuers", {issuer}}, {"upstream", to}};
  if (!config.policy.empty()) out["policy"] = Dom::parse(config.policy);
  return out.dump();
}

Gate make_gate(const Config& config) {
  auto gate = Gate::create(config_text(config));
  must(gate.ok(), "the target's own configuration loads", gate.ok() ? "" : gate.error().text());
  return std::move(gate).value();
}

// Without keys of its own to fetch a gate has no memory: one serves every script.
bool forgets(const Config& config) { return config.keys == Keys::configured || config.keys == Keys::secret; }

std::shared_ptr<Gate> gate_for(const Config& config) {
  static std::map<std::string_view, std::shared_ptr<Gate>> kept;
  if (!forgets(config)) return std::make_shared<Gate>(make_gate(config));
  std::shared_ptr<Gate>& gate = kept[config.name];
  if (!gate) gate = std::make_shared<Gate>(make_gate(config));
  return gate;
}

// ------------------------------------------------------------------------------------------------------------- the shadow

enum class Under : std::uint8_t { nothing, body, keys, waiting, object, inspected };

struct Shadow {
  std::unique_ptr<Exchange> exchange;
  Purpose purpose = Purpose::handle;
  std::string method;
  std::string target;
  std::map<std::string, std::string> headers;
  const Token* token = nullptr;
  std::optional<RouteMatch> match;
  Time opened_at;

  bool good = false;        // the token was good at some time that the core was asked
  bool always_good = true;  // ... and at every one
  std::string identity;

  Under under = Under::nothing;
  std::uint64_t step_id = 0;
  std::uint64_t fetch_id = 0;
  OutgoingRequest request;  // of the Fetch or Forward under way
  bool ended = false;       // the last step was given
  bool broken = false;      // a host misbehaved: only Respond may come

  std::optional<std::string> body;
  std::set<std::string> owned;        // threads that an answer said are this user's
  std::map<std::string, Dom> stored;  // and their metadata
  std::set<std::string> runs;         // runs that an answer said are of the path's thread
  std::set<std::string> seen;         // assistants likewise
  std::size_t answers = 0;
  bool unsure = false;                               // an answer held what only the core's lenient reading of replies decides
  std::optional<std::pair<int, std::string>> reply;  // the last one that may be passed on
  std::string reply_thread;                          // the id that it must be about; "" where any will do
};

struct KeySet {
  Time started;
  std::set<std::string> kids;
};

class Play {
 public:
  explicit Play(const Config& config) : config_(config), gate_(gate_for(config)) {}

  void run(const Line& line);

 private:
  [[nodiscard]] Shadow* slot(const Line& line) {
    if (line.words.empty()) return nullptr;
    Shadow& shadow = slots_[line.words[0].empty() ? 0 : static_cast<unsigned char>(line.words[0][0]) % 3];
    return shadow.exchange ? &shadow : nullptr;
  }
  [[nodiscard]] std::optional<Permission> decide(const Shadow& shadow) const {
    return config_.decide(shadow.match->route->resource, shadow.match->route->action, shadow.identity);
  }

  void open(const Line& line, Purpose purpose);
  void take_step(Shadow& shadow);
  void give_body(Shadow& shadow, BodyResult body);
  void give_reply(Shadow& shadow, IncomingResponse reply);
  void answer_keys(std::uint64_t fetch_id, Time started, bool set, const IncomingResponse& reply);
  void learn(Shadow& shadow, const IncomingResponse& reply);
  void run_due(const Line& line);
  void explain(const Line& line);
  void restart();

  [[nodiscard]] bool token_is_good(const Token* token, std::string& identity) const;
  [[nodiscard]] bool keys_are_known(const Token& token) const;

  void check_verified(const Shadow& shadow) const;
  void check_outgoing(const Shadow& shadow, const OutgoingRequest& request, bool to_issuer) const;
  void check_fetch(Shadow& shadow, const Fetch& fetch);
  void check_object_fetch(const Shadow& shadow, const OutgoingRequest& request) const;
  void check_forward(const Shadow& shadow, const Forward& forward) const;
  void check_body(const Shadow& shadow, const Permission& permission, const std::string& text) const;
  void check_run(const Shadow& shadow, const Dom& body) const;
  void check_respond(const Shadow& shadow, const Respond& respond) const;
  void check_passed_on(const Shadow& shadow, const Respond& respond) const;

  const Config& config_;
  std::shared_ptr<Gate> gate_;
  Time now_{token_file().now_ms};
  bool clock_went_back_ = false;
  std::array<Shadow, 3> slots_;
  std::vector<std::pair<std::string, std::string>> pending_headers_;
  std::uint64_t last_step_id_ = 0;
  std::set<std::uint64_t> fetch_ids_;  // all that were ever handed out
  struct Flight {
    Time started;
    bool set = false;  // for a key set, not for metadata about it
  };
  std::map<std::uint64_t, Flight> key_fetches_;  // under way
  std::vector<KeySet> key_sets_;                 // that the core may have taken
};

ReferenceRules claim_rules() {
  ReferenceRules rules;
  rules.issuer = token_file().issuer;
  rules.audiences = {"agents"};
  return rules;
}

bool Play::token_is_good(const Token* token, std::string& identity) const {
  if (token == nullptr || !token->genuine) return false;
  const bool secret = config_.keys == Keys::secret;
  // The published keys; RS and PS share one.
  if (secret ? token->kid != "hs-256" : token->kid != "ec-256" && token->kid != "rsa-1") return false;
  const Dom& header = token->header;
  // What an issuer's tokens may use unless the configuration says: everything but secp256k1.
  if (header.contains("crit") || find_jwa(token->alg) == nullptr || token->alg == "ES256K") return false;
  if (header.contains("kid") && header["kid"] != token->kid) return false;
  const std::optional<std::string> typ = header.contains("typ") ? std::optional(string_member(header, "typ")) : std::nullopt;
  const Judgement judgement = judge_claims(typ, token->payload, claim_rules(), now_.unix_ms);
  identity = judgement.identity;
  return judgement.verdict != Verdict::reject;
}

// A set that was fetched, holds the key, was not replaced by one that does not, and is not past the stale bound.
bool Play::keys_are_known(const Token& token) const {
  if (forgets(config_) || clock_went_back_) return true;
  const KeySet* newest = nullptr;
  for (const KeySet& set : key_sets_) {
    if (newest == nullptr || set.started >= newest->started) newest = &set;
  }
  return newest != nullptr && newest->kids.contains(token.kid) && now_.unix_ms - newest->started.unix_ms <= max_age_ms + stale_ms;
}

// ------------------------------------------------------------------------------------------------------------- promises

bool holds_token(std::string_view text, const Token& token) {
  const std::string_view signature = std::string_view(token.text).substr(token.text.rfind('.') + 1);
  return text.find(token.text) != std::string_view::npos ||
         (signature.size() >= 16 && text.find(signature.substr(0, 16)) != std::string_view::npos);
}

void Play::check_verified(const Shadow& shadow) const {
  must(shadow.good && shadow.token != nullptr, "nothing goes out without a verified token");
  must(keys_are_known(*shadow.token), "a token is verified with keys that the issuer has published and not taken back");
}

void Play::check_outgoing(const Shadow& shadow, const OutgoingRequest& request, bool to_issuer) const {
  const std::string_view start = to_issuer ? issuer_origin : upstream;
  must(request.url.starts_with(start), "every outgoing URL is the upstream's or the issuer's", request.url);
  must(to_issuer || (request.url.size() > upstream.size() && request.url[upstream.size()] == '/'), "a path follows", request.url);
  for (const char c : request.url) must(c > ' ' && c < 0x7F, "a URL is plain ASCII", request.url);
  constexpr std::string_view from_client[] = {"accept", "last-event-id", "user-agent"};
  std::set<std::string> names;
  for (const Header& header : request.headers) {
    const bool clients = std::find(std::begin(from_client), std::end(from_client), header.name) != std::end(from_client);
    const bool own = header.name == "accept" || header.name == "accept-encoding" || header.name == "content-type" ||
                     (header.name == "x-api-key" && !to_issuer && header.value == "upstream-key");
    must(own || (clients && !to_issuer), "only headers on the list go out", header.name);
    must(names.insert(header.name).second || clients, "no header of the gate's is sent twice", header.name);
  }
  if (shadow.token == nullptr) return;
  must(!holds_token(request.url, *shadow.token) && !holds_token(request.body, *shadow.token), "the token goes nowhere");
  for (const Header& header : request.headers) must(!holds_token(header.value, *shadow.token), "the token is in no header");
}

bool is_uuid_text(std::string_view text) { return text.size() == 36 && text[8] == '-'; }

const Dom& metadata_of(const Dom& object) {
  static const Dom none;
  return object.is_object() && object.contains("metadata") ? object["metadata"] : none;
}

bool carries(const Dom& body, const std::map<std::string, std::string>& fields) {
  return std::all_of(fields.begin(), fields.end(),
                     [&](const auto& field) { return has_field(metadata_of(body), field.first, field.second); });
}

// The routes whose whole course the shadow follows: threads, and runs on one. What other routes ask the upstream for and
// send it is held to the general promises here (a verified token, the upstream's origin, listed headers, no token in it) and
// step by step in tests/cases and tests/langgraph.
bool is_followed(const RouteMatch& match) {
  const Route& row = *match.route;
  if (row.resource != Resource::threads) return false;
  switch (row.treatment) {
    case Treatment::open:
    case Treatment::create:
    case Treatment::search:
    case Treatment::count:
    case Treatment::object:
      return true;
    case Treatment::create_run:
      return !match.thread_id.empty();
    default:
      return false;
  }
}

// A search under a filter that one upstream search cannot say: whatever it fetches is a part of it, and its list is the gate's
// own.
bool is_in_parts(const RouteMatch& match) {
  return match.route->treatment == Treatment::search || match.route->treatment == Treatment::count;
}

void Play::check_object_fetch(const Shadow& shadow, const OutgoingRequest& request) const {
  const std::string path = request.url.substr(upstream.size());
  const Permission permission = decide(shadow).value_or(Permission{});
  if (request.method == "GET") {
    const bool assistant = path.starts_with("/assistants/") && is_uuid_text(path.substr(12));
    const bool thread = path.starts_with("/threads/") && is_uuid_text(path.substr(9));
    const bool run = path == "/threads/" + shadow.match->thread_id + "/runs/" + shadow.match->run_id;
    must(!run || shadow.owned.contains(shadow.match->thread_id) || shadow.unsure, "a run is looked up on one's own thread only");
    return must((assistant || thread || run) && request.body.empty(), "an object is read by its id", path);
  }
  const ReferenceText body = read_reference(request.body);
  must(request.method == "POST" && body.strict && body.dom.is_object(), "an object is looked up by a strict body", request.body);
  if (path == "/threads/search") {
    must(body.dom["ids"].is_array() && body.dom["ids"].size() == 1 && is_uuid_text(body.dom["ids"][0].get<std::string>()),
         "a thread is looked up by its id", request.body);
    must(carries(body.dom, permission.equalities), "and by its owner", request.body);
  } else if (path == "/threads") {
    must(string_member(body.dom, "thread_id") == shadow.match->thread_id && !shadow.match->thread_id.empty(),
         "a thread is made under the path's id only", request.body);
    must(string_member(body.dom, "if_exists") == "raise", "an existing thread is never taken over", request.body);
    must(carries(body.dom, permission.stamp) && carries(body.dom, permission.equalities), "a thread is made with its owner",
         request.body);
    const ReferenceText sent = read_reference(shadow.body.value_or(""));
    must(string_member(sent.dom, "if_not_exists") == "create", "a thread is made when the client asked for it", request.body);
  } else {
    must(path == "/assistants/search", "nothing else is looked up", path);
  }
}

void Play::check_fetch(Shadow& shadow, const Fetch& fetch) {
  const bool to_issuer = fetch.purpose != FetchPurpose::upstream_object;
  check_outgoing(shadow, fetch.request, to_issuer);
  must(fetch.bytes_max > 0 && fetch.time_limit_ms > 0, "a fetch is bounded");
  must(fetch_ids_.insert(fetch.fetch_id).second, "no fetch is handed out twice");
  if (to_issuer) {
    must(config_.keys == Keys::fetched || config_.keys == Keys::discovered, "configured keys are not fetched");
    must(fetch.request.method == "GET" && fetch.request.body.empty(), "keys are read");
    must(shadow.token != nullptr, "no keys are fetched for nobody");
    key_fetches_[fetch.fetch_id] = {now_, fetch.purpose == FetchPurpose::keys};
    return;
  }
  check_verified(shadow);
  must(shadow.purpose == Purpose::handle && shadow.match.has_value(), "objects are looked up for a route");
  if (!is_followed(*shadow.match) || is_in_parts(*shadow.match)) return;
  must(decide(shadow).has_value(), "nothing is looked up for what the policy denies");
  check_object_fetch(shadow, fetch.request);
}

void Play::check_run(const Shadow& shadow, const Dom& body) const {
  const auto check_keys = [&](const Dom& object) {
    if (!object.is_object()) return;
    for (const auto& [key, value] : object.items()) {
      for (const char* name : {"user_id", "checkpoint_id", "checkpoint_ns", "checkpoint_map", "run_id", "assistant_id"}) {
        must(key != name, "a run's configuration names no user and no other place", key);
      }
      must(!key.starts_with("__") && !key.starts_with("langgraph_auth"), "a run's configuration names no user", key);
      must(key != "thread_id" || value == shadow.match->thread_id, "a run's configuration names the path's thread only", key);
    }
  };
  for (const char* name : {"checkpoint", "checkpoint_id", "feedback_keys", "langsmith_tracer"}) {
    must(!body.contains(name), "what a client may not decide about a run is refused", name);
  }
  // No origin is listed here. null is how some clients leave a field out, and both servers take it so.
  must(!body.contains("webhook") || body["webhook"].is_null(), "a run calls no address that is not listed");
  if (body.contains("context")) check_keys(body["context"]);
  if (body.contains("config") && body["config"].is_object() && body["config"].contains("configurable")) {
    check_keys(body["config"]["configurable"]);
  }
  const std::string assistant = string_member(body, "assistant_id");
  if (is_uuid_text(assistant)) {
    const auto reading = config_.decide(Resource::assistants, Action::read, shadow.identity);
    must(reading.has_value(), "who may read no assistant runs none by id");
    must(!reading->filtered || shadow.seen.contains(assistant) || shadow.unsure, "an assistant was looked at before it is run",
         assistant);
  } else {
    must(!assistant.empty() && assistant.find_first_of("/?#%:{} ") == std::string::npos, "a graph's name is plain", assistant);
    must(config_.graphs.empty() || assistant == config_.graphs, "only the graphs that are listed are run", assistant);
  }
}

void Play::check_body(const Shadow& shadow, const Permission& permission, const std::string& text) const {
  const Route& row = *shadow.match->route;
  if (!row.takes_body()) return must(text.empty(), "a route without a body sends none", text);
  must(shadow.body.has_value(), "a body was read before it is sent on");
  const ReferenceText out = read_reference(text);
  must(text.empty() || (out.strict && out.dom.is_object()), "what is sent on is strict JSON", text);
  for (const auto& [key, value] : out.dom.items()) {
    const auto is_key = [&name = key](const Field& field) { return field.name == name; };
    must(std::any_of(row.body.begin(), row.body.end(), is_key), "only fields that are listed are sent on", key);
  }
  // What the gate does not write is the client's, whole and unchanged.
  const ReferenceText in = read_reference(*shadow.body);
  must(shadow.body->empty() || in.strict, "what is not strict JSON is not sent on");
  for (const auto& [key, value] : out.dom.items()) {
    const bool edited = key == "metadata" || key == "select" || key == "if_exists" || key == "if_not_exists" || key == "config";
    if (edited) continue;
    must(in.dom.is_object() && in.dom.contains(key) && in.dom[key] == value, "the rest of a body is the client's", key);
  }
  const bool writes_config = out.dom.contains("config") && out.dom["config"].is_object();
  if (writes_config) {
    for (const auto& [key, value] : out.dom["config"].items()) {
      must(key == "metadata" || (in.dom["config"].contains(key) && in.dom["config"][key] == value), "config is the client's",
           key);
    }
  }
  std::map<std::string, std::string> own = permission.stamp;
  own.insert(permission.equalities.begin(), permission.equalities.end());
  switch (row.action) {
    case Action::create:
    case Action::create_run:
      must(carries(out.dom, own), "what is made carries its owner", text);
      if (writes_config && metadata_of(out.dom["config"]).is_object()) {
        for (const auto& [field, value] : own) {
          const Dom& labels = metadata_of(out.dom["config"]);
          must(!labels.contains(field) || labels[field] == value, "config.metadata names no other owner", text);
        }
      }
      break;
    case Action::search:
      must(carries(out.dom, permission.equalities), "a search asks for what the user may see", text);
      break;
    default:
      for (const auto& [field, value] : own) {
        const bool written =
            metadata_of(out.dom).is_object() && metadata_of(out.dom).contains(field) && row.action == Action::update;
        // What decides whose it is stays as it is stored, whoever may change the rest.
        const auto stored = shadow.stored.find(shadow.match->thread_id);
        const bool kept = written && stored != shadow.stored.end() && stored->second.is_object() &&
                          stored->second.contains(field) && stored->second[field] == metadata_of(out.dom)[field];
        must(!written || kept || metadata_of(out.dom)[field] == value, "an update gives nothing to another owner", text);
      }
  }
  if (row.action == Action::create_run) {
    check_run(shadow, out.dom);
    must(!permission.filtered || string_member(out.dom, "if_not_exists") == "reject", "a run makes no thread past the gate",
         text);
  }
  if (row.path == "/threads" && permission.filtered && out.dom.contains("thread_id")) {
    must(string_member(out.dom, "if_exists") == "raise", "an existing thread is not given to who names its id", text);
  }
}

void Play::check_forward(const Shadow& shadow, const Forward& forward) const {
  check_outgoing(shadow, forward.request, false);
  must(shadow.match.has_value() && shadow.purpose == Purpose::handle, "only what is routed is forwarded", shadow.target);
  const RouteMatch& match = *shadow.match;
  const Route& row = *match.route;
  if (!is_followed(match)) return check_verified(shadow);
  const std::string path = shadow.target.substr(0, shadow.target.find('?'));
  must(forward.request.url == std::string(upstream) + path + match.query, "what was judged is what is sent", forward.request.url);
  if (row.treatment == Treatment::open) {
    must(path == "/ok" || path == "/info", "only liveness is open", path);
    return must(forward.request.body.empty() && (shadow.method == "GET" || shadow.method == "HEAD"), "liveness is only read");
  }
  check_verified(shadow);
  const auto permission = decide(shadow);
  must(permission.has_value(), "what the policy denies is not forwarded", path);
  const bool judged = forward.reply == ReplyMode::inspect;
  must(forward.request.method == row.method || (!judged && shadow.method == "HEAD" && forward.request.method == "HEAD"),
       "the method is the client's", forward.request.method);
  must(!judged || forward.bytes_max > 0, "a judged reply is bounded");
  if (permission->filtered && !judged && !shadow.unsure) {
    if (!match.thread_id.empty()) {
      must(shadow.owned.contains(match.thread_id), "a thread is the caller's before anything about it is sent on", path);
      must(match.run_id.empty() || shadow.runs.contains(match.run_id), "a run is the thread's before it is sent on", path);
    } else if (!match.assistant_id.empty()) {
      must(shadow.seen.contains(match.assistant_id), "an assistant may be seen before anything about it is sent on", path);
    } else {
      must(row.treatment == Treatment::count && !permission->equalities.empty(), "a collection's reply is judged", path);
    }
  }
  check_body(shadow, *permission, forward.request.body);
}

// What the client gets of an upstream's reply.
void Play::check_passed_on(const Shadow& shadow, const Respond& respond) const {
  must(shadow.match.has_value(), "what is passed on is a route's");
  if (!is_followed(*shadow.match)) return check_verified(shadow);
  if (!shadow.reply.has_value() && is_in_parts(*shadow.match)) {
    const auto permission = decide(shadow);
    must(permission.has_value(), "what the policy denies is not listed");
    const ReferenceText list = read_reference(respond.body);
    must(list.strict, "a list of the gate's own is strict JSON", respond.body);
    if (!list.dom.is_array()) return must(list.dom.is_number(), "a count is a number", respond.body);
    for (const Dom& one : list.dom) {
      must(!one.contains("metadata") || permission->matches(metadata_of(one)), "an object of somebody else is not listed",
           respond.body);
    }
    return;
  }
  must(shadow.reply.has_value(), "what is passed on came from the upstream");
  const auto& [status, text] = *shadow.reply;
  must(respond.status == status, "a status is passed on as it is");
  if (status >= 400) return must(respond.body == text, "an error of the upstream's is passed on as it is");
  must(status >= 200 && status < 300, "no redirect is passed on");
  if (shadow.unsure) return;
  const auto permission = decide(shadow);
  must(permission.has_value(), "what the policy denies is not passed on");
  // What is made under a rule without a filter is anybody's; if_exists=raise went up, so it is new.
  if (shadow.match->route->action == Action::create && !permission->filtered && shadow.reply_thread.empty()) return;
  const ReferenceText given = read_reference(text);
  must(given.strict, "a reply that is passed on was read", text);
  // A create gives back an existing thread under the rule for reading, when its own has no filter.
  std::function<bool(const Dom&)> may_see = permission->matches;
  if (shadow.match->route->action == Action::create && !permission->filtered) {
    if (const auto reading = config_.decide(Resource::threads, Action::read, shadow.identity)) may_see = reading->matches;
  }
  if (given.dom.is_object()) {
    must(respond.body == text, "an object is passed on as it is");
    must(may_see(metadata_of(given.dom)), "an object of somebody else is not passed on", text);
    if (!shadow.reply_thread.empty()) {
      must(string_member(given.dom, "thread_id") == shadow.reply_thread, "the object is the one that was asked for", text);
    }
    return;
  }
  must(given.dom.is_array() && shadow.match->route->action == Action::search, "a list answers a search");
  const ReferenceText asked = read_reference(shadow.body.value_or(""));
  bool with_metadata = true;
  if (asked.dom.is_object() && asked.dom.contains("select") && asked.dom["select"].is_array()) {
    const Dom& select = asked.dom["select"];
    with_metadata = select.empty() || std::find(select.begin(), select.end(), Dom("metadata")) != select.end();
  }
  Dom wanted = Dom::array();
  for (Dom item : given.dom) {
    if (!may_see(metadata_of(item))) continue;
    if (!with_metadata && permission->filtered) item.erase("metadata");
    wanted.push_back(std::move(item));
  }
  const ReferenceText seen = read_reference(respond.body);
  must(seen.strict && seen.dom == wanted, "a list holds exactly what the user may see", respond.body);
}

void Play::check_respond(const Shadow& shadow, const Respond& respond) const {
  must(respond.status >= 200 && respond.status <= 599, "a response has a status");
  for (const Header& header : respond.headers) {
    must(std::none_of(header.name.begin(), header.name.end(), [](char c) { return c >= 'A' && c <= 'Z'; }),
         "names in lower case");
    must(!header.name.starts_with("access-control-") && header.name != "transfer-encoding" && header.name != "content-length",
         "the gate answers about origins and framing", header.name);
  }
  if (shadow.token != nullptr) must(!holds_token(respond.body, *shadow.token), "no response holds the token");
  if (!respond.error) {
    must(!shadow.broken, "after a mismatch nothing is passed on");
    return check_passed_on(shadow, respond);
  }
  must(respond.status == http_status(*respond.error), "an error has its own status", name(*respond.error));
  const ReferenceText body = read_reference(respond.body);
  must(body.strict && string_member(body.dom, "code") == name(*respond.error) && !string_member(body.dom, "detail").empty(),
       "an error says what it is", respond.body);
  const auto has_header = [&](std::string_view name) {
    return std::any_of(respond.headers.begin(), respond.headers.end(), [&](const Header& h) { return h.name == name; });
  };
  must(respond.status != 401 || has_header("www-authenticate"), "401 has its challenge");
  must(respond.status != 503 || has_header("retry-after"), "503 says when to try again");
  must(!shadow.broken || respond.status == 500, "a host's mistake is 500", name(*respond.error));
  must(!(forgets(config_) && shadow.good && shadow.always_good) || respond.status != 401, "a good token is not 401",
       name(*respond.error));
}

// -------------------------------------------------------------------------------------------------------------- the host

void Play::take_step(Shadow& shadow) {
  // What the core is asked at this time it may decide at this time.
  std::string identity;
  if (token_is_good(shadow.token, identity)) {
    shadow.good = true;
    shadow.identity = identity;
  } else {
    shadow.always_good = false;
  }
  const bool without_reason = shadow.under == Under::body || shadow.under == Under::object || shadow.under == Under::inspected;
  if (without_reason) shadow.broken = true;

  Step step = shadow.exchange->next(now_);
  must(step.step_id > last_step_id_, "steps are numbered upwards");
  last_step_id_ = step.step_id;
  shadow.step_id = step.step_id;
  const bool only_respond = shadow.ended || shadow.broken;
  must(!only_respond || std::holds_alternative<Respond>(step.action),
       "after a mismatch, a failure or the end only Respond comes");

  shadow.under = Under::nothing;
  if (auto* respond = std::get_if<Respond>(&step.action)) {
    if (shadow.ended) must(respond->status == 500, "asking on after the end is a host's mistake");
    if (!shadow.ended) check_respond(shadow, *respond);
    shadow.ended = true;
  } else if (auto* authenticated = std::get_if<Authenticated>(&step.action)) {
    must(shadow.purpose == Purpose::authenticate, "a user is told to who asked for one");
    check_verified(shadow);
    must(authenticated->user->identity == shadow.identity, "the user is the token's", authenticated->user->identity);
    shadow.ended = true;
  } else if (auto* forward = std::get_if<Forward>(&step.action)) {
    check_forward(shadow, *forward);
    shadow.request = std::move(forward->request);
    shadow.ended = forward->reply == ReplyMode::pass;
    if (!shadow.ended) {
      shadow.under = Under::inspected;
      const bool by_id = shadow.match->route->path == "/threads/{thread_id}";
      shadow.reply_thread = by_id ? shadow.match->thread_id : "";
    }
  } else if (auto* fetch = std::get_if<Fetch>(&step.action)) {
    check_fetch(shadow, *fetch);
    shadow.under = fetch->purpose == FetchPurpose::upstream_object ? Under::object : Under::keys;
    shadow.fetch_id = fetch->fetch_id;
    shadow.request = std::move(fetch->request);
  } else if (auto* wait = std::get_if<Wait>(&step.action)) {
    must(key_fetches_.contains(wait->fetch_id), "who waits, waits for a fetch that is under way");
    must(wait->until <= shadow.opened_at.plus_ms(2000), "nobody waits for long");
    shadow.under = Under::waiting;
  } else {
    must(std::get<ReadBody>(step.action).bytes_max > 0, "a body is bounded");
    check_verified(shadow);
    must(shadow.match.has_value() && shadow.match->route->takes_body() && !shadow.body,
         "a body is read once, where one is taken");
    shadow.under = Under::body;
  }
}

void Play::open(const Line& line, Purpose purpose) {
  Shadow& shadow = slots_[line.words[0].empty() ? 0 : static_cast<unsigned char>(line.words[0][0]) % 3];
  shadow = Shadow{};
  shadow.purpose = purpose;
  shadow.method = purpose == Purpose::handle ? line.words[2] : "GET";
  shadow.target = purpose == Purpose::handle ? line.words[3] : "/";
  shadow.token = token_file().find(line.words[1]);
  shadow.opened_at = now_;
  if (auto match = match_route(shadow.method, shadow.target); match && purpose == Purpose::handle) shadow.match = *match;

  std::vector<std::pair<std::string, std::string>> headers = std::exchange(pending_headers_, {});
  if (shadow.token != nullptr) headers.emplace_back("Authorization", "Bearer " + shadow.token->text);
  std::size_t credentials = 0;
  std::vector<HeaderView> views;
  for (const auto& [name, value] : headers) {
    views.push_back({name, value});
    std::string lower = name;
    for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    credentials += lower == "authorization" ? 1 : 0;
  }
  // With a second Authorization header, or another one alone, no token counts.
  if (credentials != 1) shadow.token = nullptr;
  shadow.exchange = gate_->open(RequestHead{shadow.method, shadow.target, views.data(), views.size()}, now_, purpose);
  take_step(shadow);
}

void Play::give_body(Shadow& shadow, BodyResult body) {
  if (shadow.under == Under::body) {
    if (body.state == BodyResult::State::whole) shadow.body = body.bytes;
    shadow.under = Under::nothing;
  } else {
    shadow.broken = true;
  }
  shadow.exchange->give(shadow.step_id, std::move(body), now_);
  take_step(shadow);
}

void Play::answer_keys(std::uint64_t fetch_id, Time started, bool set, const IncomingResponse& reply) {
  if (set && reply.status == 200) {
    if (auto parsed = parse_jwk_set(reply.body)) {
      KeySet taken{started, {}};
      for (const Jwk& key : parsed->keys) taken.kids.insert(key.kid);
      key_sets_.push_back(std::move(taken));
    }
  }
  key_fetches_.erase(fetch_id);
  gate_->give(fetch_id, reply, now_);
}

void Play::learn(Shadow& shadow, const IncomingResponse& reply) {
  ++shadow.answers;
  // An escaped surrogate alone is no JSON to nlohmann; the core is lenient about it in replies.
  if (reply.body.find("\\u") != std::string::npos) shadow.unsure = true;
  if (reply.status != 200) return;
  const ReferenceText read = read_reference(reply.body);
  if (!read.strict) return;
  const auto permission = decide(shadow);
  if (!permission) return;
  const std::string path = shadow.request.url.substr(upstream.size());
  const ReferenceText asked = read_reference(shadow.request.body);
  if (path == "/threads/search") {
    // A client's own search may name no ids at all.
    if (!read.dom.is_array() || read.dom.size() != 1 || !asked.dom.contains("ids") || asked.dom["ids"].empty()) return;
    const Dom& thread = read.dom[0];
    const std::string id = string_member(thread, "thread_id");
    if (asked.dom["ids"][0] == id && permission->matches(metadata_of(thread))) {
      shadow.owned.insert(id);
      shadow.stored[id] = metadata_of(thread);
    }
  } else if (path == "/threads") {
    const std::string id = string_member(read.dom, "thread_id");
    if (id == string_member(asked.dom, "thread_id") && permission->matches(metadata_of(read.dom))) shadow.owned.insert(id);
  } else if (path.starts_with("/assistants/")) {
    const bool by_search = path == "/assistants/search";
    if (by_search && (!read.dom.is_array() || read.dom.empty())) return;
    const Dom& assistant = by_search ? read.dom[0] : read.dom;
    const std::string id = by_search ? string_member(asked.dom, "graph_id") : path.substr(12);
    if (string_member(assistant, by_search ? "graph_id" : "assistant_id") != id) return;
    const bool on_run = shadow.match->route->action == Action::create_run;
    const auto reading = config_.decide(Resource::assistants, Action::read, shadow.identity);
    const bool system = on_run && has_field(metadata_of(assistant), "created_by", "system");
    if (system || (reading && reading->matches(metadata_of(assistant)))) shadow.seen.insert(id);
  } else if (path.find("/runs/") != std::string::npos) {
    const bool same_thread = string_member(read.dom, "thread_id") == shadow.match->thread_id;
    if (same_thread && string_member(read.dom, "run_id") == shadow.match->run_id) shadow.runs.insert(shadow.match->run_id);
  } else if (path.starts_with("/threads/")) {
    shadow.reply = {reply.status, reply.body};
    shadow.reply_thread = path.substr(9);
  }
}

void Play::give_reply(Shadow& shadow, IncomingResponse reply) {
  switch (shadow.under) {
    case Under::keys: {
      const auto flight = key_fetches_.find(shadow.fetch_id);
      if (flight == key_fetches_.end()) return;
      answer_keys(shadow.fetch_id, flight->second.started, flight->second.set, reply);
      break;
    }
    case Under::object:
      learn(shadow, reply);
      gate_->give(shadow.fetch_id, std::move(reply), now_);
      break;
    case Under::inspected:
      shadow.reply = {reply.status, reply.body};
      if (reply.body.find("\\u") != std::string::npos) shadow.unsure = true;
      shadow.exchange->give(shadow.step_id, std::move(reply), now_);
      break;
    default:
      return;  // nothing to answer; wrong_kind is the op for it
  }
  shadow.under = Under::nothing;
  take_step(shadow);
}

void Play::run_due(const Line& line) {
  for (const Fetch& fetch : gate_->due(now_).fetches) {
    must(fetch.purpose != FetchPurpose::upstream_object, "only keys are fetched ahead");
    Shadow nobody;
    check_outgoing(nobody, fetch.request, true);
    must(fetch_ids_.insert(fetch.fetch_id).second, "no fetch is handed out twice");
    IncomingResponse reply;
    reply.status = std::atoi(line.words[0].c_str());
    reply.body = line.text;
    answer_keys(fetch.fetch_id, now_, fetch.purpose == FetchPurpose::keys, reply);
  }
}

void Play::explain(const Line& line) {
  const Token* token = token_file().find(line.words[0]);
  const std::string value = token == nullptr ? "" : "Bearer " + token->text;
  const HeaderView header{"authorization", value};
  const RequestHead head{line.words[1], line.words[2], &header, token == nullptr ? 0U : 1U};
  const std::string told = gate_->explain(head, line.text, now_);
  const ReferenceText read = read_reference(told);
  must(read.strict && read.dom["outcome"].is_object(), "an explanation is JSON with an outcome", told);
  must(token == nullptr || !holds_token(told, *token), "no explanation holds the token");
  if (read.dom["outcome"]["kind"] != "forward") return;
  const auto match = match_route(line.words[1], line.words[2]);
  std::string identity;
  const bool open = match && match->route->treatment == Treatment::open;
  must(open || (token_is_good(token, identity) && keys_are_known(*token)), "nothing forged is explained as forwarded", told);
}

void Play::restart() {
  for (Shadow& shadow : slots_) shadow = Shadow{};
  const std::string kept = gate_->export_keys();
  must(kept.empty() || read_reference(kept).strict, "a snapshot is JSON");
  if (forgets(config_)) return;
  gate_ = gate_for(config_);
  (void)gate_->import_keys(kept, now_);
  key_fetches_.clear();
  fetch_ids_.clear();
  last_step_id_ = 0;
}

void Play::run(const Line& line) {
  const auto response = [](const std::string& status, const std::string& body) {
    IncomingResponse out;
    out.status = std::atoi(status.c_str());
    if (out.status < 100 || out.status > 599) out.status = 0;
    out.headers = {{"Content-Type", "application/json"}, {"Access-Control-Allow-Origin", "*"}, {"Transfer-Encoding", "chunked"}};
    if (out.status != 0) out.body = body;
    return out;
  };
  if (line.op == "header") {
    const std::size_t colon = line.text.find(':');
    const bool plain = std::all_of(line.text.begin(), line.text.end(), [](char c) { return c >= ' ' && c < 0x7F; });
    if (plain && colon != std::string::npos && colon > 0 && pending_headers_.size() < 8) {
      const std::size_t value = line.text.find_first_not_of(' ', colon + 1);
      pending_headers_.emplace_back(line.text.substr(0, colon), value == std::string::npos ? "" : line.text.substr(value));
    }
    return;
  }
  if (line.op == "open") return open(line, Purpose::handle);
  if (line.op == "authenticate") return open(line, Purpose::authenticate);
  if (line.op == "due") return run_due(line);
  if (line.op == "restart") return restart();
  if (line.op == "explain") return explain(line);
  if (line.op == "time") {
    const std::int64_t seconds = std::clamp<std::int64_t>(std::atoll(line.words[0].c_str()), -100'000, 100'000);
    clock_went_back_ = clock_went_back_ || seconds < 0;
    now_ = now_.plus_seconds(seconds);
    return;
  }
  if (line.op == "stray") {
    const std::uint64_t id = std::strtoull(line.words[0].c_str(), nullptr, 10);
    if (!fetch_ids_.contains(id)) gate_->give(id, response(line.words[1], line.text), now_);
    return;
  }

  Shadow* shadow = slot(line);
  if (shadow == nullptr) return;
  if (line.op == "body") return give_body(*shadow, BodyResult{BodyResult::State::whole, line.text});
  if (line.op == "body_over") return give_body(*shadow, BodyResult{BodyResult::State::over_limit, ""});
  if (line.op == "body_failed") return give_body(*shadow, BodyResult{BodyResult::State::failed, ""});
  if (line.op == "reply") return give_reply(*shadow, response(line.words[1], line.text));
  if (line.op == "no_reply") return give_reply(*shadow, IncomingResponse{});
  if (line.op == "timed_out") return give_reply(*shadow, IncomingResponse{0, {}, "", true, false});
  if (line.op == "reply_over") return give_reply(*shadow, IncomingResponse{200, {}, "", false, true});
  if (line.op == "next") return take_step(*shadow);
  if (line.op == "drop") {
    *shadow = Shadow{};
  } else if (line.op == "again") {
    // The id is known and answered, or belongs to a fetch that somebody else answered: dropped.
    if (shadow->fetch_id != 0 && shadow->under != Under::object && !key_fetches_.contains(shadow->fetch_id)) {
      gate_->give(shadow->fetch_id, response(line.words[1], line.text), now_);
    }
  } else if (line.op == "fail") {
    shadow->broken = true;
    shadow->exchange->fail(shadow->step_id);
    take_step(*shadow);
  } else if (line.op == "wrong_step") {
    shadow->broken = true;
    shadow->exchange->give(shadow->step_id + 1, BodyResult{BodyResult::State::whole, line.text}, now_);
    take_step(*shadow);
  } else if (line.op == "wrong_kind") {
    shadow->broken = true;
    if (shadow->under == Under::inspected) {
      shadow->exchange->give(shadow->step_id, BodyResult{BodyResult::State::whole, line.text}, now_);
    } else {
      shadow->exchange->give(shadow->step_id, response(line.words[1], line.text), now_);
    }
    take_step(*shadow);
  }
}

}  // namespace
}  // namespace postern::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using namespace postern::fuzz;
  const auto script = parse_script(text_of(bytes, size));
  const bool named = !script.empty() && script.front().op == "config";
  Play play(find_config(named ? script.front().words[0] : "owner"));
  for (const Line& line : script) play.run(line);
  return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* bytes, std::size_t size, std::size_t size_max, unsigned seed) {
  using namespace postern::fuzz;
  Random random(seed);
  return store(mutate_script(text_of(bytes, size), size_max, random), bytes, size_max);
}
