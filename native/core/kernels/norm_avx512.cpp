// Compiled for AVX-512; norm.cpp asks the processor first.
#include "kernels/norm_avx512.h"

#include <immintrin.h>

#include <cmath>

namespace xgenmm {
namespace {

constexpr int64_t kLanes = 16;

// Calls visit(index, lanes) for every vector of a row; `lanes` has a bit for each value that is
// there.
template <typename Visit>
void each_vector(int64_t width, Visit&& visit) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) visit(i, __mmask16{0xFFFF});
  if (i < width) visit(i, static_cast<__mmask16>((1u << (width - i)) - 1));
}

// The sum of the squares of x - mean.
float squares(const float* x, int64_t width, float mean) {
  __m512 sums = _mm512_setzero_ps();
  each_vector(width, [&](int64_t i, __mmask16 lanes) {
    const __m512 d =
        _mm512_maskz_sub_ps(lanes, _mm512_maskz_loadu_ps(lanes, x + i), _mm512_set1_ps(mean));
    sums = _mm512_fmadd_ps(d, d, sums);
  });
  return _mm512_reduce_add_ps(sums);
}

float mean_of(const float* x, int64_t width) {
  __m512 sums = _mm512_setzero_ps();
  each_vector(width, [&](int64_t i, __mmask16 lanes) {
    sums = _mm512_add_ps(sums, _mm512_maskz_loadu_ps(lanes, x + i));
  });
  return _mm512_reduce_add_ps(sums) / static_cast<float>(width);
}

}  // namespace

void normalize_avx512(const Norm& norm, const float* x, int64_t rows, float* out) {
  const int64_t width = norm.width;
  for (int64_t row = 0; row < rows; ++row, x += width, out += width) {
    const float mean = norm.bias == nullptr ? 0.0f : mean_of(x, width);
    const float variance = squares(x, width, mean) / static_cast<float>(width);
    const __m512 scale = _mm512_set1_ps(1.0f / std::sqrt(variance + norm.epsilon));
    each_vector(width, [&](int64_t i, __mmask16 lanes) {
      const __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(lanes, x + i), _mm512_set1_ps(mean));
      const __m512 weight = _mm512_maskz_loadu_ps(lanes, norm.weight + i);
      const __m512 bias =
          norm.bias == nullptr ? _mm512_setzero_ps() : _mm512_maskz_loadu_ps(lanes, norm.bias + i);
      _mm512_mask_storeu_ps(out + i, lanes, _mm512_fmadd_ps(_mm512_mul_ps(d, scale), weight, bias));
    });
  }
}

}  // namespace xgenmm
