// User -> what the upstream is told of them: a signed assertion, plain headers, the run's configuration.
//
// The assertion is the one that proves something: a server that accepts nothing else cannot be reached around the gate, and
// LangGraph fills `langgraph_auth_user` from it by its own means. The other two are for upstreams that nobody else can reach.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config_reader.h"
#include "json.h"
#include "postern/request.h"
#include "postern/time.h"
#include "postern/user.h"
#include "signing.h"

namespace postern {

// Long enough for a request on its way, too short to be worth stealing.
inline constexpr std::int64_t assertion_seconds_max = 60;

struct AssertionSettings {
  SigningKey key;
  std::string audience;  // whom it is for; the upstream's URL unless another is said
  std::int64_t lifetime_seconds = assertion_seconds_max;
};

struct HandoverSettings {
  std::optional<AssertionSettings> assertion;  // as `authorization: Bearer …`
  bool headers = false;                        // x-user-id, x-user-name, x-user-permissions
  bool configurable = false;                   // config.configurable.langgraph_auth_user, _user_id, _permissions of runs
  std::vector<std::string> secret_fields;      // the secret fields that go along in assertion and configurable
};

// Reads `upstream.identity`. `upstream_url`: the assertion's audience unless another is said.
void parse_handover(ConfigReader& upstream, const std::string& upstream_url, HandoverSettings& out);

// LangGraph's user as JSON: identity, display_name, is_authenticated, permissions, the open fields, and of the secret ones those
// that are named.
[[nodiscard]] json::Value user_json(const User& user, const std::vector<std::string>& secret_fields);

// Adds the headers that tell who this request is for. The assertion binds its method and path, so it is made anew for each.
void add_identity(OutgoingRequest& request, const User& user, const HandoverSettings& settings, Time now);

// Writes the reserved keys into a run's body, over whatever stands there.
void add_identity_to_run(json::Value& body, const User& user, const HandoverSettings& settings);

}  // namespace postern
