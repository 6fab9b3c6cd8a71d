// The numbers of P-256 (SP 800-186, 3.2.1.3) in the forms that the code uses. Made by scripts/curve-constants: do not edit.
#pragma once

#include <stdint.h>

#include "limbs.h"

#if POSTERN_FIELD_BITS != 256
#error "these are the numbers of another curve"
#endif

#ifdef __cplusplus
namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
#endif

// clang-format off
// Words: the lowest first.
LIMBS_CONSTANT uint64_t ec_p_words[field_words] = {UINT64_C(0xffffffffffffffff), UINT64_C(0x00000000ffffffff), UINT64_C(0x0000000000000000), UINT64_C(0xffffffff00000001)};
LIMBS_CONSTANT uint64_t ec_n_words[field_words] = {UINT64_C(0xf3b9cac2fc632551), UINT64_C(0xbce6faada7179e84), UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffff00000000)};

#if POSTERN_LIMB_BITS == 29
// p as signed powers of two: most of its limbs are zero.
LIMBS_CONSTANT limb ec_p_sparse[limb_count] = {-0x1, 0x0, 0x0, 0x200, 0x0, 0x0, 0x40000, -0x200000, 0x1000000};
LIMBS_CONSTANT ulimb ec_p_factor = 0x1;  // -1/p modulo 2^29
LIMBS_CONSTANT limb ec_n_limbs[limb_count] = {0x1c632551, 0x1dce5617, 0x5e7a13c, 0xdf55b4e, 0x1ffffbce, 0x1fffffff, 0x3ffff, 0x1fe00000, 0xffffff};
LIMBS_CONSTANT ulimb ec_n_factor = 0xe00bc4f;  // -1/n modulo 2^29
// Montgomery's R is 2^261.
LIMBS_CONSTANT limb ec_p_r[limb_count] = {0x20, 0x0, 0x0, 0x1fffc000, 0x1fffffff, 0x1fffffff, 0x1f7fffff, 0x3ffffff, 0x0};  // R mod p
LIMBS_CONSTANT limb ec_p_rr[limb_count] = {0xc00, 0x0, 0x1fff0000, 0x1fdfffff, 0x1fbfffff, 0x1fffffff, 0x1fffffff, 0x1ffffffe, 0x13};  // R^2 mod p
LIMBS_CONSTANT limb ec_p_b[limb_count] = {0x1897bbfb, 0x1cdf6229, 0x18486c4, 0x1732821, 0x1dad59e0, 0xabf7212, 0x1a06d110, 0x17721d20, 0x8600c3};  // b R mod p
LIMBS_CONSTANT limb ec_n_rr[limb_count] = {0x148d9ef5, 0xf4e7f75, 0x14c6a651, 0x3f8b765, 0x165861f1, 0x1256d7d8, 0x1c185b23, 0xd4cab0f, 0x84b655};  // R^2 mod n

#else  // POSTERN_LIMB_BITS == 52
// p as signed powers of two: most of its limbs are zero.
LIMBS_CONSTANT limb ec_p_sparse[limb_count] = {-0x1, 0x100000000000, 0x0, 0x1000000000, 0xffffffff0000};
LIMBS_CONSTANT ulimb ec_p_factor = 0x1;  // -1/p modulo 2^52
LIMBS_CONSTANT limb ec_n_limbs[limb_count] = {0x9cac2fc632551, 0xada7179e84f3b, 0xfffffffbce6fa, 0xfffffffff, 0xffffffff0000};
LIMBS_CONSTANT ulimb ec_n_factor = 0x1c8aaee00bc4f;  // -1/n modulo 2^52
// Montgomery's R is 2^260.
LIMBS_CONSTANT limb ec_p_r[limb_count] = {0x10, 0xf000000000000, 0xfffffffffffff, 0xffeffffffffff, 0xfffff};  // R mod p
LIMBS_CONSTANT limb ec_p_rr[limb_count] = {0x300, 0xffffffff00000, 0xffffefffffffb, 0xfdfffffffffff, 0x4ffffff};  // R^2 mod p
LIMBS_CONSTANT limb ec_p_b[limb_count] = {0xdf6229c4bddfd, 0xca8843090d89c, 0x212ed6acf005c, 0x83415a220abf7, 0xc30061dd4874};  // b R mod p
LIMBS_CONSTANT limb ec_n_rr[limb_count] = {0x5cc0dea6dc3ba, 0x192a067d8a084, 0xbec59615571bb, 0x1fc245b2392b6, 0xe12d9559d956};  // R^2 mod n
#endif

