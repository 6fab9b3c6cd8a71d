// The configuration's text -> Settings: everything checked, defaults filled in, presets spelled out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "credential_settings.h"
#include "denylist.h"
#include "handover.h"
#include "issuer_settings.h"
#include "policy.h"
#include "postern/config.h"
#include "postern/request.h"
#include "resource.h"
#include "route.h"
#include "table_budget.h"
#include "token_cache.h"

namespace postern {

// Fields that the configuration admits beyond a route's own.
struct AllowedFields {
  std::string method;
  std::string path;  // as in the table
  std::vector<std::string> fields;
};

struct UpstreamSettings {
  std::string url;  // scheme://host[:port][/base], no trailing slash
  Api api = Api::langgraph;
  std::vector<Header> headers;
  std::vector<std::string> graphs;           // graph names that may be run; empty: any name
  std::vector<std::string> webhook_origins;  // https origins that a run or cron may call; empty: none
  std::vector<std::string> open_routes;      // paths of the table's `operators` rows that anybody may read
  std::vector<AllowedFields> allow_fields;
  std::vector<std::string> forward_headers;  // lower case; client headers that go on besides the gate's own list
  CustomRoutes routes;
  HandoverSettings identity;
};

// Browsers of these origins may call the gate; it answers their preflights itself (Fetch standard, CORS protocol).
struct CorsSettings {
  std::vector<std::string> origins;          // "https://app.example", or one "*"; empty: no browser may
  std::vector<std::string> headers;          // that a page may send, besides the usual
  std::vector<std::string> exposed_headers;  // that a page may read, besides the usual
  std::int64_t max_age_seconds = 600;
};

struct LimitSettings {
  // 10 MiB: LangGraph inputs are messages and files as base64; a proxy in front usually allows less.
  std::size_t body_bytes_max = 10 * 1024 * 1024;
  // 16 MiB: a page of threads with their values. Over it the client gets 502, never an unread reply.
  std::size_t reply_bytes_max = 16 * 1024 * 1024;
  std::int64_t upstream_time_limit_ms = 60'000;
  std::size_t table_bytes_max = table_bytes_max_default;
};

// What verifies the signatures of P-256, P-384 and Ed25519 keys: the own code with tables for cached keys, or mbedTLS (which has
// no Ed25519: that one stays, without larger tables).
enum class Verifier : std::uint8_t { own, portable };

struct TokenCacheSettings {
  std::size_t bytes_max = token_cache_bytes_default;  // 0: every token is verified each time
};

struct Settings {
  HostHandlers handlers;
  std::vector<IssuerSettings> issuers;
  CredentialSettings credentials;
  Denylist denylist;
  std::optional<ResourceSettings> resource;
  UpstreamSettings upstream;
  Policy policy;
  LimitSettings limits;
  Verifier verifier = Verifier::own;
  TokenCacheSettings token_cache;
  CorsSettings cors;
  std::vector<std::string> warnings;
};

// A fault of a text that a person wrote, with its line and column. `what` may begin with "path: ".
[[nodiscard]] ConfigError config_error(std::string_view text, const json::ParseFault& fault);
// A denylist of its own: the value of the configuration's `denylist`.
[[nodiscard]] Result<Denylist, ConfigError> parse_denylist(std::string_view text);

[[nodiscard]] Result<Settings, ConfigError> parse_settings(std::string_view text, const Environment& environment,
                                                           HostHandlers handlers = {});

}  // namespace postern
