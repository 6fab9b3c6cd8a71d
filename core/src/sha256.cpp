#include "sha256.h"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace postern::sha256 {
namespace {

// Section 4.2.2.
alignas(16) constexpr std::array<std::uint32_t, 64> constants{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01,
    0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc,
    0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147,
    0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08,
    0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208,
    0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// ------------------------------------------------------------------------------------------------------------ portable

// Four words of the message schedule, as one register of 128 bits: wasm's SIMD, SSE2, NEON.
typedef std::uint32_t Words __attribute__((vector_size(16)));
typedef std::uint64_t Wide __attribute__((vector_size(16)));

typedef std::uint8_t Bytes __attribute__((vector_size(16)));

template <typename Vector>
Vector load(const void* from) {
  Vector out;
  std::memcpy(&out, from, sizeof out);
  return out;
}

// Section 3.1: words of a message are big-endian.
static_assert(std::endian::native == std::endian::little);
Words message_words(const std::uint8_t* bytes) {
  const auto x = load<Bytes>(bytes);
  return std::bit_cast<Words>(__builtin_shufflevector(x, x, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12));
}

// Section 4.1.2, (4.6) for four words.
Words small_sigma_0(Words x) { return (x >> 7) ^ (x << 25) ^ (x >> 18) ^ (x << 14) ^ (x >> 3); }

// (4.7) for two words, each there twice: a shift of both copies is a rotation of the lower one, which then holds the result.
Words small_sigma_1_of_pairs(Words x) {
  const Wide pairs = std::bit_cast<Wide>(x);
  return std::bit_cast<Words>((pairs >> 17) ^ (pairs >> 19)) ^ (x >> 10);
}

// Section 6.2.2, step 1: W[t] to W[t+3] from the sixteen words before them. The last two need the first two.
Words next_words(Words w0, Words w4, Words w8, Words w12) {
  const Words zero{};
  const Words w1 = __builtin_shufflevector(w0, w4, 1, 2, 3, 4);
  const Words w9 = __builtin_shufflevector(w8, w12, 1, 2, 3, 4);
  Words next = w0 + small_sigma_0(w1) + w9;
  const Words low = small_sigma_1_of_pairs(__builtin_shufflevector(w12, w12, 2, 2, 3, 3));
  next += __builtin_shufflevector(low, zero, 0, 2, 4, 5);
  const Words high = small_sigma_1_of_pairs(__builtin_shufflevector(next, next, 0, 0, 1, 1));
  return next + __builtin_shufflevector(zero, high, 0, 1, 4, 6);
}

struct Working {
  std::uint32_t a, b, c, d, e, f, g, h;
};

// Section 6.2.2, step 3, for one t; `added` is K[t] + W[t]. The eight variables move by one place.
Working round(const Working& v, std::uint32_t added) {
  const std::uint32_t t1 =
      v.h + (std::rotr(v.e, 6) ^ std::rotr(v.e, 11) ^ std::rotr(v.e, 25)) + (v.g ^ (v.e & (v.f ^ v.g))) + added;
  const std::uint32_t t2 = (std::rotr(v.a, 2) ^ std::rotr(v.a, 13) ^ std::rotr(v.a, 22)) + ((v.a & v.b) | (v.c & (v.a | v.b)));
  return {t1 + t2, v.a, v.b, v.c, v.d + t1, v.e, v.f, v.g};
}

void compress_portable(State& state, const std::uint8_t* blocks, std::size_t count) {
  for (; count != 0; --count, blocks += block_bytes) {
    Working v{state[0], state[1], state[2], state[3], state[4], state[5], state[6], state[7]};
    Words w0 = message_words(blocks);
    Words w4 = message_words(blocks + 16);
    Words w8 = message_words(blocks + 32);
    Words w12 = message_words(blocks + 48);
    // Four rounds a turn and no more: what V8 makes of a longer body is no faster. The last four schedules are for nothing.
#pragma GCC unroll 1
    for (std::size_t t = 0; t < constants.size(); t += 4) {
      const Words added = w0 + load<Words>(constants.data() + t);
      const Words next = next_words(w0, w4, w8, w12);
      // By hand: from a loop over the lanes clang adds each by itself.
      v = round(v, added[0]);
      v = round(v, added[1]);
      v = round(v, added[2]);
      v = round(v, added[3]);
      w0 = w4;
      w4 = w8;
      w8 = w12;
      w12 = next;
    }
    state[0] += v.a;
    state[1] += v.b;
    state[2] += v.c;
    state[3] += v.d;
    state[4] += v.e;
    state[5] += v.f;
    state[6] += v.g;
    state[7] += v.h;
  }
}

// -------------------------------------------------------------------------------------------------------- x86-64 SHA

#if defined(__x86_64__)

// Whether the processor has what compress_x86 is made of: SSSE3, SSE4.1 and the SHA extensions (CPUID leaves 1 and 7). Not by
// __builtin_cpu_supports, which knows no "sha" in gcc 12.
bool has_sha_extensions() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_SSSE3) == 0 || (c & bit_SSE4_1) == 0) return false;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & bit_SHA) != 0;
}

