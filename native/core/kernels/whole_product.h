#pragma once

// Products of weights of 4 to 8 bits in whole numbers, after one of lanes_*.h and one of dots_*.h.
#include <cstring>

#include "kernels/product_kernels.h"
#include "kernels/tile_loop.h"

namespace xgenmm {
namespace {

// Columns [at, at + …) of a panel of N, block by block.
template <int N>
struct Panel {
  const int32_t* values;
  const float* scales;
  const uint8_t* corrections;

  Panel(const PanelShape& shape, const uint8_t* data, int at)
      : values(reinterpret_cast<const int32_t*>(data) + at),
        scales(reinterpret_cast<const float*>(data + shape.scales_at(N)) + at),
        corrections(data + shape.corrections_at(N) + at * 4) {}
  const int32_t* group(int index) const { return values + index * N; }
  const int32_t* whole_corrections(int index) const {
    return reinterpret_cast<const int32_t*>(corrections) + index * N;
  }
  const float* float_corrections() const { return reinterpret_cast<const float*>(corrections); }
  void advance(int corrections_per_block) {
    values += 8 * N;
    scales += N;
    corrections += 4 * N * corrections_per_block;
  }
};

// The sums of C columns over all blocks.
template <int C>
struct Totals {
  Floats of[C];

  Totals() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) of[c] = zeros();
  }
  template <int Bits>
  void add_block(const Dots<Bits, C>& dots, Floats row_scales, const float* column_scales) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c)
      of[c] = fma(dots.sum(c), mul(row_scales, spread(column_scales[c])), of[c]);
  }
  void subtract(Floats row_minima, const float* column_sums) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) of[c] = fnma(row_minima, spread(column_sums[c]), of[c]);
  }
};

struct Q8Sums {
  static constexpr int kBits = 8;

  template <int N, int C>
  static void add_blocks(const uint8_t* scales, const uint8_t* values, int64_t blocks,
                         Panel<N> panel, Totals<C>& totals) {
    for (int64_t b = 0; b < blocks; ++b, scales += 32, values += 512) {
      Dots<kBits, C> dots(panel.whole_corrections(0));
      XGENMM_UNROLL
      for (int g = 0; g < 8; g += 2) {
        dots.add(load_bytes(values + g * 64), panel.group(g), load_bytes(values + g * 64 + 64),
                 panel.group(g + 1));
      }
      totals.add_block(dots, load_f16(scales), panel.scales);
      panel.advance(1);
    }
  }
};

struct Q4Sums {
  static constexpr int kBits = 4;

  template <int N, int C>
  static void add_blocks(const uint8_t* scales, const uint8_t* values, int64_t blocks,
                         Panel<N> panel, Totals<C>& totals) {
    for (int64_t b = 0; b < blocks; b += 8, scales += 320) {
      const Floats d = load_f16(scales);
      const Floats d_min = load_f16(scales + 32);
      for (int j = 0; j < 8; ++j, values += 256) {
        Dots<kBits, C> dots;
        XGENMM_UNROLL
        for (int g = 0; g < 4; ++g) {
          const Bytes both = load_bytes(values + g * 64);
          dots.add(low_nibbles(both), panel.group(g), high_nibbles(both), panel.group(g + 4));
        }
        totals.add_block(dots, mul(d, load_u8(scales + 64 + j * 16)), panel.scales);
        totals.subtract(mul(d_min, load_u8(scales + 192 + j * 16)), panel.float_corrections());
        panel.advance(1);
      }
    }
  }
};

struct Q6Sums {
  static constexpr int kBits = 6;

  template <int N, int C>
  static void add_blocks(const uint8_t* scales, const uint8_t* values, int64_t blocks,
                         Panel<N> panel, Totals<C>& totals) {
    for (int64_t b = 0; b < blocks; b += 8, scales += 288) {
      const Floats d = load_f16(scales);
      for (int j = 0; j < 8; ++j, values += 384) {
        XGENMM_UNROLL
        for (int half = 0; half < 2; ++half) {
          Dots<kBits, C> dots(panel.whole_corrections(half));
          const Bytes bits = load_bytes(values + 256 + half * 64);
          const auto weights = [&](int g) {
            const Bytes both = load_bytes(values + g * 64);
            return add_pair_of_bits(half == 0 ? low_nibbles(both) : high_nibbles(both), bits, g);
          };
          XGENMM_UNROLL
          for (int g = 0; g < 4; g += 2) {
            dots.add(weights(g), panel.group(half * 4 + g), weights(g + 1),
                     panel.group(half * 4 + g + 1));
          }
          totals.add_block(dots, mul(d, load_i8(scales + 32 + (2 * j + half) * 16)), panel.scales);
        }
        panel.advance(2);
      }
    }
  }
};

