// The tests of ecdsa_test.h for P-384, over limbs of 56 bits.
#define POSTERN_FIELD_BITS 384
#define ECDSA_SUITE P384
#define ECDSA_NAMESPACE postern
#include "ecdsa_test.h"
