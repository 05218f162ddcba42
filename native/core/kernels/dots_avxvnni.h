#pragma once

// As dots_avx512vnni.h, for AVX-VNNI, after lanes_avx2.h.
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// Six have room in the registers, but only where weights of 6 bits are put together does it pay.
template <int Bits>
constexpr int kDotColumns = Bits == 6 ? 6 : 4;

template <int Bits, int C>
class Dots {
 public:
  Dots() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) low_[c] = high_[c] = _mm256_setzero_si256();
  }
  explicit Dots(const int32_t* corrections) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) low_[c] = high_[c] = _mm256_set1_epi32(corrections[c]);
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
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const __m256i four = _mm256_set1_epi32(values[c]);
      low_[c] = _mm256_dpbusd_avx_epi32(low_[c], weights.low, four);
      high_[c] = _mm256_dpbusd_avx_epi32(high_[c], weights.high, four);
    }
  }

  __m256i low_[C], high_[C];
};

}  // namespace
}  // namespace xgenmm
