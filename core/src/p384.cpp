// P-384, SP 800-186 3.2.1.4: the code is in ecdsa_curve.h and ec_field.h.
#define POSTERN_FIELD_BITS 384
#include "ecdsa_curve.h"

namespace postern {

std::unique_ptr<EcdsaKey> make_p384_key(TableBudget& budget, std::string_view x, std::string_view y) {
  return make_key(budget, "P-384", x, y);
}

}  // namespace postern
