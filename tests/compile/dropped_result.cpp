// A Result may not be dropped: an ignored failure would be a silent yes.
#include "claims.h"

namespace postern {
void check(const VerifiedJws& jws, const ClaimRules& rules, Time now) {
#ifdef GOOD
  if (!validate_claims(jws, rules, now)) __builtin_trap();
#else
  validate_claims(jws, rules, now);
#endif
}
}  // namespace postern
