#pragma once

// Sixteen lanes of AVX-512 (F, BW, DQ, VL). Each lanes_*.h has the same operations, for the kernels
// that are compiled once for each instruction set: a file includes one of them, then the kernel.
// All of it has internal linkage, so that nothing made for a newer processor can take the place of
// what is made for every processor.
#include <immintrin.h>

#include <cstdint>

namespace xgenmm {
namespace {

// A vector's floats; tiles have as many rows.
constexpr int kLanes = 16;
// Vectors of sums that stay in registers: tiles and columns of a product, queries that meet the
// same keys, and vectors of values that these mix.
constexpr int kTilesAtOnce = 2;
constexpr int kColumnsAtOnce = 12;
constexpr int kQueriesAtOnce = 8;
constexpr int kValuesAtOnce = 3;

using Floats = __m512;
// A truth for each lane.
using Mask = __mmask16;
// Four bytes for each lane.
using Bytes = __m512i;

inline Mask first_lanes(int64_t count) {
  return count >= kLanes ? Mask{0xFFFF} : static_cast<Mask>((1u << count) - 1);
}

inline Floats spread(float x) {
  return _mm512_set1_ps(x);
}
inline Floats zeros() {
  return _mm512_setzero_ps();
}
inline Floats load(const float* at) {
  return _mm512_loadu_ps(at);
}
// Reads only the first `count` values, any number; zeros after them.
inline Floats load_first(const float* at, int64_t count) {
  return _mm512_maskz_loadu_ps(first_lanes(count), at);
}
inline Floats load_f16(const void* at) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(static_cast<const __m256i*>(at)));
}
inline Floats load_first_f16(const void* at, int64_t count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), at));
}
inline Floats spread_f16(const void* at) {
  return _mm512_cvtph_ps(_mm256_set1_epi16(*static_cast<const int16_t*>(at)));
}
inline Floats load_i8(const void* at) {
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(at));
  return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}
inline Floats load_u8(const void* at) {
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(at));
  return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
}
inline void store(float* at, Floats x) {
  _mm512_storeu_ps(at, x);
}
inline void store_first(float* at, Floats x, int64_t count) {
  _mm512_mask_storeu_ps(at, first_lanes(count), x);
}
// x: whole numbers within -128 .. 127
inline void store_i8(int8_t* at, Floats x) {
  const __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), bytes);
}

inline Floats add(Floats a, Floats b) {
  return _mm512_add_ps(a, b);
}
inline Floats sub(Floats a, Floats b) {
  return _mm512_sub_ps(a, b);
}
inline Floats mul(Floats a, Floats b) {
  return _mm512_mul_ps(a, b);
}
inline Floats div(Floats a, Floats b) {
  return _mm512_div_ps(a, b);
}
// The second where one of them is no number.
inline Floats min(Floats a, Floats b) {
  return _mm512_min_ps(a, b);
}
inline Floats max(Floats a, Floats b) {
  return _mm512_max_ps(a, b);
}
inline Floats abs(Floats x) {
  return _mm512_abs_ps(x);
}
// a * b + c
inline Floats fma(Floats a, Floats b, Floats c) {
  return _mm512_fmadd_ps(a, b, c);
}
// c - a * b
inline Floats fnma(Floats a, Floats b, Floats c) {
  return _mm512_fnmadd_ps(a, b, c);
}
// To the nearest whole number, to the even one between two.
inline Floats nearest(Floats x) {
  return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
// x * 2^power, for whole powers within -126 .. 127
inline Floats scale_by_power(Floats x, Floats power) {
  return _mm512_scalef_ps(x, power);
}

// False where one of them is no number.
inline Mask is_greater(Floats a, Floats b) {
  return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ);
}
inline Floats choose(Mask mask, Floats yes, Floats no) {
  return _mm512_mask_mov_ps(no, mask, yes);
}
inline bool has_nan(Floats x) {
  return _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q) != 0;
}

// Halves of the vector, of these and so on, in all instruction sets.
inline float sum(Floats x) {
  const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
inline float largest(Floats x) {
  const __m256 a = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

// Whether the first `count` values, at most those of 16 lanes, are all `value`.
inline bool all_are(const uint16_t* at, int64_t count, uint16_t value) {
  const Mask there = first_lanes(count);
  const __m256i values = _mm256_maskz_loadu_epi16(there, at);
  const __m256i wanted = _mm256_set1_epi16(static_cast<int16_t>(value));
  return _mm256_mask_cmpneq_epi16_mask(there, values, wanted) == 0;
}

// rows[i][j] -> rows[j][i]
inline void transpose(Floats rows[kLanes]) {
  __m512 t[kLanes];
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m512 u[kLanes];
  for (int i = 0; i < kLanes; i += 4) {
    const auto pair = [&](int a, int b, bool high) {
      const __m512d x = _mm512_castps_pd(t[i + a]);
      const __m512d y = _mm512_castps_pd(t[i + b]);
      return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(x, y) : _mm512_unpacklo_pd(x, y));
    };
    u[i] = pair(0, 2, false);
    u[i + 1] = pair(0, 2, true);
    u[i + 2] = pair(1, 3, false);
    u[i + 3] = pair(1, 3, true);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(u[i], u[i + 4], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0x88);
    const __m512 c = _mm512_shuffle_f32x4(u[i], u[i + 4], 0xDD);
    const __m512 d = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0xDD);
    rows[i] = _mm512_shuffle_f32x4(a, b, 0x88);
    rows[i + 4] = _mm512_shuffle_f32x4(c, d, 0x88);
    rows[i + 8] = _mm512_shuffle_f32x4(a, b, 0xDD);
    rows[i + 12] = _mm512_shuffle_f32x4(c, d, 0xDD);
  }
}

inline Bytes load_bytes(const void* at) {
  return _mm512_loadu_si512(at);
}
inline Bytes low_nibbles(Bytes x) {
  return _mm512_and_si512(x, _mm512_set1_epi8(15));
}
inline Bytes high_nibbles(Bytes x) {
  return low_nibbles(_mm512_srli_epi16(x, 4));
}
// Puts bits 2 index and 2 index + 1 of each byte of `pairs` above the nibbles.
inline Bytes add_pair_of_bits(Bytes nibbles, Bytes pairs, int index) {
  const Bytes shifted = index < 2 ? _mm512_slli_epi16(pairs, static_cast<unsigned>(4 - 2 * index))
                                  : _mm512_srli_epi16(pairs, static_cast<unsigned>(2 * index - 4));
  constexpr int kAOrBAndC = 0xF8;
  return _mm512_ternarylogic_epi32(nibbles, shifted, _mm512_set1_epi8(48), kAOrBAndC);
}

// The even and the odd ones of 32 values in bf16.
inline Floats even_bf16(Bytes x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
}
inline Floats odd_bf16(Bytes x) {
  return _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(-65536)));
}

}  // namespace
}  // namespace xgenmm
