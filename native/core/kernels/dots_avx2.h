#pragma once

// As dots_avx512vnni.h, after lanes_avx2.h: vpmaddubsw adds up pairs of products in 16 bits, where
// no sum may be cut. What fits there differs between widths of weights.
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// Measured: where there is little to unpack more columns cost more moves than they save.
template <int Bits>
constexpr int kDotColumns = Bits == 4   ? 3
                            : Bits == 6 ? 6
                                        : 4;

inline __m256i add_pairs(__m256i pairs) {
  return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

template <int Bits, int C>
class Dots;

// All pairs of a block: 8 * 2 * 15 * 127 < 2^15.
template <int C>
class Dots<4, C> {
 public:
  Dots() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) low_[c] = high_[c] = _mm256_setzero_si256();
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(weights, values);
    add(more_weights, more_values);
  }

  Floats sum(int column) const {
    return {_mm256_cvtepi32_ps(add_pairs(low_[column])),
            _mm256_cvtepi32_ps(add_pairs(high_[column]))};
  }

 private:
  void add(Bytes weights, const int32_t* values) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const __m256i four = _mm256_set1_epi32(values[c]);
      low_[c] = _mm256_add_epi16(low_[c], _mm256_maddubs_epi16(weights.low, four));
      high_[c] = _mm256_add_epi16(high_[c], _mm256_maddubs_epi16(weights.high, four));
    }
  }

  __m256i low_[C], high_[C];
};

// Those of two groups: 2 * 2 * 63 * 127 < 2^15.
template <int C>
class Dots<6, C> {
 public:
  explicit Dots(const int32_t* corrections) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) low_[c] = high_[c] = _mm256_set1_epi32(corrections[c]);
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const __m256i four = _mm256_set1_epi32(values[c]);
      const __m256i next = _mm256_set1_epi32(more_values[c]);
      const auto dot = [&](__m256i w, __m256i v) {
        return add_pairs(
            _mm256_add_epi16(_mm256_maddubs_epi16(w, four), _mm256_maddubs_epi16(v, next)));
      };
      low_[c] = _mm256_add_epi32(low_[c], dot(weights.low, more_weights.low));
      high_[c] = _mm256_add_epi32(high_[c], dot(weights.high, more_weights.high));
    }
  }

  Floats sum(int column) const {
    return {_mm256_cvtepi32_ps(low_[column]), _mm256_cvtepi32_ps(high_[column])};
  }

 private:
  __m256i low_[C], high_[C];
};

// A pair, if the weights are signed ones and give their signs to the values: 2 * 128 * 127 < 2^15,
// where 2 * 255 * 127 is not.
template <int C>
class Dots<8, C> {
 public:
  // The weights need none.
  explicit Dots(const int32_t*) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) low_[c] = high_[c] = _mm256_setzero_si256();
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(weights, values);
    add(more_weights, more_values);
  }

  Floats sum(int column) const {
    return {_mm256_cvtepi32_ps(low_[column]), _mm256_cvtepi32_ps(high_[column])};
  }

 private:
  void add(Bytes weights, const int32_t* values) {
    const __m256i top = _mm256_set1_epi8(-128);
    const __m256i low = _mm256_xor_si256(weights.low, top);
    const __m256i high = _mm256_xor_si256(weights.high, top);
    const __m256i low_size = _mm256_abs_epi8(low), high_size = _mm256_abs_epi8(high);
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const __m256i four = _mm256_set1_epi32(values[c]);
      const auto dot = [&](__m256i size, __m256i w) {
        return add_pairs(_mm256_maddubs_epi16(size, _mm256_sign_epi8(four, w)));
      };
      low_[c] = _mm256_add_epi32(low_[c], dot(low_size, low));
      high_[c] = _mm256_add_epi32(high_[c], dot(high_size, high));
    }
  }

  __m256i low_[C], high_[C];
};

}  // namespace
}  // namespace xgenmm
