#pragma once

// As lanes_avx512.h, for SSE4.2 alone: sixteen lanes are four vectors. What other sets fuse is
// rounded twice here.
#include <nmmintrin.h>

#include <cstdint>
#include <cstring>

namespace xgenmm {
namespace {

constexpr int kLanes = 16;
constexpr int kTilesAtOnce = 1;
constexpr int kColumnsAtOnce = 3;
// One more than have their sums in registers, so that they share what is made of f16.
constexpr int kQueriesAtOnce = 4;
constexpr int kValuesAtOnce = 1;

// Four lanes each. Not arrays: compilers keep these in registers.
struct Floats {
  __m128 a, b, c, d;
};
struct Mask {
  __m128 a, b, c, d;
};
struct Bytes {
  __m128i a, b, c, d;
};

// Calls make(quarters of each x) for each of the four.
template <typename Make, typename... Xs>
inline Floats each(const Make& make, const Xs&... xs) {
  return {make(xs.a...), make(xs.b...), make(xs.c...), make(xs.d...)};
}

inline Mask first_lanes(int64_t count) {
  const __m128i limit = _mm_set1_epi32(count >= kLanes ? kLanes : static_cast<int>(count));
  const auto from = [&](int first) {
    const __m128i numbers = _mm_setr_epi32(first, first + 1, first + 2, first + 3);
    return _mm_castsi128_ps(_mm_cmpgt_epi32(limit, numbers));
  };
  return {from(0), from(4), from(8), from(12)};
}

inline Floats spread(float x) {
  const __m128 all = _mm_set1_ps(x);
  return {all, all, all, all};
}
inline Floats zeros() {
  return spread(0.0f);
}
inline Floats load(const float* at) {
  return {_mm_loadu_ps(at), _mm_loadu_ps(at + 4), _mm_loadu_ps(at + 8), _mm_loadu_ps(at + 12)};
}
inline Floats load_first(const float* at, int64_t count) {
  if (count >= kLanes) return load(at);
  const auto quarter = [&](int64_t first) {
    const int64_t left = count - first;
    if (left >= 4) return _mm_loadu_ps(at + first);
    float some[4] = {};
    if (left > 0) std::memcpy(some, at + first, static_cast<size_t>(left) * sizeof(float));
    return _mm_loadu_ps(some);
  };
  return {quarter(0), quarter(4), quarter(8), quarter(12)};
}

// Four halves, of which each has its sign in the upper 16 bits.
inline __m128 any_halves(__m128i x) {
  const __m128i magnitude = _mm_and_si128(_mm_slli_epi32(x, 13), _mm_set1_epi32(0x0FFFE000));
  // The distance of the exponents of f32 and f16, once more for what is not finite.
  const __m128i distance = _mm_set1_epi32(112 << 23);
  const __m128i is_odd = _mm_cmpgt_epi32(magnitude, _mm_set1_epi32((31 << 23) - 1));
  // Below 2^-14 the leading one is missing: it is put there and taken off again.
  const __m128i is_small = _mm_cmpgt_epi32(_mm_set1_epi32(1 << 23), magnitude);
  const __m128i leading = _mm_and_si128(is_small, _mm_set1_epi32(1 << 23));
  const __m128i bits = _mm_add_epi32(_mm_add_epi32(magnitude, distance),
                                     _mm_or_si128(_mm_and_si128(is_odd, distance), leading));
  const __m128i excess = _mm_and_si128(is_small, _mm_set1_epi32(113 << 23));
  const __m128 value = _mm_sub_ps(_mm_castsi128_ps(bits), _mm_castsi128_ps(excess));
  return _mm_or_ps(value, _mm_and_ps(_mm_castsi128_ps(x), _mm_set1_ps(-0.0f)));
}
// The same for those that are neither zero nor small nor odd.
inline __m128 usual_halves(__m128i x) {
  const __m128i bits = _mm_and_si128(_mm_slli_epi32(x, 13), _mm_set1_epi32(~0x70001FFF));
  return _mm_castsi128_ps(_mm_add_epi32(bits, _mm_set1_epi32(112 << 23)));
}

// Whether that is so: one more makes 1 of an exponent of 0, and carries that of 31 away.
inline bool are_usual(__m128i halves) {
  const __m128i exponents =
      _mm_and_si128(_mm_add_epi16(halves, _mm_set1_epi16(1 << 10)), _mm_set1_epi16(0x7800));
  return _mm_movemask_epi8(_mm_cmpeq_epi16(exponents, _mm_setzero_si128())) == 0;
}

inline Floats load_f16(const void* at) {
  const __m128i* halves = static_cast<const __m128i*>(at);
  const __m128i front = _mm_loadu_si128(halves), back = _mm_loadu_si128(halves + 1);
  const auto widen = [&](auto make) -> Floats {
    return {make(_mm_cvtepi16_epi32(front)), make(_mm_cvtepi16_epi32(_mm_srli_si128(front, 8))),
            make(_mm_cvtepi16_epi32(back)), make(_mm_cvtepi16_epi32(_mm_srli_si128(back, 8)))};
  };
  return are_usual(front) && are_usual(back) ? widen(usual_halves) : widen(any_halves);
}
inline Floats load_first_f16(const void* at, int64_t count) {
  if (count >= kLanes) return load_f16(at);
  uint16_t halves[kLanes] = {};
  std::memcpy(halves, at, static_cast<size_t>(count) * 2);
  return load_f16(halves);
}
inline Floats spread_f16(const void* at) {
  int16_t half;
  std::memcpy(&half, at, sizeof half);
  const __m128i four = _mm_set1_epi32(half);
  const __m128 all = are_usual(_mm_set1_epi16(half)) ? usual_halves(four) : any_halves(four);
  return {all, all, all, all};
}

// Four of sixteen bytes.
inline __m128i load_four(const void* bytes, int quarter) {
  int32_t four;
  std::memcpy(&four, static_cast<const uint8_t*>(bytes) + 4 * quarter, sizeof four);
  return _mm_cvtsi32_si128(four);
}
inline Floats load_i8(const void* at) {
  const auto quarter = [&](int i) { return _mm_cvtepi32_ps(_mm_cvtepi8_epi32(load_four(at, i))); };
  return {quarter(0), quarter(1), quarter(2), quarter(3)};
}
inline Floats load_u8(const void* at) {
  const auto quarter = [&](int i) { return _mm_cvtepi32_ps(_mm_cvtepu8_epi32(load_four(at, i))); };
  return {quarter(0), quarter(1), quarter(2), quarter(3)};
}
inline void store(float* at, Floats x) {
  _mm_storeu_ps(at, x.a);
  _mm_storeu_ps(at + 4, x.b);
  _mm_storeu_ps(at + 8, x.c);
  _mm_storeu_ps(at + 12, x.d);
}
inline void store_first(float* at, Floats x, int64_t count) {
  if (count >= kLanes) return store(at, x);
  const auto quarter = [&](__m128 part, int64_t first) {
    const int64_t left = count - first;
    if (left >= 4) return _mm_storeu_ps(at + first, part);
    if (left > 0) std::memcpy(at + first, &part, static_cast<size_t>(left) * sizeof(float));
  };
  quarter(x.a, 0);
  quarter(x.b, 4);
  quarter(x.c, 8);
  quarter(x.d, 12);
}
inline void store_i8(int8_t* at, Floats x) {
  const __m128i front = _mm_packs_epi32(_mm_cvtps_epi32(x.a), _mm_cvtps_epi32(x.b));
  const __m128i back = _mm_packs_epi32(_mm_cvtps_epi32(x.c), _mm_cvtps_epi32(x.d));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), _mm_packs_epi16(front, back));
}

