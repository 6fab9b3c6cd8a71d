#include "user.h"

#include <utility>

#include "refusal.h"

namespace postern {
namespace {

void add_words(std::string_view rest, std::vector<std::string>& out) {
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    if (space != 0) out.emplace_back(rest.substr(0, space));
    if (space == std::string_view::npos) break;
    rest.remove_prefix(space + 1);
  }
}

}  // namespace

std::string_view user_writable_claim(std::string_view path) {
  const std::string_view claim = path.substr(0, path.find('.'));
  for (const std::string_view name : {"user_metadata", "raw_user_meta_data", "unsafe_metadata"}) {
    if (claim == name) return claim;
  }
  return {};
}

json::Element find_claim(const ClaimSet& claims, std::string_view path) {
  if (const json::Element whole = claims.find(path)) return whole;
  std::size_t dot = path.find('.');
  if (dot == std::string_view::npos) return {};
  json::Element value = claims.find(path.substr(0, dot));
  while (value && dot != std::string_view::npos) {
    path.remove_prefix(dot + 1);
    dot = path.find('.');
    value = value.find(path.substr(0, dot));
  }
  return value;
}

User make_user(const ClaimSet& claims, std::string_view identity, std::string_view identity_prefix, const UserMapping& mapping) {
  User user;
  user.identity.reserve(identity_prefix.size() + identity.size());
  user.identity.append(identity_prefix).append(identity);
  user.display_name = identity;
  if (const std::string_view name = find_claim(claims, mapping.display_name_claim).as_string(); !name.empty()) {
    user.display_name = name;
  }
  for (const std::string& path : mapping.permission_claims) {
    const json::Element claim = find_claim(claims, path);
    if (claim.is_string()) add_words(claim.as_string(), user.permissions);
    for (json::Element item = claim.first(); item && claim.is_array(); item = item.next_of(claim)) {
      if (!item.as_string().empty()) user.permissions.emplace_back(item.as_string());
    }
  }
  if (!mapping.fields.empty()) {
    json::Value fields = json::Value::object();
    for (const auto& [field, path] : mapping.fields) {
      if (const json::Element claim = find_claim(claims, path)) fields.set(field, claim.to_value());
    }
    user.fields_json = json::write(fields);
  }

  user.credential.issuer = claims[KnownClaim::iss].as_string();
  user.credential.subject = claims[KnownClaim::sub].as_string();
  user.credential.token_id = claims[KnownClaim::jti].as_string();
  if (const json::Element& issued_at = claims[KnownClaim::iat]) {
    user.credential.issued_at = numeric_date(issued_at, json::Rounding::down);
  }
  return user;
}

User make_user(Claims claims, std::string_view identity_prefix, const UserMapping& mapping) {
  User user = make_user(claims.set, claims.identity, identity_prefix, mapping);
  user.claims_json = std::move(claims.object).take_text();
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
    } else if (name == "fields") {
      if (!part.is_object()) return fault(part, "fields: must be an object of the user's own fields");
      user.fields_json = json::write(part);
    } else {
      return fault(part, printable_name(name) +
                             " is no part of a user; the parts are identity, display_name, permissions, claims, fields");
    }
  }
  if (user.identity.empty()) return fault(value, "identity: is missing");
  if (!is_identity(user.identity)) return fault(value, "identity: must have at most 256 bytes and no control character");
  if (user.display_name.empty()) user.display_name = user.identity;
  return user;
}

}  // namespace postern
