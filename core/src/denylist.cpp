#include "denylist.h"

#include <algorithm>
#include <limits>

namespace postern {
namespace {

// What an entry denies, as one name. No part holds a NUL: JSON strings with one are refused below, and no issuer's do.
std::string entry_name(std::string_view kind, std::string_view first, std::string_view second) {
  std::string name(kind);
  name += first;
  name += '\0';
  name += second;
  return name;
}
constexpr std::string_view token_id_kind = "t";
constexpr std::string_view subject_kind = "s";
constexpr std::string_view api_key_kind = "k";

constexpr Time always{std::numeric_limits<std::int64_t>::max()};

}  // namespace

std::string write_names(const CredentialNames& names) {
  if (names.subject.empty() && names.token_id.empty() && names.api_key.empty()) return {};
  json::Value out = json::Value::array();
  for (const std::string* text : {&names.issuer, &names.subject, &names.token_id, &names.api_key}) {
    out.push_back(json::Value::string(*text));
  }
  if (names.issued_at) out.push_back(json::Value::number(names.issued_at->unix_ms));
  return json::write(out);
}

std::optional<CredentialNames> read_names(std::string_view text) {
  const auto list = json::parse(text);
  if (!list || list->items().size() < 4 || list->items().size() > 5) return std::nullopt;
  const std::vector<json::Value>& items = list->items();
  CredentialNames names{items[0].as_string(), items[1].as_string(), items[2].as_string(), items[3].as_string(), std::nullopt};
  if (items.size() == 5) {
    const auto unix_ms = items[4].as_integer();
    if (!unix_ms) return std::nullopt;
    names.issued_at = Time{*unix_ms};
  }
  return names;
}

Denylist Denylist::parse(ConfigReader& reader, const char* key) {
  Denylist out;
  const json::Value* list = reader.find(key);
  if (list == nullptr) return out;
  if (!list->is_array()) reader.fail(key, "must be a list");
  if (list->items().size() > denylist_entries_max) {
    reader.fail(key, "holds more than 100000 entries");
    return out;
  }
  for (const json::Value& entry : list->items()) {
    // "": not there, or not usable.
    const auto text = [&](std::string_view name) {
      const json::Value* member = entry.find(name);
      const std::string_view value = member == nullptr ? std::string_view() : member->as_string();
      return value.find('\0') == std::string_view::npos ? value : std::string_view();
    };
    const std::size_t size = entry.members().size();
    const std::string_view issuer = text("iss");
    const std::string_view subject = text("sub");
    const std::string_view token_id = text("jti");
    const std::string_view api_key = text("api_key");
    const json::Value* issued_before = entry.find("issued_before");
    if (size == 2 && !issuer.empty() && !token_id.empty()) {
      out.entries_[entry_name(token_id_kind, issuer, token_id)] = always;
    } else if (size == 3 && !issuer.empty() && !subject.empty() && issued_before != nullptr) {
      const std::int64_t seconds = issued_before->as_integer().value_or(-1);
      // Until the year 10000: milliseconds instead of seconds would deny everybody for ever.
      if (seconds < 0 || seconds > 253'402'300'799) {
        reader.fail_at(key, entry, "issued_before must be a time in seconds since 1970");
        break;
      }
      Time& before = out.entries_[entry_name(subject_kind, issuer, subject)];
      before = std::max(before, Time{seconds * 1000});
    } else if (size == 1 && !api_key.empty()) {
      out.entries_[entry_name(api_key_kind, api_key, {})] = always;
    } else {
      reader.fail_at(key, entry, R"(an entry is {"iss", "jti"}, {"iss", "sub", "issued_before": seconds} or {"api_key": id})");
    }
  }
  return out;
}

bool Denylist::names(std::string_view kind, std::string_view first, std::string_view second,
                     const std::optional<Time>& issued_at) const {
  const auto found = entries_.find(entry_name(kind, first, second));
  return found != entries_.end() && (!issued_at || *issued_at < found->second);
}

bool Denylist::holds(const CredentialNames& credential) const {
  const auto& [issuer, subject, token_id, api_key, issued_at] = credential;
  return (!api_key.empty() && names(api_key_kind, api_key, {}, {})) ||
         (!token_id.empty() && names(token_id_kind, issuer, token_id, {})) || names(subject_kind, issuer, subject, issued_at);
}

}  // namespace postern
