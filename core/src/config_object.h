// The configuration's JSON objects: readers of their members that say where and what is wrong.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "postern/config.h"
#include "refusal.h"

namespace postern {

// One place of the text at fault; unwinds through std::optional returns.
using Fault = std::optional<json::ParseFault>;

// The path of a member for messages, and a reader of its parts that remembers what was read.
class Object {
 public:
  Object(const json::Value& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
  }
  [[nodiscard]] const json::Value* find(std::string_view key) const { return value_->find(key); }
  [[nodiscard]] const json::Value& value() const { return *value_; }

  // The first member that is not `known`, with the nearest name that is.
  [[nodiscard]] Fault unknown_keys(std::initializer_list<std::string_view> known) const;

  [[nodiscard]] json::ParseFault at(std::string_view key, std::string_view what) const {
    const json::Value* member = value_->find(key);
    return {(member == nullptr ? *value_ : *member).offset(), path_of(key) + ": " + std::string(what)};
  }

  [[nodiscard]] Fault read_string(std::string_view key, std::string& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    if (!member->is_string() || member->as_string().empty()) return at(key, "must be a non-empty string");
    out = member->as_string();
    return std::nullopt;
  }

  [[nodiscard]] Fault read_strings(std::string_view key, std::vector<std::string>& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    out.clear();
    if (member->is_string() && !member->as_string().empty()) {
      out.push_back(member->as_string());
      return std::nullopt;
    }
    if (!member->is_array() || member->items().empty()) return at(key, "must be a string or a non-empty list of strings");
    for (const json::Value& item : member->items()) {
      if (!item.is_string() || item.as_string().empty()) return at(key, "must hold non-empty strings");
      out.push_back(item.as_string());
    }
    return std::nullopt;
  }

  [[nodiscard]] Fault read_boolean(std::string_view key, bool& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    if (!member->is_boolean()) return at(key, "must be true or false");
    out = member->as_boolean();
    return std::nullopt;
  }

  template <typename Integer>
  [[nodiscard]] Fault read_integer(std::string_view key, std::int64_t min, std::int64_t max, Integer& out) const {
    const json::Value* member = value_->find(key);
    if (member == nullptr) return std::nullopt;
    const auto number = member->as_integer();
    if (!number || *number < min || *number > max) {
      return at(key, "must be a whole number from " + std::to_string(min) + " to " + std::to_string(max));
    }
    out = static_cast<Integer>(*number);
    return std::nullopt;
  }

 private:
  const json::Value* value_;
  std::string path_;
};

[[nodiscard]] bool is_loopback_host(std::string_view host);

struct Url {
  std::string_view scheme;
  std::string_view host;
  std::string_view rest;  // path
};

// scheme://host[:port][/path]: no user, query, fragment or odd character.
[[nodiscard]] std::optional<Url> parse_url(std::string_view text);

// Keys decide who gets in: they travel over TLS, or never leave this machine (http: loopback only).
[[nodiscard]] Fault check_secure_url(const Object& object, std::string_view key, std::string_view text);

[[nodiscard]] std::string without_trailing_slash(std::string text);

// "$NAME" is looked up in the environment; anything else stands for itself.
[[nodiscard]] Fault resolve_secret(const Object& object, std::string_view key, const Environment& environment,
                                   std::string& secret);

}  // namespace postern
