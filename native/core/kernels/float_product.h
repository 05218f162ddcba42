#pragma once

// Products of weights in f32, f16 and bf16 with columns in f32, after one of lanes_*.h.
#include "kernels/product_kernels.h"
#include "kernels/tile_loop.h"

namespace xgenmm {
namespace {

// Two neighbouring values of each of a tile's rows.
struct F32Pairs {
  static constexpr int kBytes = 128;
  static Floats first(const uint8_t* at) { return load(reinterpret_cast<const float*>(at)); }
  static Floats second(const uint8_t* at) { return first(at + 64); }
};
struct F16Pairs {
  static constexpr int kBytes = 64;
  static Floats first(const uint8_t* at) { return load_f16(at); }
  static Floats second(const uint8_t* at) { return load_f16(at + 32); }
};
struct Bf16Pairs {
  static constexpr int kBytes = 64;
  static Floats first(const uint8_t* at) { return even_bf16(load_bytes(at)); }
  static Floats second(const uint8_t* at) { return odd_bf16(load_bytes(at)); }
};

template <typename Pairs>
struct FloatSums {
  static constexpr int kTiles = kTilesAtOnce;
  static constexpr int kColumns = kColumnsAtOnce;

  template <int N, int T, int C>
  static void add_up(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                     int at, int64_t tile, Floats (&sums)[T][C]) {
    const uint8_t* pairs = weights.tile(tile);
    const size_t tile_bytes = weights.shape().bytes;
    const float* values = reinterpret_cast<const float*>(panel) + at;
    // Of its own, so that the compiler keeps it in registers.
    Floats total[T][C];
    XGENMM_UNROLL
    for (int t = 0; t < T; ++t) XGENMM_UNROLL
    for (int c = 0; c < C; ++c) total[t][c] = zeros();
    const int64_t count = shape.blocks() * (kBlock / 2);
    for (int64_t p = 0; p < count; ++p, pairs += Pairs::kBytes, values += 2 * N) {
      Floats weight[T];
      XGENMM_UNROLL
      for (int t = 0; t < T; ++t) weight[t] = Pairs::first(pairs + t * tile_bytes);
      add_products<T, C>(weight, values, total);
      XGENMM_UNROLL
      for (int t = 0; t < T; ++t) weight[t] = Pairs::second(pairs + t * tile_bytes);
      add_products<T, C>(weight, values + N, total);
    }
    XGENMM_UNROLL
    for (int t = 0; t < T; ++t) XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums[t][c] = total[t][c];
  }

 private:
  template <int T, int C>
  static void add_products(const Floats (&weight)[T], const float* values, Floats (&total)[T][C]) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const Floats value = spread(values[c]);
      XGENMM_UNROLL
      for (int t = 0; t < T; ++t) total[t][c] = fma(weight[t], value, total[t][c]);
    }
  }
};

void pack_float_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                        int64_t first, int64_t last, uint8_t* panels) {
  for (int64_t start = first; start < last;) {
    const int n = panel_width(columns - start);
    float* panel =
        reinterpret_cast<float*>(panels + static_cast<size_t>(start) * shape.bytes_per_column());
    for (int64_t i = 0; i < shape.blocks() * kBlock; i += kLanes, panel += kLanes * n) {
      const int64_t left = shape.width - i;
      Floats values[kLanes];
      for (int c = 0; c < kLanes; ++c)
        values[c] = c < n && left > 0 ? load_first(x + (start + c) * stride + i, left) : zeros();
      transpose(values);
      for (int j = 0; j < kLanes; ++j) store_first(panel + j * n, values[j], n);
    }
    start += n;
  }
}

void float_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                   const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  const auto run = weights.type() == GGML_TYPE_F32   ? TileLoop<FloatSums<F32Pairs>>::run
                   : weights.type() == GGML_TYPE_F16 ? TileLoop<FloatSums<F16Pairs>>::run
                                                     : TileLoop<FloatSums<Bf16Pairs>>::run;
  run(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

}  // namespace
}  // namespace xgenmm
