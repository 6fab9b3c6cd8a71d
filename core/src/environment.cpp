#include "postern/environment.h"

#include "json.h"

namespace postern {
namespace {

const std::string* find(const Environment& environment, std::string_view wanted) {
  for (const auto& [name, value] : environment) {
    if (name == wanted && !value.empty()) return &value;
  }
  return nullptr;
}

}  // namespace

std::span<const std::string_view> environment_config_names() {
  static constexpr std::string_view names[] = {"POSTERN_CONFIG",       "POSTERN_UPSTREAM",  "SUPABASE_URL",
                                               "SUPABASE_SERVICE_KEY", "SUPABASE_ANON_KEY", "LANGSMITH_API_KEY"};
  return names;
}

Result<std::string, ConfigError> config_from_environment(const Environment& environment) {
  if (const std::string* whole = find(environment, "POSTERN_CONFIG")) return *whole;
  const auto missing = [](std::string_view name, std::string_view what) {
    return ConfigError{
        0, 0, std::string(name),
        "is not set in the environment: " + std::string(what) + "; or put a whole configuration into POSTERN_CONFIG"};
  };
  const std::string* upstream_url = find(environment, "POSTERN_UPSTREAM");
  const std::string* supabase_url = find(environment, "SUPABASE_URL");
  if (upstream_url == nullptr) return missing("POSTERN_UPSTREAM", "where the agent server is, e.g. http://127.0.0.1:2024");
  if (supabase_url == nullptr) return missing("SUPABASE_URL", "whose tokens are believed, e.g. https://PROJECT.supabase.co");

  // With a key Supabase itself is asked, which works for every project; without, its published keys must do. The anon key is
  // enough, and the service key is more than a gate should hold.
  const std::string_view key_name =
      find(environment, "SUPABASE_ANON_KEY") != nullptr ? "SUPABASE_ANON_KEY" : "SUPABASE_SERVICE_KEY";
  const bool asks = find(environment, key_name) != nullptr;
  std::string out = asks ? R"({"credentials":[{"kind":"supabase","url":)" : R"({"issuers":[{"preset":"supabase","url":)";
  json::write_string(out, *supabase_url);
  if (asks) out.append(R"(,"apikey":"$)").append(key_name).append("\"");
  out += R"(}],"upstream":{"url":)";
  json::write_string(out, *upstream_url);
  if (find(environment, "LANGSMITH_API_KEY") != nullptr) out += R"(,"headers":{"x-api-key":"$LANGSMITH_API_KEY"})";
  return out + "}}";
}

}  // namespace postern
