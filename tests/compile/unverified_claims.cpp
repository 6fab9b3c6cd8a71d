// Claims are read from what was verified, never from what was only parsed.
#include "claims.h"

namespace postern {
bool valid(const ParsedJws& parsed, const Jwk& key, const ClaimRules& rules, Time now) {
#ifdef GOOD
  auto verified = VerifiedJws::verify(parsed, key);
  return verified.ok() && validate_claims(verified.value(), rules, now).ok();
#else
  (void)key;
  return validate_claims(parsed, rules, now).ok();
#endif
}
}  // namespace postern
