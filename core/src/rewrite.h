// Body edits: what a client sent, checked against its route's fields, to what the upstream may see.
// Every token that is not edited is written again as it was read.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.h"
#include "policy.h"
#include "route.h"

namespace postern {

// What a body is checked against.
struct BodyRules {
  std::span<const Field> fields;
  std::string_view thread_id;                             // of the path; "" where the route has none
  const std::vector<std::string>* more_fields = nullptr;  // upstream.allow_fields of the route
  const std::vector<std::string>* webhook_origins = nullptr;
  bool assistants = false;      // metadata.created_by is the server's: "system" would show an assistant to everybody
  std::string_view where = {};  // put before names in refusals, e.g. "params."
};

// Refuses, by name: unlisted fields, wrong types, reserved keys in config.configurable and context, a thread_id inside a
// checkpoint or config that is not the path's, a webhook on an origin that is not listed.
[[nodiscard]] std::optional<Refusal> check_body(const json::Value& body, const BodyRules& rules);

// metadata of what is created: the stamp's keys are the gate's, whatever the client wrote.
// config.metadata, which the server merges into the run's, is treated the same.
void stamp_metadata(json::Value& body, const Stamp& stamp);

// metadata of what is changed: the fields that decide whose an object is stay what they are in `stored`. Written out
// where they are stored (a server that replaces metadata keeps them), left out where they are not (nobody gains one).
// `name`: of the member that holds it.
void keep_metadata(json::Value& body, const std::vector<std::string>& fields, const json::Value& stored,
                   std::string_view name = "metadata");

// metadata of a search, or of what is created under a filter: the filter's fields are the gate's.
void require_metadata(json::Value& body, const std::vector<std::pair<std::string, json::Value>>& equalities);

// Makes sure that a search's reply holds `names`, which the gate needs to judge it. Returns those it added to the client's
// `select`: they are taken out of the reply again. An empty select is none, as for the servers.
[[nodiscard]] std::vector<std::string> select_also(json::Value& body, const std::vector<std::string>& names);

}  // namespace postern
