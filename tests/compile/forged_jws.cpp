// Nobody but VerifiedJws::verify makes a VerifiedJws (invariant no-unverified).
#include "jws.h"

namespace postern {
Result<VerifiedJws> trusted(ParsedJws jws, const Jwk& key) {
#ifdef GOOD
  return VerifiedJws::verify(std::move(jws), key);
#else
  (void)jws;
  (void)key;
  return VerifiedJws{};
#endif
}
}  // namespace postern
