// A token or an API key -> the row of the configuration that has its SHA-256.
//
// Every row is compared, each in constant time, so that the time tells neither which row it was nor how near it came.
#pragma once

#include <string_view>

#include "credential_settings.h"

namespace postern {

// nullptr: the token is not in the table.
[[nodiscard]] const KnownUser* find_static_token(const StaticTokens& tokens, std::string_view token);

// `key`: the header's value, PREFIX_ID_SECRET. nullptr: no such key, or its id is not the row's.
[[nodiscard]] const KnownUser* find_api_key(const ApiKeys& keys, std::string_view key);

}  // namespace postern
