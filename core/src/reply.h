// Replies: a Refusal -> what the client gets, an upstream's reply that was read -> what the client gets of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "json.h"
#include "postern/step.h"
#include "refusal.h"

namespace postern {

// LangGraph's Python server's error shape, {"detail": ...}, with a `code` beside it; WWW-Authenticate as RFC 6750 section 3 says.
[[nodiscard]] Respond refusal_reply(const Refusal& refusal);

// A reply the gate makes itself from upstream objects.
[[nodiscard]] Respond json_reply(int status, const json::Value& body);

// An upstream's reply that was read whole, on to the client, without hop-by-hop headers and its opinion on origins.
[[nodiscard]] Respond pass_on(IncomingResponse reply);

// Headers of the upstream's that never reach a client: the gate answers for it, also about origins.
[[nodiscard]] bool is_dropped_reply_header(std::string_view lower_case_name);
[[nodiscard]] std::vector<std::string> dropped_reply_headers();

// JSON of an upstream, under bounds of its own (a long chat has some ten thousand values). Lone surrogates, which
// JavaScript writes, become U+FFFD.
[[nodiscard]] std::optional<json::Value> parse_reply(const std::string& body);

// metadata of an upstream's object; null when it has none.
[[nodiscard]] const json::Value& metadata_of(const json::Value& object);
[[nodiscard]] bool has_string(const json::Value& object, const char* key, const std::string& text);

}  // namespace postern
