#include "user.h"

#include <utility>

#include "refusal.h"

namespace postern {

User make_user(Claims claims, std::string_view identity_prefix) {
  User user;
  user.identity = std::string(identity_prefix) + claims.identity;
  user.display_name = claims.identity;
  if (const json::Value* name = claims.object.find("name"); name != nullptr && !name->as_string().empty()) {
    user.display_name = name->is_string() ? name->as_string() : claims.identity;
  }
  if (const json::Value* permissions = claims.object.find("permissions"); permissions != nullptr && permissions->is_array()) {
    for (const json::Value& item : permissions->items()) {
      if (item.is_string() && !item.as_string().empty()) user.permissions.push_back(item.as_string());
    }
  }
  if (const json::Value* scope = claims.object.find("scope"); scope != nullptr && scope->is_string()) {
    std::string_view rest = scope->as_string();
    while (!rest.empty()) {
      const std::size_t space = rest.find(' ');
      if (space != 0) user.permissions.emplace_back(rest.substr(0, space));
      if (space == std::string_view::npos) break;
      rest.remove_prefix(space + 1);
    }
  }
  user.claims_json = std::move(claims.text);
  return user;
}

Result<User, json::ParseFault> parse_user(const json::Value& value) {
  const auto fault = [](const json::Value& at, std::string what) { return json::ParseFault{at.offset(), std::move(what)}; };
  if (!value.is_object()) return fault(value, "must be an object such as {\"identity\": \"alice\"}");
  User user;
  user.claims_json = "{}";
  for (const auto& [name, part] : value.members()) {
    if (name == "identity" || name == "display_name") {
      if (!part.is_string() || part.as_string().empty()) return fault(part, name + ": must be a non-empty string");
      (name == "identity" ? user.identity : user.display_name) = part.as_string();
    } else if (name == "permissions") {
      if (!part.is_array()) return fault(part, "permissions: must be a list of strings");
      for (const json::Value& item : part.items()) {
        if (!item.is_string() || item.as_string().empty()) return fault(item, "permissions: must hold non-empty strings");
        user.permissions.push_back(item.as_string());
      }
    } else if (name == "claims") {
      if (!part.is_object()) return fault(part, "claims: must be an object of claim names and values");
      user.claims_json = json::write(part);
    } else {
      return fault(part,
                   printable_name(name) + " is no part of a user; the parts are identity, display_name, permissions, claims");
    }
  }
  if (user.identity.empty()) return fault(value, "identity: is missing");
  if (!is_identity(user.identity)) return fault(value, "identity: must have at most 256 bytes and no control character");
  if (user.display_name.empty()) user.display_name = user.identity;
  return user;
}

}  // namespace postern
