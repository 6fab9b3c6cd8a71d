// What has been revoked before its time: the names of credentials, never their bytes.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "config_reader.h"
#include "postern/time.h"
#include "postern/user.h"

namespace postern {

// Some 10 MB of names; a longer list wants shorter-lived tokens.
inline constexpr std::size_t denylist_entries_max = 100'000;
inline constexpr std::size_t denylist_bytes_max = 16 * 1024 * 1024;

// Names as text that a host keeps beside an open stream, and back. Reading refuses what writing does not write.
[[nodiscard]] std::string write_names(const CredentialNames& names);
[[nodiscard]] std::optional<CredentialNames> read_names(std::string_view text);

class Denylist {
 public:
  // At a member of the reader's; without it, empty. A list of {"iss", "jti"}, {"iss", "sub", "issued_before": seconds} and
  // {"api_key": id}. Anything else is a fault: an entry that is not understood would leave somebody in who should be out.
  [[nodiscard]] static Denylist parse(ConfigReader& reader, const char* key);

  // issued_before: a credential that does not say when it was issued is denied too.
  // An empty list is the rule, and is asked in every request: the credential's names are not even looked at.
  [[nodiscard]] bool denies(const CredentialNames& credential) const { return size() != 0 && holds(credential); }
  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  [[nodiscard]] bool holds(const CredentialNames& credential) const;
  [[nodiscard]] bool names(std::string_view kind, std::string_view first, std::string_view second,
                           const std::optional<Time>& issued_at) const;

  std::map<std::string, Time> entries_;  // what is denied (entry_name), and the latest `issued_before`
};

}  // namespace postern
