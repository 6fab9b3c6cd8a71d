#include "user.h"

namespace postern {

User make_user(const Claims& claims, std::string_view identity_prefix) {
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
  user.claims_json = json::write(claims.object);
  return user;
}

}  // namespace postern
