// The numbers of P-384 (SP 800-186, 3.2.1.4) in the forms that the code uses. Made by scripts/curve-constants: do not edit.
#pragma once

#include <stdint.h>

#include "limbs.h"

#if POSTERN_FIELD_BITS != 384
#error "these are the numbers of another curve"
#endif

#ifdef __cplusplus
namespace postern {
inline namespace POSTERN_FIELD_NAMESPACE {
#endif

// clang-format off
// Words: the lowest first.
LIMBS_CONSTANT uint64_t ec_p_words[field_words] = {UINT64_C(0x00000000ffffffff), UINT64_C(0xffffffff00000000), UINT64_C(0xfffffffffffffffe), UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffffffffffff)};
LIMBS_CONSTANT uint64_t ec_n_words[field_words] = {UINT64_C(0xecec196accc52973), UINT64_C(0x581a0db248b0a77a), UINT64_C(0xc7634d81f4372ddf), UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffffffffffff), UINT64_C(0xffffffffffffffff)};

#if POSTERN_LIMB_BITS == 28
// p as signed powers of two: most of its limbs are zero.
LIMBS_CONSTANT limb ec_p_sparse[limb_count] = {-0x1, 0x10, 0x0, -0x1000, -0x10000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x100000};
LIMBS_CONSTANT ulimb ec_p_factor = 0x1;  // -1/p modulo 2^28
LIMBS_CONSTANT limb ec_n_limbs[limb_count] = {0xcc52973, 0xec196ac, 0xa77aec, 0xdb248b, 0xddf581a, 0x81f4372, 0xfc7634d, 0xfffffff, 0xfffffff, 0xfffffff, 0xfffffff, 0xfffffff, 0xfffffff, 0xfffff};
LIMBS_CONSTANT ulimb ec_n_factor = 0x88fdc45;  // -1/n modulo 2^28
// Montgomery's R is 2^392.
LIMBS_CONSTANT limb ec_p_r[limb_count] = {0x100, 0xffff000, 0xfffffff, 0xfffff, 0x1000000, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0, 0x0};  // R mod p
LIMBS_CONSTANT limb ec_p_rr[limb_count] = {0x10000, 0xfe00000, 0xffffff, 0x0, 0x2, 0x0, 0xffffe00, 0xfff, 0x20000, 0x100000, 0x0, 0x0, 0x0, 0x0};  // R^2 mod p
LIMBS_CONSTANT limb ec_p_b[limb_count] = {0x12dcccd, 0x8870d04, 0x2ec0811, 0xd9474c3, 0xfc429ad, 0x1920022, 0x7f2209b, 0x938ae27, 0x74bee94, 0x2094e33, 0x1f41f02, 0xf9b62b2, 0xb604fbf, 0x8114};  // b R mod p
LIMBS_CONSTANT limb ec_n_rr[limb_count] = {0x60e3cb4, 0x35fd093, 0x90eb460, 0x73c4e12, 0xff2dbd2, 0x43a6add, 0x2d164ee, 0x1cc5bf0, 0x9174aab, 0x95d40d4, 0xa282668, 0x3fb05b7, 0xb39bf21, 0xee012};  // R^2 mod n

