// The tests of ecdsa_test.h for P-256, over limbs of 52 bits.
#define POSTERN_FIELD_BITS 256
#define ECDSA_SUITE P256
#define ECDSA_NAMESPACE postern
#include "ecdsa_test.h"
