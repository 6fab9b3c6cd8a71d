// The tests of ed25519_test.cpp once more, for the form of the field that wasm uses (see core/src/ed25519_field.h). Its names
// are its own, so both forms stand in one program.
#define POSTERN_ED25519_LIMBS 29
#include "ed25519.cpp"       // NOLINT: on purpose
#include "ed25519_test.cpp"  // NOLINT: on purpose
