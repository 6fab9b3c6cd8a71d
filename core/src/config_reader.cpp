#include "config_reader.h"

#include <algorithm>

#include "text.h"

namespace postern {
namespace {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

ConfigReader::ConfigReader(ConfigContext& context, const json::Value& value, std::string_view path)
    : context_(&context), value_(&value), name_(path) {}

ConfigReader::ConfigReader(ConfigReader& parent, const char* key, const char* what, Presence presence)
    : context_(parent.context_), parent_(&parent), name_(key) {
  const json::Value* member = parent.find(key);
  if (member != nullptr ? member->is_object() : presence == Presence::optional) {
    value_ = member;
  } else {
    parent.fail(key, what);
  }
}

ConfigReader::ConfigReader(ConfigReader& parent, const char* key, std::size_t index, const char* what)
    : context_(parent.context_), parent_(&parent), name_(key), index_(index) {
  const json::Value* list = parent.find(key);
  if (list == nullptr) return;
  value_ = &list->items()[index];
  if (value_->is_object()) return;
  fail(itself, what);
  value_ = nullptr;
}

ConfigReader::ConfigReader(const ConfigReader& parent, std::size_t index) : context_(parent.context_), parent_(&parent) {
  const json::Member& member = parent.value_->members()[index];
  name_ = member.first;
  value_ = &member.second;
}

std::string ConfigReader::path() const {
  std::string out = parent_ == nullptr ? std::string{} : parent_->path();
  if (!out.empty()) out += '.';
  out += name_;
  if (index_) out += "[" + std::to_string(*index_) + "]";
  return out;
}

const json::Value* ConfigReader::find(const char* key) {
  if (key != itself) {
    const auto end = asked_.begin() + asked_count_;
    if (std::find(asked_.begin(), end, std::string_view(key)) == end) asked_[asked_count_++] = key;
  }
  if (!good()) return nullptr;
  return key == itself ? value_ : value_->find(key);
}

void ConfigReader::string(const char* key, std::string& out, const char* missing) {
  if (const json::Value* member = find(key)) {
    if (member->as_string().empty()) fail(key, "must be a non-empty string");
    out = member->as_string();
  }
  if (missing != nullptr && out.empty()) fail(key, missing);
}

void ConfigReader::strings(const char* key, std::vector<std::string>& out, const char* missing) {
  if (const json::Value* member = find(key)) {
    out.clear();
    if (!member->as_string().empty()) {
      out.push_back(member->as_string());
    } else if (member->items().empty()) {
      fail(key, "must be a string or a non-empty list of strings");
    }
    for (const json::Value& item : member->items()) {
      if (item.as_string().empty()) fail(key, "must hold non-empty strings");
      out.push_back(item.as_string());
    }
  }
  if (missing != nullptr && out.empty()) fail(key, missing);
}

void ConfigReader::boolean(const char* key, bool& out) {
  const json::Value* member = find(key);
  if (member == nullptr) return;
  if (!member->is_boolean()) fail(key, "must be true or false");
  out = member->as_boolean();
}

void ConfigReader::integer(const char* key, std::int64_t min, std::int64_t max, std::int64_t& out) {
  const json::Value* member = find(key);
  if (member == nullptr) return;
  const auto number = member->as_integer();
  if (!number || *number < min || *number > max) {
    fail(key, {"must be a whole number from ", std::to_string(min), " to ", std::to_string(max)});
  } else {
    out = *number;
  }
}

void ConfigReader::integer(const char* key, std::int64_t min, std::int64_t max, std::size_t& out) {
  auto number = static_cast<std::int64_t>(out);
  integer(key, min, max, number);
  out = static_cast<std::size_t>(number);
}

void ConfigReader::secret(const char* key, std::string& out, const char* missing) {
  string(key, out, missing);
  if (!good() || !out.starts_with('$')) return;
  const std::string wanted = out.substr(1);
  for (const auto& [name, value] : context_->environment) {
    if (name != wanted) continue;
    if (value.empty()) fail(key, {"the environment variable ", wanted, " is empty"});
    out = value;
    return;
  }
  fail(key, {"the environment variable ", printable_name(wanted), " is not set"});
}

void ConfigReader::secure_url(const char* key, std::string& out, const char* missing) {
  string(key, out, missing);
  if (!out.empty()) check_secure_url(key, out);
}

std::size_t ConfigReader::choice(const char* key, const char* words, std::size_t otherwise, const char* what) {
  std::string text;
  string(key, text);
  if (text.empty()) return otherwise;
  const auto found = find_word(words, text);
  if (!found) fail(key, what);
  return found.value_or(otherwise);
}

std::size_t ConfigReader::list(const char* key, const char* what, Presence presence) {
  const json::Value* member = find(key);
  if (member == nullptr ? presence == Presence::required : member->items().empty()) fail(key, what);
  return member == nullptr ? 0 : member->items().size();
}

void ConfigReader::check_secure_url(const char* key, const std::string& text) {
  const auto url = parse_url(text);
  if (!url) {
    fail(key, "must be a URL such as https://host/path, without query, fragment or user");
  } else if (url->scheme == "http" && !is_loopback_host(url->host)) {
    fail(key, "must be https; http is accepted for 127.0.0.1, [::1] and localhost only");
  }
}

void ConfigReader::fail(const char* key, const char* what) { fail(key, std::initializer_list<std::string_view>{what}); }

void ConfigReader::fail(const char* key, std::initializer_list<std::string_view> what) {
  if (!good()) return;
  const json::Value* member = key == itself ? value_ : value_->find(key);
  set_fault((member == nullptr ? *value_ : *member).offset(), key, what);
}

void ConfigReader::fail_at(const char* key, const json::Value& at, const char* what) {
  fail_at(key, at, std::initializer_list<std::string_view>{what});
}

void ConfigReader::fail_at(const char* key, const json::Value& at, std::initializer_list<std::string_view> what) {
  if (good()) set_fault(at.offset(), key, what);
}

void ConfigReader::fail_in(const char* key, const json::ParseFault& fault) {
  if (good()) set_fault(fault.offset, key, {fault.what});
}

void ConfigReader::set_fault(std::size_t offset, const char* key, std::initializer_list<std::string_view> what) {
  std::string text = path();
  if (key != itself) {
    if (!text.empty()) text += '.';
    text += key;
  }
  text += ": ";
  for (const std::string_view part : what) text += part;
  context_->fault = json::ParseFault{offset, std::move(text)};
}

void ConfigReader::done() {
  if (value_ == nullptr) return;
  const auto end = asked_.begin() + asked_count_;
  for (const json::Member& member : value_->members()) {
    if (std::find(asked_.begin(), end, member.first) != end) continue;
    std::string known;
    std::string_view nearest;
    std::size_t distance = 3;  // further than two edits is a guess, not a hint
    for (auto key = asked_.begin(); key != end; ++key) {
      known += ' ';
      known += *key;
      const std::size_t d = edit_distance(member.first, *key);
      if (d < distance) {
        distance = d;
        nearest = *key;
      }
    }
    const std::string name = printable_name(member.first) + " is not known here; ";
    if (nearest.empty()) {
      set_fault(member.second.offset(), member.first.c_str(), {name, "known:", known});
    } else {
      set_fault(member.second.offset(), member.first.c_str(), {name, "did you mean \"", nearest, "\"?"});
    }
    return;
  }
}

std::optional<std::size_t> find_word(std::string_view words, std::string_view text) {
  for (std::size_t i = 0; !words.empty(); ++i) {
    const std::string_view word = words.substr(0, words.find(' '));
    if (word == text) return i;
    words.remove_prefix(std::min(word.size() + 1, words.size()));
  }
  return std::nullopt;
}

bool is_loopback_host(std::string_view host) { return host == "127.0.0.1" || host == "localhost" || host == "[::1]"; }

std::optional<Url> parse_url(std::string_view text) {
  const std::size_t colon = text.find("://");
  if (colon == std::string_view::npos) return std::nullopt;
  Url url;
  url.scheme = text.substr(0, colon);
  if (url.scheme != "http" && url.scheme != "https") return std::nullopt;
  const std::string_view after = text.substr(colon + 3);
  const std::size_t slash = after.find('/');
  std::string_view authority = after.substr(0, slash);
  url.rest = slash == std::string_view::npos ? std::string_view{} : after.substr(slash);
  for (const char c : text) {
    if (c <= ' ' || c >= 0x7f || c == '?' || c == '#' || c == '@' || c == '\\' || c == '%' || c == '"') return std::nullopt;
  }
  std::string_view port;
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    url.host = authority.substr(0, close + 1);
    port = authority.substr(close + 1);
  } else {
    const std::size_t at = authority.find(':');
    url.host = authority.substr(0, at);
    port = at == std::string_view::npos ? std::string_view{} : authority.substr(at);
  }
  if (url.host.empty()) return std::nullopt;
  if (!port.empty()) {
    if (port.front() != ':' || port.size() < 2 || port.size() > 6) return std::nullopt;
    for (const char c : port.substr(1)) {
      if (c < '0' || c > '9') return std::nullopt;
    }
  }
  return url;
}

std::string without_trailing_slash(std::string text) {
  while (text.ends_with('/')) text.pop_back();
  return text;
}

}  // namespace postern