#else  // POSTERN_LIMB_BITS == 56
// p as signed powers of two: most of its limbs are zero.
LIMBS_CONSTANT limb ec_p_sparse[limb_count] = {0xffffffff, -0x10000000000, -0x10000, 0x0, 0x0, 0x0, 0x1000000000000};
LIMBS_CONSTANT ulimb ec_p_factor = 0x100000001;  // -1/p modulo 2^56
LIMBS_CONSTANT limb ec_n_limbs[limb_count] = {0xec196accc52973, 0xdb248b0a77aec, 0x81f4372ddf581a, 0xffffffffc7634d, 0xffffffffffffff, 0xffffffffffffff, 0xffffffffffff};
LIMBS_CONSTANT ulimb ec_n_factor = 0xd46089e88fdc45;  // -1/n modulo 2^56
// Montgomery's R is 2^392.
LIMBS_CONSTANT limb ec_p_r[limb_count] = {0xffff0000000100, 0xffffffffffff, 0x1000000, 0x0, 0x0, 0x0, 0x0};  // R mod p
LIMBS_CONSTANT limb ec_p_rr[limb_count] = {0xfe000000010000, 0xffffff, 0x2, 0xfffffffe00, 0x1000000020000, 0x0, 0x0};  // R^2 mod p
LIMBS_CONSTANT limb ec_p_b[limb_count] = {0x8870d0412dcccd, 0xd9474c32ec0811, 0x1920022fc429ad, 0x938ae277f2209b, 0x2094e3374bee94, 0xf9b62b21f41f02, 0x8114b604fbf};  // b R mod p
LIMBS_CONSTANT limb ec_n_rr[limb_count] = {0x35fd09360e3cb4, 0x73c4e1290eb460, 0x43a6addff2dbd2, 0x1cc5bf02d164ee, 0x95d40d49174aab, 0x3fb05b7a282668, 0xee012b39bf21};  // R^2 mod n
#endif

