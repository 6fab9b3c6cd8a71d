#include "denylist.h"

#include <algorithm>

namespace postern {
namespace {

// Neither part holds a NUL: JSON strings with one are refused below, and no issuer's do.
std::string pair_key(std::string_view issuer, std::string_view name) {
  std::string key(issuer);
  key += '\0';
  key += name;
  return key;
}

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
      out.token_ids_.insert(pair_key(issuer, token_id));
    } else if (size == 3 && !issuer.empty() && !subject.empty() && issued_before != nullptr) {
      const std::int64_t seconds = issued_before->as_integer().value_or(-1);
      // Until the year 10000: milliseconds instead of seconds would deny everybody for ever.
      if (seconds < 0 || seconds > 253'402'300'799) {
        reader.fail_at(key, entry, "issued_before must be a time in seconds since 1970");
        break;
      }
      Time& before = out.subjects_[pair_key(issuer, subject)];
      before = std::max(before, Time{seconds * 1000});
    } else if (size == 1 && !api_key.empty()) {
      out.api_keys_.emplace(api_key);
    } else {
      reader.fail_at(key, entry, R"(an entry is {"iss", "jti"}, {"iss", "sub", "issued_before": seconds} or {"api_key": id})");
    }
  }
  return out;
}

bool Denylist::holds(const CredentialNames& credential) const {
  if (!credential.api_key.empty() && api_keys_.contains(credential.api_key)) return true;
  if (!credential.token_id.empty() && token_ids_.contains(pair_key(credential.issuer, credential.token_id))) return true;
  const auto found = subjects_.find(pair_key(credential.issuer, credential.subject));
  return found != subjects_.end() && (!credential.issued_at || *credential.issued_at < found->second);
}

}  // namespace postern
