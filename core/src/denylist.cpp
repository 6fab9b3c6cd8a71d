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

Result<Denylist, json::ParseFault> Denylist::parse(const json::Value& list) {
  const auto fault = [](const json::Value& at, std::string what) { return json::ParseFault{at.offset(), std::move(what)}; };
  if (!list.is_array()) return fault(list, "must be a list");
  if (list.items().size() > denylist_entries_max) return fault(list, "holds more than 100000 entries");
  Denylist out;
  for (const json::Value& entry : list.items()) {
    const auto text = [&](std::string_view name) -> const std::string& {
      static const std::string none;
      const json::Value* member = entry.find(name);
      return member == nullptr ? none : member->as_string();
    };
    const auto names = [&](std::initializer_list<std::string_view> wanted) {
      if (entry.members().size() != wanted.size()) return false;
      return std::all_of(wanted.begin(), wanted.end(), [&](std::string_view name) { return entry.find(name) != nullptr; });
    };
    const auto usable = [](const std::string& value) { return !value.empty() && value.find('\0') == std::string::npos; };
    if (names({"iss", "jti"}) && usable(text("iss")) && usable(text("jti"))) {
      out.token_ids_.insert(pair_key(text("iss"), text("jti")));
    } else if (names({"iss", "sub", "issued_before"}) && usable(text("iss")) && usable(text("sub"))) {
      const auto seconds = entry.find("issued_before")->as_integer();
      // Until the year 10000: milliseconds instead of seconds would deny everybody for ever.
      if (!seconds || *seconds < 0 || *seconds > 253'402'300'799)
        return fault(entry, "issued_before must be a time in seconds since 1970");
      Time& before = out.subjects_[pair_key(text("iss"), text("sub"))];
      before = std::max(before, Time{*seconds * 1000});
    } else if (names({"api_key"}) && usable(text("api_key"))) {
      out.api_keys_.insert(text("api_key"));
    } else {
      return fault(entry, R"(an entry is {"iss", "jti"}, {"iss", "sub", "issued_before": seconds} or {"api_key": id})");
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
