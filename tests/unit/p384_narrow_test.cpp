// The tests of ecdsa_test.h for P-384 once more, over the 28-bit limbs that wasm uses, compiled natively under a namespace of
// their own.
#include "ecdsa_narrow_test.h"

#define POSTERN_LIMB_BITS 28
#define postern postern_narrow
#include "p384.cpp"
#undef postern

#define ECDSA_SUITE P384Narrow
#define ECDSA_NAMESPACE postern_narrow
#include "ecdsa_test.h"
