#pragma once

// As dots_avx2.h, after lanes_sse42.h.
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// Measured: to load and store sums costs less than to unpack weights for fewer columns.
template <int Bits>
constexpr int kDotColumns = Bits == 6 ? 6 : 4;

// For each of sixteen lanes one number of 32 bits, or the two of 16 whose sum it is.
struct Sums {
  __m128i a, b, c, d;
};

inline Sums spread_whole(int32_t x) {
  const __m128i four = _mm_set1_epi32(x);
  return {four, four, four, four};
}
inline Floats to_floats(const Sums& s) {
  return each([](__m128i four) { return _mm_cvtepi32_ps(four); }, s);
}
inline __m128i add_pairs(__m128i pairs) {
  return _mm_madd_epi16(pairs, _mm_set1_epi16(1));
}

template <int Bits, int C>
class Dots;

template <int C>
class Dots<4, C> {
 public:
  Dots() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) pairs_[c] = spread_whole(0);
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(weights, values);
    add(more_weights, more_values);
  }

  Floats sum(int column) const {
    const Sums& p = pairs_[column];
    return to_floats({add_pairs(p.a), add_pairs(p.b), add_pairs(p.c), add_pairs(p.d)});
  }

 private:
  void add(Bytes weights, const int32_t* values) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const __m128i four = _mm_set1_epi32(values[c]);
      const auto more = [&](__m128i pairs, __m128i w) {
        return _mm_add_epi16(pairs, _mm_maddubs_epi16(w, four));
      };
      Sums& p = pairs_[c];
      p = {more(p.a, weights.a), more(p.b, weights.b), more(p.c, weights.c), more(p.d, weights.d)};
    }
  }

  Sums pairs_[C];
};

template <int C>
class Dots<6, C> {
 public:
  explicit Dots(const int32_t* corrections) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums_[c] = spread_whole(corrections[c]);
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const __m128i four = _mm_set1_epi32(values[c]);
      const __m128i next = _mm_set1_epi32(more_values[c]);
      const auto more = [&](__m128i sum, __m128i w, __m128i v) {
        const __m128i pairs = _mm_add_epi16(_mm_maddubs_epi16(w, four), _mm_maddubs_epi16(v, next));
        return _mm_add_epi32(sum, add_pairs(pairs));
      };
      Sums& s = sums_[c];
      s = {more(s.a, weights.a, more_weights.a), more(s.b, weights.b, more_weights.b),
           more(s.c, weights.c, more_weights.c), more(s.d, weights.d, more_weights.d)};
    }
  }

  Floats sum(int column) const { return to_floats(sums_[column]); }

 private:
  Sums sums_[C];
};

template <int C>
class Dots<8, C> {
 public:
  // The weights need none.
  explicit Dots(const int32_t*) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums_[c] = spread_whole(0);
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(weights, values);
    add(more_weights, more_values);
  }

  Floats sum(int column) const { return to_floats(sums_[column]); }

 private:
  void add(Bytes weights, const int32_t* values) {
    const __m128i top = _mm_set1_epi8(-128);
    const auto more = [&](__m128i Sums::*quarter, __m128i weights_of_four) {
      const __m128i w = _mm_xor_si128(weights_of_four, top);
      const __m128i size = _mm_abs_epi8(w);
      XGENMM_UNROLL
      for (int c = 0; c < C; ++c) {
        const __m128i signed_values = _mm_sign_epi8(_mm_set1_epi32(values[c]), w);
        __m128i& sum = sums_[c].*quarter;
        sum = _mm_add_epi32(sum, add_pairs(_mm_maddubs_epi16(size, signed_values)));
      }
    };
    more(&Sums::a, weights.a);
    more(&Sums::b, weights.b);
    more(&Sums::c, weights.c);
    more(&Sums::d, weights.d);
  }

  Sums sums_[C];
};

}  // namespace
}  // namespace xgenmm