// G, 3G, 5G, ... 31G: x, then y.
LIMBS_CONSTANT uint64_t ec_g_odd[16][2][field_words] = {
    {{UINT64_C(0xf4a13945d898c296), UINT64_C(0x77037d812deb33a0), UINT64_C(0xf8bce6e563a440f2), UINT64_C(0x6b17d1f2e12c4247)},
     {UINT64_C(0xcbb6406837bf51f5), UINT64_C(0x2bce33576b315ece), UINT64_C(0x8ee7eb4a7c0f9e16), UINT64_C(0x4fe342e2fe1a7f9b)}},
    {{UINT64_C(0xfb41661bc6e7fd6c), UINT64_C(0xe6c6b721efada985), UINT64_C(0xc8f7ef951d4bf165), UINT64_C(0x5ecbe4d1a6330a44)},
     {UINT64_C(0x9a79b127a27d5032), UINT64_C(0xd82ab036384fb83d), UINT64_C(0x374b06ce1a64a2ec), UINT64_C(0x8734640c4998ff7e)}},
    {{UINT64_C(0x21554a0dc3d033ed), UINT64_C(0xef8c82fd1f5be524), UINT64_C(0xd784c85608668fdf), UINT64_C(0x51590b7a515140d2)},
     {UINT64_C(0xd1d0bb44fda16da4), UINT64_C(0x0d012f00d4d80888), UINT64_C(0x8ae1bf36bf8a7926), UINT64_C(0xe0c17da8904a727d)}},
    {{UINT64_C(0x300628703187b2a3), UINT64_C(0x7ef9f8b8a80fef5b), UINT64_C(0x25bb30667c01fb60), UINT64_C(0x8e533b6fa0bf7b46)},
     {UINT64_C(0xc55e1a86c1f400b4), UINT64_C(0x53c73633cb041b21), UINT64_C(0x6d069f83a6f59000), UINT64_C(0x73eb1dbde0331836)}},
    {{UINT64_C(0xd79e8a4b90949ee0), UINT64_C(0x9e0acb8c2c6df8b3), UINT64_C(0x878938d51d71f872), UINT64_C(0xea68d7b6fedf0b71)},
     {UINT64_C(0xe85a224a4dd048fa), UINT64_C(0x4d714feaa4de823f), UINT64_C(0x87014a964a8ea0c8), UINT64_C(0x2a2744c972c9fce7)}},
    {{UINT64_C(0x433391d374bc21d1), UINT64_C(0x16742ed0255048bf), UINT64_C(0x0638379db0c21cda), UINT64_C(0x3ed113b7883b4c59)},
     {UINT64_C(0xe2f8eefce82a3740), UINT64_C(0x090d04da5e9889da), UINT64_C(0x24c843afa4f4c68a), UINT64_C(0x9099209accc4c8a2)}},
    {{UINT64_C(0x98e15d9d46072c01), UINT64_C(0x792e284b65ead58a), UINT64_C(0x61805df2d85ee2fc), UINT64_C(0x177c837ae0ac495a)},
     {UINT64_C(0x9c43bbe2efc7bfd8), UINT64_C(0x26ee14c3a1fb4df3), UINT64_C(0xa24091adb40f4e72), UINT64_C(0x63bb58cd4ebea558)}},
    {{UINT64_C(0x63668c63e59b9d5f), UINT64_C(0xae03af92de3a0ef1), UINT64_C(0xadfb378999888265), UINT64_C(0xf0454dc6971abae7)},
     {UINT64_C(0x47e59cde0d034f36), UINT64_C(0x2a3b21ce75b5fa3f), UINT64_C(0x4e6594e51f9643e6), UINT64_C(0xb5b93ee3592e2d1f)}},
    {{UINT64_C(0xba1abce34738a73e), UINT64_C(0x5fa68678f0d64af8), UINT64_C(0x9c0984b66f75301a), UINT64_C(0x47776904c0f1cc3a)},
     {UINT64_C(0x32f787ff71f1fcdc), UINT64_C(0x81b2804428d5733f), UINT64_C(0x6231856577648e83), UINT64_C(0xaa005ee6b5b95728)}},
    {{UINT64_C(0xc1fc7b74ab03ed83), UINT64_C(0x782c452257884895), UINT64_C(0xce39b7c17108c507), UINT64_C(0xcb6d2861102c0c25)},
     {UINT64_C(0xe39150752bcecdaa), UINT64_C(0xa496716e30fa3e03), UINT64_C(0x5c35e7100d6d6ce4), UINT64_C(0x58d7614b24d9ef51)}},
    {{UINT64_C(0xfd76364e67399e83), UINT64_C(0x3a582139f42b1523), UINT64_C(0x2e4ac86eb473bca5), UINT64_C(0x3250fcf686637c7b)},
     {UINT64_C(0x15de24a071d48c09), UINT64_C(0x897cd3c33b566a82), UINT64_C(0x97b3090d1d7eb88c), UINT64_C(0x42e7c342667d3593)}},
    {{UINT64_C(0x672e573045ca7896), UINT64_C(0x3c0bc0a5df64a4fe), UINT64_C(0xd28a3e39d4583fa6), UINT64_C(0x0e91c7239c2640d7)},
     {UINT64_C(0x138046543140ad55), UINT64_C(0x7e68833575e7a5ae), UINT64_C(0x1a22733bb8e0bd6d), UINT64_C(0x5df65c3b550dba22)}},
    {{UINT64_C(0x84a4dc45f200d687), UINT64_C(0x41652fc5b76f1b24), UINT64_C(0x85f4f52d8c07fa84), UINT64_C(0x3a67e2554b0c0bb6)},
     {UINT64_C(0xa9ed16b302f79324), UINT64_C(0x8c188af735a7618a), UINT64_C(0x26daf267163afb0d), UINT64_C(0x27d0f1872f1fcf43)}},
    {{UINT64_C(0xf2e201173b0883d1), UINT64_C(0x576355bd683e54ab), UINT64_C(0xdeba2fac4611f378), UINT64_C(0x184ffa5819d80d51)},
     {UINT64_C(0x20d242c260906e6f), UINT64_C(0x45bdeccc63f04916), UINT64_C(0xa4c6d90826cb9995), UINT64_C(0xc0a66e276688f359)}},
    {{UINT64_C(0xdedd693d1c784def), UINT64_C(0xfd8cd1c688b58a41), UINT64_C(0xa7c36da090853b8c), UINT64_C(0xd6d33adefa195b07)},
     {UINT64_C(0x550c124593d1bca6), UINT64_C(0x09a166ab4b95eded), UINT64_C(0x3f78245f558a5dcb), UINT64_C(0x84aaba16ee195d7e)}},
    {{UINT64_C(0x3e3f9aa0a1b45b8b), UINT64_C(0xfac9db7d52a95b3e), UINT64_C(0xa85da026a7ae9aa0), UINT64_C(0x301d9e502dc7e05d)},
     {UINT64_C(0xd58db6aea17ee267), UINT64_C(0x298d9ae46887ca61), UINT64_C(0xe0d23c026b017d72), UINT64_C(0x6551b6f6b3061223)}},
};
// clang-format on

#ifdef __cplusplus
}  // inline namespace
}  // namespace postern
#endif
