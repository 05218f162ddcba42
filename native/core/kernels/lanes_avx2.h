#pragma once

// As lanes_avx512.h, for AVX2 with FMA and F16C: sixteen lanes are two vectors.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace xgenmm {
namespace {

constexpr int kLanes = 16;
constexpr int kTilesAtOnce = 1;
constexpr int kColumnsAtOnce = 6;
constexpr int kQueriesAtOnce = 6;
constexpr int kValuesAtOnce = 1;

struct Floats {
  __m256 low, high;
};
struct Mask {
  __m256 low, high;
};
struct Bytes {
  __m256i low, high;
};

inline Mask first_lanes(int64_t count) {
  const __m256i limit = _mm256_set1_epi32(count >= kLanes ? kLanes : static_cast<int>(count));
  const __m256i low = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  const __m256i high = _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15);
  return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, low)),
          _mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, high))};
}

inline Floats spread(float x) {
  const __m256 all = _mm256_set1_ps(x);
  return {all, all};
}
inline Floats zeros() {
  return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline Floats load(const float* at) {
  return {_mm256_loadu_ps(at), _mm256_loadu_ps(at + 8)};
}
inline Floats load_first(const float* at, int64_t count) {
  if (count >= kLanes) return load(at);
  const Mask there = first_lanes(count);
  return {_mm256_maskload_ps(at, _mm256_castps_si256(there.low)),
          _mm256_maskload_ps(at + 8, _mm256_castps_si256(there.high))};
}
inline Floats load_f16(const void* at) {
  const __m128i* halves = static_cast<const __m128i*>(at);
  return {_mm256_cvtph_ps(_mm_loadu_si128(halves)), _mm256_cvtph_ps(_mm_loadu_si128(halves + 1))};
}
inline Floats load_first_f16(const void* at, int64_t count) {
  if (count >= kLanes) return load_f16(at);
  uint16_t halves[kLanes] = {};
  std::memcpy(halves, at, static_cast<size_t>(count) * 2);
  return load_f16(halves);
}
inline Floats spread_f16(const void* at) {
  const __m256 all = _mm256_cvtph_ps(_mm_set1_epi16(*static_cast<const int16_t*>(at)));
  return {all, all};
}
inline Floats load_i8(const void* at) {
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(at));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}
inline Floats load_u8(const void* at) {
  const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(at));
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}
inline void store(float* at, Floats x) {
  _mm256_storeu_ps(at, x.low);
  _mm256_storeu_ps(at + 8, x.high);
}
inline void store_first(float* at, Floats x, int64_t count) {
  if (count >= kLanes) return store(at, x);
  const Mask there = first_lanes(count);
  _mm256_maskstore_ps(at, _mm256_castps_si256(there.low), x.low);
  _mm256_maskstore_ps(at + 8, _mm256_castps_si256(there.high), x.high);
}
inline void store_i8(int8_t* at, Floats x) {
  const __m256i low = _mm256_cvtps_epi32(x.low), high = _mm256_cvtps_epi32(x.high);
  const __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xD8);
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), bytes);
}

