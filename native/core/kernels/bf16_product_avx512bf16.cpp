#include "kernels/lanes_avx512.h"

#include <cstring>

#include "kernels/product_kernels.h"
#include "kernels/tile_loop.h"

namespace xgenmm {
namespace {

struct PairSums {
  static constexpr int kTiles = 1;
  static constexpr int kColumns = kColumnsAtOnce;

  template <int N, int T, int C>
  static void add_up(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                     int at, int64_t tile, Floats (&sums)[T][C]) {
    const uint8_t* pairs = weights.tile(tile);
    const int32_t* values = reinterpret_cast<const int32_t*>(panel) + at;
    // Of its own, so that the compiler keeps it in registers.
    Floats total[C];
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) total[c] = zeros();
    const int64_t count = shape.blocks() * (kBlock / 2);
    for (int64_t p = 0; p < count; ++p, pairs += 64, values += N) {
      const auto of_rows = (__m512bh)load_bytes(pairs);
      XGENMM_UNROLL
      for (int c = 0; c < C; ++c)
        total[c] = _mm512_dpbf16_ps(total[c], of_rows, (__m512bh)_mm512_set1_epi32(values[c]));
    }
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums[0][c] = total[c];
  }
};

void pack_bf16_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                       int64_t first, int64_t last, uint8_t* panels) {
  for (int64_t start = first; start < last;) {
    const int n = panel_width(columns - start);
    uint8_t* panel = panels + static_cast<size_t>(start) * shape.bytes_per_column();
    for (int c = 0; c < n; ++c) {
      const float* column = x + (start + c) * stride;
      for (int64_t b = 0; b < shape.blocks(); ++b) {
        const float* block = column + b * kBlock;
        const int64_t left = shape.width - b * kBlock;
        const Floats front = load_first(block, left);
        const Floats back = left > kLanes ? load_first(block + kLanes, left - kLanes) : zeros();
        uint8_t pairs[64];
        _mm512_storeu_si512(pairs, (__m512i)_mm512_cvtne2ps_pbh(back, front));
        uint8_t* out = panel + static_cast<size_t>((b * 16 * n + c) * 4);
        for (int p = 0; p < 16; ++p) std::memcpy(out + p * 4 * n, pairs + p * 4, 4);
      }
    }
    start += n;
  }
}

}  // namespace

const ProductKernel kBf16ProductAvx512{pack_bf16_columns, TileLoop<PairSums>::run};

}  // namespace xgenmm
