// Compiled for AVX-512 with BF16; packed_product.cpp asks the processor first.
#include "kernels/packed_product_bf16.h"

#include <immintrin.h>

#include <cstring>

#include "kernels/tile_loop_avx512.h"

namespace xgenmm {
namespace {

struct PairSums {
  template <int N>
  static void add_up(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                     int64_t tile, __m512 (&sums)[N]) {
    const uint8_t* pairs = weights.tile(tile);
    const auto* values = reinterpret_cast<const int32_t*>(panel);
    // Of its own, so that the compiler keeps it in registers.
    __m512 total[N];
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) total[c] = _mm512_setzero_ps();
    const int64_t count = shape.blocks() * (kBlock / 2);
    for (int64_t p = 0; p < count; ++p, pairs += 64, values += N) {
      const auto of_rows = (__m512bh)_mm512_loadu_si512(pairs);
      XGENMM_UNROLL
      for (int c = 0; c < N; ++c)
        total[c] = _mm512_dpbf16_ps(total[c], of_rows, (__m512bh)_mm512_set1_epi32(values[c]));
    }
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) sums[c] = total[c];
  }
};

}  // namespace

void pack_columns_bf16(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                       int64_t first, int64_t last, uint8_t* panels) {
  for (int64_t start = first; start < last;) {
    const int n = panel_width(columns - start);
    uint8_t* panel = panels + static_cast<size_t>(start) * shape.bytes_per_column();
    for (int c = 0; c < n; ++c) {
      const float* column = x + (start + c) * stride;
      for (int64_t b = 0; b < shape.blocks(); ++b) {
        const int64_t left = shape.width - b * kBlock;
        const __mmask32 there = left >= kBlock ? ~0u : (1u << left) - 1;
        const __m512 front =
            _mm512_maskz_loadu_ps(static_cast<__mmask16>(there), column + b * kBlock);
        const __m512 back =
            _mm512_maskz_loadu_ps(static_cast<__mmask16>(there >> 16), column + b * kBlock + 16);
        alignas(64) uint8_t pairs[64];
        _mm512_store_si512(pairs, (__m512i)_mm512_cvtne2ps_pbh(back, front));
        uint8_t* out = panel + static_cast<size_t>((b * 16 * n + c) * 4);
        for (int p = 0; p < 16; ++p) std::memcpy(out + p * 4 * n, pairs + p * 4, 4);
      }
    }
    start += n;
  }
}

void packed_product_bf16(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                         const Epilogue& epilogue, int64_t first_tile, int64_t last_tile,
                         float* out) {
  TileLoop<PairSums>::run(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

}  // namespace xgenmm
