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

json::Value reference(std::string_view name) { return json::Value::string("$" + std::string(name)); }

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

  json::Value config = json::Value::object();
  // With a key Supabase itself is asked, which works for every project; without, its published keys must do. The anon key is
  // enough, and the service key is more than a gate should hold.
  const std::string_view key_name =
      find(environment, "SUPABASE_ANON_KEY") != nullptr ? "SUPABASE_ANON_KEY" : "SUPABASE_SERVICE_KEY";
  json::Value source = json::Value::object();
  json::Value sources = json::Value::array();
  const bool asks = find(environment, key_name) != nullptr;
  source.set(asks ? "kind" : "preset", json::Value::string("supabase"));
  source.set("url", json::Value::string(*supabase_url));
  if (asks) source.set("apikey", reference(key_name));
  sources.push_back(std::move(source));
  config.set(asks ? "credentials" : "issuers", std::move(sources));

  json::Value upstream = json::Value::object();
  upstream.set("url", json::Value::string(*upstream_url));
  if (find(environment, "LANGSMITH_API_KEY") != nullptr) {
    json::Value headers = json::Value::object();
    headers.set("x-api-key", reference("LANGSMITH_API_KEY"));
    upstream.set("headers", std::move(headers));
  }
  config.set("upstream", std::move(upstream));
  return json::write(config);
}

}  // namespace postern