template <typename Format>
struct WholeSums {
  static constexpr int kTiles = 1;
  static constexpr int kColumns = kDotColumns<Format::kBits>;

  template <int N, int T, int C>
  static void add_up(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                     int at, int64_t tile, Floats (&sums)[T][C]) {
    const uint8_t* scales = weights.tile(tile);
    Totals<C> totals;
    Format::template add_blocks<N, C>(scales, scales + weights.shape().scale_bytes, shape.blocks(),
                                      Panel<N>(shape, panel, at), totals);
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums[0][c] = totals.of[c];
  }
};

// A block of a column, quantised to within -127 .. 127.
struct RoundedBlock {
  float scale;
  Floats front, back;  // whole numbers

  RoundedBlock(Floats a, Floats b) {
    const float highest = largest(max(abs(a), abs(b)));
    // Zero times what is not finite is no number, which maxima may lose.
    const bool is_finite = !has_nan(fma(a, zeros(), mul(b, zeros())));
    scale = is_finite ? highest / 127.0f : __builtin_nanf("");
    const Floats inverse = spread(highest > 0.0f ? 127.0f / highest : 0.0f);
    front = nearest(clamp(mul(a, inverse), 127.0f));
    back = nearest(clamp(mul(b, inverse), 127.0f));
  }
};

// Together: a column's values of a block lie together in full panels.
template <bool Together>
void pack_whole_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                        int64_t first, int64_t last, uint8_t* panels) {
  for (int64_t start = first; start < last;) {
    const int n = panel_width(columns - start);
    uint8_t* panel = panels + static_cast<size_t>(start) * shape.bytes_per_column();
    float* scales = reinterpret_cast<float*>(panel + shape.scales_at(n));
    int32_t* whole = reinterpret_cast<int32_t*>(panel + shape.corrections_at(n));
    float* fractions = reinterpret_cast<float*>(whole);
    for (int c = 0; c < n; ++c) {
      const float* column = x + (start + c) * stride;
      for (int64_t b = 0; b < shape.blocks(); ++b) {
        const int64_t left = shape.width - b * kBlock;
        const float* at = column + b * kBlock;
        const RoundedBlock block(load_first(at, left),
                                 left > kLanes ? load_first(at + kLanes, left - kLanes) : zeros());
        int8_t bytes[kBlock];
        store_i8(bytes, block.front);
        store_i8(bytes + kLanes, block.back);
        if (Together && n == kPanelColumns) {
          std::memcpy(panel + (b * n + c) * kBlock, bytes, kBlock);
        } else {
          int8_t* values = reinterpret_cast<int8_t*>(panel) + (b * 8 * n + c) * 4;
          for (int g = 0; g < 8; ++g) std::memcpy(values + g * 4 * n, bytes + g * 4, 4);
        }
        scales[b * n + c] = block.scale;
        const int64_t place = b * shape.corrections_per_block * n + c;
        if (shape.weights == GGML_TYPE_Q8_0) {
          whole[place] = static_cast<int32_t>(-128.0f * sum(add(block.front, block.back)));
        } else if (shape.weights == GGML_TYPE_Q4_K) {
          fractions[place] = block.scale * sum(add(block.front, block.back));
        } else {
          whole[place] = static_cast<int32_t>(-32.0f * sum(block.front));
          whole[place + n] = static_cast<int32_t>(-32.0f * sum(block.back));
        }
      }
    }
    start += n;
  }
}

// Sums: what TileLoop takes, of a format.
template <template <typename> class Sums>
void whole_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                   const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  const auto run = weights.type() == GGML_TYPE_Q8_0   ? TileLoop<Sums<Q8Sums>>::run
                   : weights.type() == GGML_TYPE_Q4_K ? TileLoop<Sums<Q4Sums>>::run
                                                      : TileLoop<Sums<Q6Sums>>::run;
  run(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

}  // namespace
}  // namespace xgenmm
