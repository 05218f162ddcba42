#pragma once

// After lanes_avx512.h. Each dots_*.h has the same class, for whole_product.h.
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// Columns whose sums stay in registers.
template <int Bits>
constexpr int kDotColumns = kColumnsAtOnce;

// For C columns the sums of a block's products, whole numbers: of weights below 2^Bits, four for
// each lane, with four values of each column within -127 .. 127.
template <int Bits, int C>
class Dots {
 public:
  Dots() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums_[c] = _mm512_setzero_si512();
  }
  // Corrections: for each column -2^(Bits - 1) times the sum of its values, what makes the weights
  // signed ones.
  explicit Dots(const int32_t* corrections) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums_[c] = _mm512_set1_epi32(corrections[c]);
  }

  // Two groups of four at once.
  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c)
      sums_[c] = _mm512_dpbusd_epi32(sums_[c], weights, _mm512_set1_epi32(values[c]));
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c)
      sums_[c] = _mm512_dpbusd_epi32(sums_[c], more_weights, _mm512_set1_epi32(more_values[c]));
  }

  Floats sum(int column) const { return _mm512_cvtepi32_ps(sums_[column]); }

 private:
  __m512i sums_[C];
};

}  // namespace
}  // namespace xgenmm
