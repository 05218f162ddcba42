#pragma once

#include <immintrin.h>

#include <algorithm>

#include "kernels/epilogue.h"
#include "kernels/exp2_avx512.h"
#include "kernels/packed_weights.h"
#include "kernels/unroll.h"

namespace xgenmm {

// What the kernels of all types of weights share: the order in which tiles meet panels, and the
// epilogue. `AddUp` has
//   template <int N> static void add_up(const PackedWeights&, const PanelShape&,
//                                       const uint8_t* panel, int64_t tile, __m512 (&sums)[N]);
// which gives the products of one tile with the N columns of a panel.
template <typename AddUp>
class TileLoop {
 public:
  // As packed_product().
  static void run(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                  const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
    const PanelShape shape(weights.type(), weights.width());
    const int64_t rows = epilogue.rows(weights.rows());
    const int64_t full = static_cast<int64_t>(kCachedBytes / shape.bytes_per_column()) /
                         kPanelColumns * kPanelColumns;
    const int64_t cached = std::max<int64_t>(full, kPanelColumns);
    for (int64_t from = 0; from < columns; from += cached) {
      const int64_t to = std::min(from + cached, columns);
      for (int64_t tile = first_tile; tile < last_tile; ++tile) {
        for (int64_t start = from; start < to;) {
          const int n = panel_width(columns - start);
          const auto meet = [&](auto multiply_panel) {
            multiply_panel(
                weights, shape, panels + static_cast<size_t>(start) * shape.bytes_per_column(),
                epilogue, epilogue.residual == nullptr ? nullptr : epilogue.residual + start * rows,
                tile, out + start * rows);
          };
          switch (n) {
            case kPanelColumns:
              meet(multiply<kPanelColumns>);
              break;
            case 8:
              meet(multiply<8>);
              break;
            case 4:
              meet(multiply<4>);
              break;
            case 2:
              meet(multiply<2>);
              break;
            default:
              meet(multiply<1>);
          }
          start += n;
        }
      }
    }
  }

 private:
  // Columns whose panels stay in a core's cache while all its tiles meet them.
  static constexpr size_t kCachedBytes = 1 << 20;

  // x / (1 + 2^t)
  static __m512 gated(__m512 x, __m512 t) {
    return _mm512_div_ps(x, _mm512_add_ps(_mm512_set1_ps(1.0f), exp2_avx512(t)));
  }

  static __m512 clamp(__m512 x, float limit) {
    return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-limit)), _mm512_set1_ps(limit));
  }

  // As gelu_tanh() in gelu.cpp.
  static __m512 gelu(__m512 x) {
    const __m512 c = clamp(x, 10.0f);
    const __m512 slope = _mm512_fmadd_ps(_mm512_set1_ps(-0.1029432396f), _mm512_mul_ps(c, c),
                                         _mm512_set1_ps(-2.302208198f));
    return gated(x, _mm512_mul_ps(c, slope));
  }

  static __m512 silu(__m512 x) {
    constexpr float kMinusLog2E = -1.44269504f;
    return gated(x, clamp(_mm512_mul_ps(x, _mm512_set1_ps(kMinusLog2E)), 126.0f));
  }

  template <int N>
  static void add_up(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                     const float* bias, int64_t tile, __m512 (&sums)[N]) {
    AddUp::template add_up<N>(weights, shape, panel, tile, sums);
    if (bias == nullptr) return;
    const __m512 more = _mm512_maskz_loadu_ps(weights.rows_of(tile), bias + tile * kTileRows);
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) sums[c] = _mm512_add_ps(sums[c], more);
  }

  // One tile of the result. out, residual: the panel's first column.
  template <int N>
  static void multiply(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                       const Epilogue& epilogue, const float* residual, int64_t tile, float* out) {
    __m512 sums[N];
    add_up<N>(weights, shape, panel, epilogue.bias, tile, sums);
    const int64_t rows = epilogue.rows(weights.rows());
    if (epilogue.curve == Epilogue::Curve::kGelu) {
      for (int c = 0; c < N; ++c) sums[c] = gelu(sums[c]);
    } else if (epilogue.curve == Epilogue::Curve::kGatedSilu) {
      __m512 values[N];
      add_up<N>(weights, shape, panel, epilogue.bias, tile + rows / kTileRows, values);
      for (int c = 0; c < N; ++c) sums[c] = _mm512_mul_ps(silu(sums[c]), values[c]);
    }
    const __mmask16 there = weights.rows_of(tile);
    const int64_t first = tile * kTileRows;
    for (int c = 0; c < N; ++c) {
      if (residual != nullptr) {
        const __m512 more = _mm512_maskz_loadu_ps(there, residual + c * rows + first);
        sums[c] = _mm512_add_ps(sums[c], more);
      }
      _mm512_mask_storeu_ps(out + c * rows + first, there, sums[c]);
    }
  }
};

}  // namespace xgenmm
