#include "postern/verify.h"

#include <vector>

#include "base64url.h"
#include "json.h"
#include "jwk.h"
#include "jws.h"
#include "table_budget.h"

namespace postern {
namespace {

// An "oct" key, RFC 7518 6.4: only with an alg, which is what its strength is judged by.
std::optional<Jwk> symmetric_jwk(const json::Value& object) {
  const json::Value* kty = object.find("kty");
  const json::Value* k = object.find("k");
  const json::Value* alg = object.find("alg");
  const json::Value* kid = object.find("kid");
  if (kty == nullptr || !kty->is_string() || kty->as_string() != "oct") return std::nullopt;
  if (k == nullptr || !k->is_string() || alg == nullptr || !alg->is_string() || (kid != nullptr && !kid->is_string())) {
    return std::nullopt;
  }
  const Jwa* row = find_jwa(alg->as_string());
  const auto secret = base64url::decode(k->as_string());
  if (row == nullptr || !secret) return std::nullopt;
  auto jwk = make_symmetric_jwk(kid == nullptr ? std::string_view{} : std::string_view(kid->as_string()), *row, *secret);
  if (!jwk) return std::nullopt;
  return std::move(jwk).value();
}

std::vector<Jwk> read_keys(std::string_view jwk_set, SymmetricKeys symmetric) {
  std::vector<Jwk> keys;
  if (auto set = parse_jwk_set(jwk_set)) {
    keys = std::move(set->keys);
    // For one signature a table does not pay; the own code is faster without one too.
    const auto tables = std::make_shared<TableBudget>(0);
    for (Jwk& key : keys) key.key.use_tables(tables);
    return keys;
  }
  if (symmetric == SymmetricKeys::refuse || jwk_set.size() > jwk_set_bytes_max) return keys;
  auto parsed = json::parse(jwk_set);
  const json::Value* list = parsed ? parsed->find("keys") : nullptr;
  if (list == nullptr || list->items().size() > jwk_set_keys_max) return keys;
  for (const json::Value& one : list->items()) {
    auto key = symmetric_jwk(one);
    if (!key) return {};  // a secret set is the caller's own: one wrong key spoils it
    keys.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace

Result<std::string> verify_jws(std::string_view jws, std::string_view jwk_set, SymmetricKeys symmetric) {
  const std::vector<Jwk> keys = read_keys(jwk_set, symmetric);
  if (keys.empty()) return Error::keys_unavailable;
  auto parsed = parse_jws(jws);
  if (!parsed) return parsed.error();
  auto key = select_key(keys, parsed->kid, *parsed->alg);
  if (!key) return key.error();
  auto verified = VerifiedJws::verify(std::move(parsed).value(), *key.value());
  if (!verified) return verified.error();
  return std::string(verified->payload());
}

Result<bool> verify_signature(std::string_view jwk, std::string_view alg, std::string_view input, std::string_view signature) {
  const Jwa* row = find_jwa(alg);
  if (row == nullptr) return Error::algorithm_not_allowed;
  const std::string jwk_set = "{\"keys\":[" + std::string(jwk) + "]}";
  const std::vector<Jwk> keys = read_keys(jwk_set, row->scheme == Scheme::hmac ? SymmetricKeys::accept : SymmetricKeys::refuse);
  if (keys.size() != 1) return Error::keys_unavailable;
  const Jwk& key = keys.front();
  if (key.key.kind() != row->key_kind || (key.alg != nullptr && key.alg != row)) return Error::algorithm_not_allowed;
  if (signature.size() != key.key.signature_bytes(*row)) return Error::signature_malformed;
  if (!crypto::verify(key.key, *row, input, signature)) return Error::signature_invalid;
  return true;
}

}  // namespace postern
