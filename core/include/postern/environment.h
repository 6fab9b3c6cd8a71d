// The environment -> a configuration, for a start without a file.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "postern/config.h"
#include "postern/result.h"

namespace postern {

// A configuration made from nothing but the environment: POSTERN_CONFIG, the whole text; else POSTERN_UPSTREAM and SUPABASE_URL,
// with SUPABASE_ANON_KEY (or SUPABASE_SERVICE_KEY) by asking Supabase about each token, without by its published keys, and
// LANGSMITH_API_KEY as the upstream's x-api-key. ConfigError: what is missing.
[[nodiscard]] Result<std::string, ConfigError> config_from_environment(const Environment& environment);
// The names that are read.
[[nodiscard]] std::span<const std::string_view> environment_config_names();

}  // namespace postern