__attribute__((target("sha,sse4.1,ssse3"))) void compress_x86(State& state, const std::uint8_t* blocks, std::size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  // The instructions want the eight variables as A, B, E, F and C, D, G, H, from the highest lane down.
  auto* const halves = reinterpret_cast<__m128i*>(state.data());
  const __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128(halves), 0xb1);
  const __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128(halves + 1), 0x1b);
  __m128i abef = _mm_alignr_epi8(badc, hgfe, 8);
  __m128i cdgh = _mm_blend_epi16(hgfe, badc, 0xf0);
  for (; count != 0; --count, blocks += block_bytes) {
    const __m128i abef_before = abef;
    const __m128i cdgh_before = cdgh;
    const auto* const words = reinterpret_cast<const __m128i*>(blocks);
    __m128i w0 = _mm_shuffle_epi8(_mm_loadu_si128(words), swap);
    __m128i w4 = _mm_shuffle_epi8(_mm_loadu_si128(words + 1), swap);
    __m128i w8 = _mm_shuffle_epi8(_mm_loadu_si128(words + 2), swap);
    __m128i w12 = _mm_shuffle_epi8(_mm_loadu_si128(words + 3), swap);
    // Unrolled, the compiler sees that nobody needs the last four schedules.
#pragma GCC unroll 16
    for (std::size_t t = 0; t < constants.size(); t += 4) {
      const __m128i added = _mm_add_epi32(w0, _mm_load_si128(reinterpret_cast<const __m128i*>(constants.data() + t)));
      cdgh = _mm_sha256rnds2_epu32(cdgh, abef, added);
      abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(added, 0x0e));
      const __m128i w9 = _mm_alignr_epi8(w12, w8, 4);
      const __m128i next = _mm_sha256msg2_epu32(_mm_add_epi32(_mm_sha256msg1_epu32(w0, w4), w9), w12);
      w0 = w4;
      w4 = w8;
      w8 = w12;
      w12 = next;
    }
    abef = _mm_add_epi32(abef, abef_before);
    cdgh = _mm_add_epi32(cdgh, cdgh_before);
  }
  const __m128i feba = _mm_shuffle_epi32(abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(cdgh, 0xb1);
  _mm_storeu_si128(halves, _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(halves + 1, _mm_alignr_epi8(dchg, feba, 8));
}

constexpr std::array all{Implementation{"x86-64 SHA extensions", compress_x86}, Implementation{"portable", compress_portable}};

#else

constexpr std::array all{Implementation{"portable", compress_portable}};

#endif

// Zeros that the compiler may not leave out.
template <typename Array>
void forget(Array& bytes) {
  bytes.fill(0);
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

}  // namespace

std::span<const Implementation> implementations() {
#if defined(__x86_64__)
  static const bool has_first = has_sha_extensions();
  return std::span(all).subspan(has_first ? 0 : 1);
#else
  return all;
#endif
}

void compress(State& state, const std::uint8_t* blocks, std::size_t count) {
#if defined(__x86_64__)
  implementations().front().compress(state, blocks, count);
#else
  compress_portable(state, blocks, count);
#endif
}

Digest finish(State state, std::uint64_t bytes_before, std::string_view rest, Compress* with) {
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(rest.data());
  const std::size_t whole = rest.size() / block_bytes;
  with(state, bytes, whole);

  // Section 5.1.1: a one, zeros, and the length in bits as the last eight bytes of a block.
  std::array<std::uint8_t, 2 * block_bytes> last{};
  const std::size_t left = rest.size() % block_bytes;
  std::copy_n(bytes + whole * block_bytes, left, last.begin());
  last[left] = 0x80;
  const std::size_t blocks = left + 1 + 8 > block_bytes ? 2 : 1;
  const std::uint64_t bits = (bytes_before + rest.size()) * 8;
  for (std::size_t i = 0; i < 8; ++i) last[blocks * block_bytes - 1 - i] = static_cast<std::uint8_t>(bits >> (8 * i));
  with(state, last.data(), blocks);

  Digest out;
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(state[i / 4] >> (24 - 8 * (i % 4)));
  // A secret that is longer than a block is hashed to be HMAC's key.
  forget(last);
  forget(state);
  return out;
}

}  // namespace postern::sha256