inline Floats add(Floats a, Floats b) {
  return {_mm256_add_ps(a.low, b.low), _mm256_add_ps(a.high, b.high)};
}
inline Floats sub(Floats a, Floats b) {
  return {_mm256_sub_ps(a.low, b.low), _mm256_sub_ps(a.high, b.high)};
}
inline Floats mul(Floats a, Floats b) {
  return {_mm256_mul_ps(a.low, b.low), _mm256_mul_ps(a.high, b.high)};
}
inline Floats div(Floats a, Floats b) {
  return {_mm256_div_ps(a.low, b.low), _mm256_div_ps(a.high, b.high)};
}
inline Floats min(Floats a, Floats b) {
  return {_mm256_min_ps(a.low, b.low), _mm256_min_ps(a.high, b.high)};
}
inline Floats max(Floats a, Floats b) {
  return {_mm256_max_ps(a.low, b.low), _mm256_max_ps(a.high, b.high)};
}
inline Floats abs(Floats x) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, x.low), _mm256_andnot_ps(sign, x.high)};
}
inline Floats fma(Floats a, Floats b, Floats c) {
  return {_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
inline Floats fnma(Floats a, Floats b, Floats c) {
  return {_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
inline Floats nearest(Floats x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(x.low, kMode), _mm256_round_ps(x.high, kMode)};
}
inline Floats scale_by_power(Floats x, Floats power) {
  const auto scale = [](__m256 p) {
    const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(p), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  };
  return {_mm256_mul_ps(x.low, scale(power.low)), _mm256_mul_ps(x.high, scale(power.high))};
}

inline Mask is_greater(Floats a, Floats b) {
  return {_mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ), _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ)};
}
inline Floats choose(Mask mask, Floats yes, Floats no) {
  return {_mm256_blendv_ps(no.low, yes.low, mask.low),
          _mm256_blendv_ps(no.high, yes.high, mask.high)};
}
inline bool has_nan(Floats x) {
  // No number where either is none.
  return _mm256_movemask_ps(_mm256_cmp_ps(x.low, x.high, _CMP_UNORD_Q)) != 0;
}

inline float sum(Floats x) {
  const __m256 a = _mm256_add_ps(x.low, x.high);
  const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_add_ss(c, _mm_movehdup_ps(c)));
}
inline float largest(Floats x) {
  const __m256 a = _mm256_max_ps(x.low, x.high);
  const __m128 b = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
  const __m128 c = _mm_max_ps(b, _mm_movehl_ps(b, b));
  return _mm_cvtss_f32(_mm_max_ss(c, _mm_movehdup_ps(c)));
}

inline bool all_are(const uint16_t* at, int64_t count, uint16_t value) {
  if (count < kLanes) {
    for (int64_t i = 0; i < count; ++i) {
      if (at[i] != value) return false;
    }
    return true;
  }
  const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  const __m256i wanted = _mm256_set1_epi16(static_cast<int16_t>(value));
  return _mm256_movemask_epi8(_mm256_cmpeq_epi16(values, wanted)) == -1;
}

inline void transpose_half(__m256 rows[8]) {
  __m256 t[8];
  for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m256 u[8];
  for (int i = 0; i < 8; i += 4) {
    u[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    u[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xEE);
    u[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    u[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xEE);
  }
  for (int i = 0; i < 4; ++i) {
    rows[i] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x20);
    rows[i + 4] = _mm256_permute2f128_ps(u[i], u[i + 4], 0x31);
  }
}

inline void transpose(Floats rows[kLanes]) {
  // Quarters: [rows' half][values' half]
  __m256 quarters[2][2][8];
  for (int i = 0; i < kLanes; ++i) {
    quarters[i / 8][0][i % 8] = rows[i].low;
    quarters[i / 8][1][i % 8] = rows[i].high;
  }
  for (auto& half : quarters) {
    for (auto& quarter : half) transpose_half(quarter);
  }
  for (int i = 0; i < kLanes; ++i) {
    rows[i] = {quarters[0][i / 8][i % 8], quarters[1][i / 8][i % 8]};
  }
}

inline Bytes load_bytes(const void* at) {
  const __m256i* halves = static_cast<const __m256i*>(at);
  return {_mm256_loadu_si256(halves), _mm256_loadu_si256(halves + 1)};
}
inline Bytes low_nibbles(Bytes x) {
  const __m256i low = _mm256_set1_epi8(15);
  return {_mm256_and_si256(x.low, low), _mm256_and_si256(x.high, low)};
}
inline Bytes high_nibbles(Bytes x) {
  return low_nibbles({_mm256_srli_epi16(x.low, 4), _mm256_srli_epi16(x.high, 4)});
}
inline Bytes add_pair_of_bits(Bytes nibbles, Bytes pairs, int index) {
  const auto with = [&](__m256i low, __m256i bits) {
    const __m256i shifted =
        index < 2 ? _mm256_slli_epi16(bits, 4 - 2 * index) : _mm256_srli_epi16(bits, 2 * index - 4);
    return _mm256_or_si256(low, _mm256_and_si256(shifted, _mm256_set1_epi8(48)));
  };
  return {with(nibbles.low, pairs.low), with(nibbles.high, pairs.high)};
}

inline Floats even_bf16(Bytes x) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(x.low, 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(x.high, 16))};
}
inline Floats odd_bf16(Bytes x) {
  const __m256i high = _mm256_set1_epi32(-65536);
  return {_mm256_castsi256_ps(_mm256_and_si256(x.low, high)),
          _mm256_castsi256_ps(_mm256_and_si256(x.high, high))};
}

}  // namespace
}  // namespace xgenmm
