// Natively there is no second maker of a VerifiedJws: no host says what a signature is worth (invariant no-unverified).
#include "jws.h"

namespace postern {
Result<VerifiedJws> trusted(ParsedJws jws, const Jwk& key) {
#ifdef GOOD
  return VerifiedJws::verify(std::move(jws), key);
#else
  return VerifiedJws::from_host(std::move(jws), key, SignatureVerdict::valid);
#endif
}
}  // namespace postern
