#include "known_user.h"

#include "crypto.h"
#include "sha256.h"

namespace postern {
namespace {

// Longer than any key that is made; bounds what one request makes the gate hash.
constexpr std::size_t api_key_bytes_max = 512;

std::string_view bytes_of(const Digest256& digest) { return {reinterpret_cast<const char*>(digest.data()), digest.size()}; }

const KnownUser* find_digest(const std::vector<KnownUser>& users, std::string_view text) {
  const Digest256 digest = sha256::digest(text);
  const KnownUser* found = nullptr;
  for (const KnownUser& user : users) {
    if (crypto::equal_constant_time(bytes_of(user.digest), bytes_of(digest))) found = &user;
  }
  return found;
}

}  // namespace

const KnownUser* find_static_token(const StaticTokens& tokens, std::string_view token) {
  return find_digest(tokens.users, token);
}

const KnownUser* find_api_key(const ApiKeys& keys, std::string_view key) {
  if (key.size() > api_key_bytes_max) return nullptr;
  const KnownUser* found = find_digest(keys.users, key);
  // The id is what people and denylists name the key by: it must be the one that is in the key.
  return found != nullptr && key.starts_with(keys.prefix + "_" + found->key_id + "_") ? found : nullptr;
}

}  // namespace postern