inline Floats add(Floats x, Floats y) {
  return each([](__m128 p, __m128 q) { return _mm_add_ps(p, q); }, x, y);
}
inline Floats sub(Floats x, Floats y) {
  return each([](__m128 p, __m128 q) { return _mm_sub_ps(p, q); }, x, y);
}
inline Floats mul(Floats x, Floats y) {
  return each([](__m128 p, __m128 q) { return _mm_mul_ps(p, q); }, x, y);
}
inline Floats div(Floats x, Floats y) {
  return each([](__m128 p, __m128 q) { return _mm_div_ps(p, q); }, x, y);
}
inline Floats min(Floats x, Floats y) {
  return each([](__m128 p, __m128 q) { return _mm_min_ps(p, q); }, x, y);
}
inline Floats max(Floats x, Floats y) {
  return each([](__m128 p, __m128 q) { return _mm_max_ps(p, q); }, x, y);
}
inline Floats abs(Floats x) {
  return each([](__m128 p) { return _mm_andnot_ps(_mm_set1_ps(-0.0f), p); }, x);
}
inline Floats fma(Floats x, Floats y, Floats z) {
  return add(mul(x, y), z);
}
inline Floats fnma(Floats x, Floats y, Floats z) {
  return sub(z, mul(x, y));
}
inline Floats nearest(Floats x) {
  constexpr int kMode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return each([](__m128 p) { return _mm_round_ps(p, kMode); }, x);
}
inline Floats scale_by_power(Floats x, Floats power) {
  return each(
      [](__m128 p, __m128 q) {
        const __m128i exponent = _mm_add_epi32(_mm_cvtps_epi32(q), _mm_set1_epi32(127));
        return _mm_mul_ps(p, _mm_castsi128_ps(_mm_slli_epi32(exponent, 23)));
      },
      x, power);
}