// G, 3G, 5G, ... 31G: x, then y.
LIMBS_CONSTANT uint64_t ec_g_odd[16][2][field_words] = {
    {{UINT64_C(0x3a545e3872760ab7), UINT64_C(0x5502f25dbf55296c), UINT64_C(0x59f741e082542a38), UINT64_C(0x6e1d3b628ba79b98), UINT64_C(0x8eb1c71ef320ad74), UINT64_C(0xaa87ca22be8b0537)},
     {UINT64_C(0x7a431d7c90ea0e5f), UINT64_C(0x0a60b1ce1d7e819d), UINT64_C(0xe9da3113b5f0b8c0), UINT64_C(0xf8f41dbd289a147c), UINT64_C(0x5d9e98bf9292dc29), UINT64_C(0x3617de4a96262c6f)}},
    {{UINT64_C(0x02d7e5c70500c831), UINT64_C(0xb408bbae5026580d), UINT64_C(0xbea4f240d3566da6), UINT64_C(0xcb9d3910202dcd06), UINT64_C(0x64793c7e5fdc7d98), UINT64_C(0x077a41d4606ffa14)},
     {UINT64_C(0xb65f28600a2f1df1), UINT64_C(0xc24abd6be4b5d298), UINT64_C(0xf7684c0edc111eac), UINT64_C(0x8520b41c85115aa5), UINT64_C(0x7d0bbe9602a9fc99), UINT64_C(0xc995f7ca0b0c4283)}},
    {{UINT64_C(0x0abcdbc3836d84bc), UINT64_C(0x37882f4a1ca297e6), UINT64_C(0x4f6661cbe56583b0), UINT64_C(0xf208e51dbff98fc5), UINT64_C(0x573cac5ea025e467), UINT64_C(0x11de24a2c251c777)},
     {UINT64_C(0x184414abe6c1713a), UINT64_C(0x3177686d0ae8fb33), UINT64_C(0x8c986533b6901aeb), UINT64_C(0x284b447754d5dee8), UINT64_C(0x0f5837e90a00e7c5), UINT64_C(0x8fa696c77440f92d)}},
    {{UINT64_C(0x040f05b48fb6d0e1), UINT64_C(0x8b05526f55b9ebb2), UINT64_C(0x2d58cc9dfa7b1c50), UINT64_C(0xad6fe997fbea5ffa), UINT64_C(0xf29f8ebf234edffe), UINT64_C(0x283c1d7365ce4788)},
     {UINT64_C(0x64664cdac512ef8c), UINT64_C(0x30d84ede32a78f9e), UINT64_C(0xd9c92cd01dbd2256), UINT64_C(0x1a61d867ed799729), UINT64_C(0xba52efdb8c169047), UINT64_C(0x9475c99061e41b88)}},
    {{UINT64_C(0x5c55e4461079118b), UINT64_C(0xc388528bfee2b953), UINT64_C(0xc6cb1ee285fb6e21), UINT64_C(0x2216f7291e6fd3ba), UINT64_C(0xf1bf29b8b025b78f), UINT64_C(0x8f0a39a4049bcb3e)},
     {UINT64_C(0x262da4f9ac664af8), UINT64_C(0x9e743efedfd51b68), UINT64_C(0xb7678854aed9b302), UINT64_C(0x9a9b3d7ca3c400c6), UINT64_C(0x452c4a5322c3a979), UINT64_C(0x62c77e1438b601d6)}},
    {{UINT64_C(0x26356f3b55b4ddd8), UINT64_C(0x4749b66e3afb81d6), UINT64_C(0x56c9fd14892d3f8c), UINT64_C(0x7fe935ed5837c374), UINT64_C(0xda1eeec2904816c5), UINT64_C(0x099056e27da7b998)},
     {UINT64_C(0x7d5dba8138c5e0bb), UINT64_C(0x5466d51263aaff35), UINT64_C(0x43ff93f41b52a325), UINT64_C(0x6fc4eed8dfc363fd), UINT64_C(0x688505544ac5e039), UINT64_C(0x2e4c0c234e30ab96)}},
    {{UINT64_C(0xaaf1ca1e3b5cbce7), UINT64_C(0x9ee5f441abd99f1b), UINT64_C(0x6267bcd1f0f11c13), UINT64_C(0x9632bff9f01f873f), UINT64_C(0xafdaf5002ffcc6ab), UINT64_C(0xa567ba97b67aea5b)},
     {UINT64_C(0x6423a12736f429cc), UINT64_C(0x776bcb8272218a7d), UINT64_C(0x86329be057857d66), UINT64_C(0x5185595046932ec0), UINT64_C(0x644e4147af164ecc), UINT64_C(0xde1b38b3989f3318)}},
    {{UINT64_C(0x4b88701a9606860b), UINT64_C(0xa849557a10b6383b), UINT64_C(0x5b21f9f7da7c4e9c), UINT64_C(0x22a94156fff01c20), UINT64_C(0x8cc15c11d8135255), UINT64_C(0xb3d13fc8b32b0105)},
     {UINT64_C(0x985d588d33f7bd62), UINT64_C(0x838d24f8b284af50), UINT64_C(0x84d1114373dfbfd9), UINT64_C(0xeebac4a11d749af4), UINT64_C(0x1b049b2536164b1b), UINT64_C(0x152919e7df9162a6)}},
    {{UINT64_C(0xcaf3a9add9ffcc03), UINT64_C(0x17012a991af1f486), UINT64_C(0xdcc614e42e5805f8), UINT64_C(0x692befb0733b41e6), UINT64_C(0x00a5ebbcb13e1a32), UINT64_C(0x4099952208b48896)},
     {UINT64_C(0xfa650ef5e23b09a0), UINT64_C(0x04da4d2faa9680ec), UINT64_C(0x9b797d277f2388b3), UINT64_C(0x163ad3f8008ad0cd), UINT64_C(0x39474594af603598), UINT64_C(0x5ecf947778330598)}},
    {{UINT64_C(0x9599e68713f5d41b), UINT64_C(0x59c8651060801c0e), UINT64_C(0x12390b430467aabf), UINT64_C(0xe07dbecca86cd9b0), UINT64_C(0x16858a211d750b77), UINT64_C(0x8d481dab912bc8ab)},
     {UINT64_C(0x6995b07e75e52245), UINT64_C(0x11ffba5608004e64), UINT64_C(0x594b32fd7adc0e8c), UINT64_C(0xb2291b68a1039aa0), UINT64_C(0x7be99f2a60669050), UINT64_C(0xa1592ff012146085)}},
    {{UINT64_C(0x626b4c175eb77422), UINT64_C(0x46a37313df88fd64), UINT64_C(0xf9936136bf42cdb7), UINT64_C(0x606290985f8283f5), UINT64_C(0xc7817121057d46e1), UINT64_C(0x27935df4e25c6f47)},
     {UINT64_C(0x9d5606eb10c69f84), UINT64_C(0x2b6f8d9838ef0c13), UINT64_C(0x585d9c4e6c615b53), UINT64_C(0xa4f2d4aec079c6b7), UINT64_C(0x9ab1a3798d1e3524), UINT64_C(0x380a1a3b4898d4cd)}},
    {{UINT64_C(0x1e555ebc684aac81), UINT64_C(0x84a900a91f7c4ab5), UINT64_C(0xa68749c30c7f9aa4), UINT64_C(0x22c0102fd4293a78), UINT64_C(0xe741a4a8000d5eb8), UINT64_C(0x3cb647a5df014c23)},
     {UINT64_C(0x79b65fea0d5a2b14), UINT64_C(0x09be21f6414b9be2), UINT64_C(0x7afbf0557ead6368), UINT64_C(0x6103c7b0218bc837), UINT64_C(0x4966f85ebdc18cb4), UINT64_C(0x28300479a8f88dd0)}},
    {{UINT64_C(0x46f41be83716be9a), UINT64_C(0x31a8a58b3dcb2ca4), UINT64_C(0x555746bd28fda974), UINT64_C(0x07c4d76fab5ce0a3), UINT64_C(0x9ee9eb5267946762), UINT64_C(0xe4c6d5cb9183a670)},
     {UINT64_C(0xffaf54d7e6aac897), UINT64_C(0x09a957bbac49722c), UINT64_C(0x6280b8afe5d6a5a2), UINT64_C(0x5942e18d15922f20), UINT64_C(0xc0027f165dd74ca9), UINT64_C(0xa37245523aa57845)}},
    {{UINT64_C(0x6b4eedfa23e2e546), UINT64_C(0x20761bc15898e1b0), UINT64_C(0x4acb49c0d7ba04e2), UINT64_C(0x08e3acaa2b4a8d3a), UINT64_C(0x3c316d5a82c8b705), UINT64_C(0x9c5fa2c13f418e62)},
     {UINT64_C(0x529fb56479f48752), UINT64_C(0x0ef2c4b2213f519b), UINT64_C(0x6f015651bd9218e3), UINT64_C(0x94fdf1b7da9e5955), UINT64_C(0x5afe81503cb7bf61), UINT64_C(0xf641de0cb075851a)}},
    {{UINT64_C(0x977bb83b1eb1a373), UINT64_C(0xad69e407f57b1e27), UINT64_C(0xfa46d04f4d4dfca2), UINT64_C(0x6e0af4f41cbcde50), UINT64_C(0xd7b75810ce554ee5), UINT64_C(0xf1bc35f9656c6eea)},
     {UINT64_C(0x53e0d05ef28faf29), UINT64_C(0x3ffe8f5147848a0e), UINT64_C(0x531f70960a30e838), UINT64_C(0x8d7aec776d94fc70), UINT64_C(0xf733c547c0f2b3dc), UINT64_C(0x2458497a559bcdcc)}},
    {{UINT64_C(0x0c8361dba9eb28b9), UINT64_C(0x061fa485bd1b8a65), UINT64_C(0x9d3993124d374e62), UINT64_C(0xc73e3336394c98c5), UINT64_C(0x04fcfa12c087d446), UINT64_C(0xf2e6f06f0ea533e8)},
     {UINT64_C(0x3152f5ba7852680c), UINT64_C(0x3e8802c6d2fc9ebf), UINT64_C(0x3fb0b9ac114251cd), UINT64_C(0x4a041a8651780d31), UINT64_C(0xf9e442612fcffbd1), UINT64_C(0x8f86e464c200bc46)}},
};
// clang-format on

#ifdef __cplusplus
}  // inline namespace
}  // namespace postern
#endif
