// Body edits: what a client sent, checked against its route's fields, to what the upstream may see.
// Every token that is not edited is written again as it was read.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.h"
#include "policy.h"
#include "route.h"

namespace postern {

// Refuses, by name: unlisted fields, wrong types, reserved keys in config.configurable and context,
// a thread_id inside a checkpoint or config that is not the path's.
[[nodiscard]] std::optional<Refusal> check_body(const json::Value& body, const RouteMatch& match);

// metadata of what is created: the stamp's keys are the gate's, whatever the client wrote.
// config.metadata, which the server merges into the run's, is treated the same.
void stamp_metadata(json::Value& body, const Stamp& stamp);

// metadata of what is changed: the keys that decide whose an object is stay what they are. Servers merge, so leaving a
// key out keeps what is stored; writing it would make whoever may change an object its owner.
void keep_metadata(json::Value& body, const Stamp& stamp, const std::vector<std::pair<std::string, json::Value>>& equalities);

// metadata of a search, or of what is created under a filter: the filter's fields are the gate's.
void require_metadata(json::Value& body, const std::vector<std::pair<std::string, json::Value>>& equalities);

// Makes sure a search's reply can be judged. Returns true when "metadata" was added to `select`.
[[nodiscard]] bool select_metadata(json::Value& body);

}  // namespace postern