inline Mask is_greater(Floats x, Floats y) {
  return {_mm_cmpgt_ps(x.a, y.a), _mm_cmpgt_ps(x.b, y.b), _mm_cmpgt_ps(x.c, y.c),
          _mm_cmpgt_ps(x.d, y.d)};
}
inline Floats choose(Mask mask, Floats yes, Floats no) {
  return each([](__m128 m, __m128 p, __m128 q) { return _mm_blendv_ps(q, p, m); }, mask, yes, no);
}
inline bool has_nan(Floats x) {
  // No number where either is none.
  const __m128 some = _mm_or_ps(_mm_cmpunord_ps(x.a, x.b), _mm_cmpunord_ps(x.c, x.d));
  return _mm_movemask_ps(some) != 0;
}

inline float sum(Floats x) {
  const __m128 four = _mm_add_ps(_mm_add_ps(x.a, x.c), _mm_add_ps(x.b, x.d));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
inline float largest(Floats x) {
  const __m128 four = _mm_max_ps(_mm_max_ps(x.a, x.c), _mm_max_ps(x.b, x.d));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline bool all_are(const uint16_t* at, int64_t count, uint16_t value) {
  if (count < kLanes) {
    for (int64_t i = 0; i < count; ++i) {
      if (at[i] != value) return false;
    }
    return true;
  }
  const __m128i* values = reinterpret_cast<const __m128i*>(at);
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(value));
  const __m128i front = _mm_cmpeq_epi16(_mm_loadu_si128(values), wanted);
  const __m128i back = _mm_cmpeq_epi16(_mm_loadu_si128(values + 1), wanted);
  return _mm_movemask_epi8(_mm_and_si128(front, back)) == 0xFFFF;
}

inline void transpose(Floats rows[kLanes]) {
  // [four rows][four values] each
  __m128 parts[4][4][4];
  for (int i = 0; i < kLanes; ++i) {
    const __m128 row[] = {rows[i].a, rows[i].b, rows[i].c, rows[i].d};
    for (int j = 0; j < 4; ++j) parts[i / 4][j][i % 4] = row[j];
  }
  for (auto& four : parts) {
    for (auto& part : four) _MM_TRANSPOSE4_PS(part[0], part[1], part[2], part[3]);
  }
  for (int i = 0; i < kLanes; ++i) {
    const auto part = [&](int j) { return parts[j][i / 4][i % 4]; };
    rows[i] = {part(0), part(1), part(2), part(3)};
  }
}

inline Bytes load_bytes(const void* at) {
  const __m128i* quarters = static_cast<const __m128i*>(at);
  return {_mm_loadu_si128(quarters), _mm_loadu_si128(quarters + 1), _mm_loadu_si128(quarters + 2),
          _mm_loadu_si128(quarters + 3)};
}
inline Bytes low_nibbles(Bytes x) {
  const __m128i low = _mm_set1_epi8(15);
  return {_mm_and_si128(x.a, low), _mm_and_si128(x.b, low), _mm_and_si128(x.c, low),
          _mm_and_si128(x.d, low)};
}
inline Bytes high_nibbles(Bytes x) {
  return low_nibbles({_mm_srli_epi16(x.a, 4), _mm_srli_epi16(x.b, 4), _mm_srli_epi16(x.c, 4),
                      _mm_srli_epi16(x.d, 4)});
}
inline Bytes add_pair_of_bits(Bytes nibbles, Bytes pairs, int index) {
  const auto with = [&](__m128i low, __m128i bits) {
    const __m128i shifted =
        index < 2 ? _mm_slli_epi16(bits, 4 - 2 * index) : _mm_srli_epi16(bits, 2 * index - 4);
    return _mm_or_si128(low, _mm_and_si128(shifted, _mm_set1_epi8(48)));
  };
  return {with(nibbles.a, pairs.a), with(nibbles.b, pairs.b), with(nibbles.c, pairs.c),
          with(nibbles.d, pairs.d)};
}

inline Floats even_bf16(Bytes x) {
  return each([](__m128i pairs) { return _mm_castsi128_ps(_mm_slli_epi32(pairs, 16)); }, x);
}
inline Floats odd_bf16(Bytes x) {
  const __m128i high = _mm_set1_epi32(-65536);
  return each([&](__m128i pairs) { return _mm_castsi128_ps(_mm_and_si128(pairs, high)); }, x);
}

}  // namespace
}  // namespace xgenmm
