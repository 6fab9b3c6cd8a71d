// The tests of ecdsa_test.h for P-256 once more, over the 29-bit limbs that wasm uses, compiled natively under a namespace of
// their own.
#include "ecdsa_narrow_test.h"

#define POSTERN_LIMB_BITS 29
#define postern postern_narrow
#include "p256.cpp"
// Of its lanes, which come with these limbs:
#include "support/ec_lanes_check.h"
#undef postern

#define ECDSA_SUITE P256Narrow
#define ECDSA_NAMESPACE postern_narrow
#include "ecdsa_test.h"

TEST(P256Narrow, LanesAsOneNumber) { EXPECT_EQ(postern_narrow::LanesCheck(20261121).differences(20000), 0U); }
