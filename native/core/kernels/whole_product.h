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
  void advance_block(int corrections_per_block) {
    values += 8 * N;
    corrections += 4 * N * corrections_per_block;
  }
  void advance_scale() { scales += N; }
};

// The sums of C columns.
template <int C>
struct Totals {
  Floats of[C];

  Totals() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) of[c] = zeros();
  }
  template <int Bits>
  void add(const Dots<Bits, C>& dots, Floats row_scales) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) of[c] = fma(dots.sum(c), row_scales, of[c]);
  }
  template <int Bits>
  void add(const Dots<Bits, C>& dots, Floats row_scales, const float* column_scales) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c)
      of[c] = fma(dots.sum(c), mul(row_scales, spread(column_scales[c])), of[c]);
  }
  void add(const Totals& sums, Floats row_scales, const float* column_scales) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c)
      of[c] = fma(sums.of[c], mul(row_scales, spread(column_scales[c])), of[c]);
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
      totals.add(dots, load_f16(scales), panel.scales);
      panel.advance_block(1);
      panel.advance_scale();
    }
  }
};

struct Q4Sums {
  static constexpr int kBits = 4;

  template <int N, int C>
  static void add_blocks(const uint8_t* scales, const uint8_t* values, int64_t blocks,
                         Panel<N> panel, Totals<C>& totals) {
    for (int64_t b = 0; b < blocks; b += 8, scales += 320) {
      const Floats d_min = load_f16(scales + 32);
      const float* column_sums = panel.float_corrections();
      Totals<C> sums;
      for (int j = 0; j < 8; ++j, values += 256) {
        Dots<kBits, C> dots;
        XGENMM_UNROLL
        for (int g = 0; g < 4; ++g) {
          const Bytes both = load_bytes(values + g * 64);
          dots.add(low_nibbles(both), panel.group(g), high_nibbles(both), panel.group(g + 4));
        }
        sums.add(dots, load_u8(scales + 64 + j * 16));
        panel.advance_block(1);
      }
      for (int j = 0; j < 8; ++j)
        totals.subtract(mul(d_min, load_u8(scales + 192 + j * 16)), column_sums + j * N);
      totals.add(sums, load_f16(scales), panel.scales);
      panel.advance_scale();
    }
  }
};

struct Q6Sums {
  static constexpr int kBits = 6;

  template <int N, int C>
  static void add_blocks(const uint8_t* scales, const uint8_t* values, int64_t blocks,
                         Panel<N> panel, Totals<C>& totals) {
    for (int64_t b = 0; b < blocks; b += 8, scales += 288) {
      Totals<C> sums;
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
          sums.add(dots, load_i8(scales + 32 + (2 * j + half) * 16));
        }
        panel.advance_block(2);
      }
      totals.add(sums, load_f16(scales), panel.scales);
      panel.advance_scale();
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

// What makes values of a column whole numbers within -127 .. 127, and these the values again.
struct Rounding {
  Floats inverse;
  float scale;

  Rounding(const float* values, int64_t count) {
    Floats magnitudes = zeros(), odd = zeros();
    for (int64_t i = 0; i < count; i += kLanes) {
      const Floats x = load_first(values + i, count - i);
      magnitudes = max(magnitudes, abs(x));
      // Zero times what is not finite is no number, which maxima may lose.
      odd = fma(x, zeros(), odd);
    }
    const float highest = largest(magnitudes);
    scale = has_nan(odd) ? __builtin_nanf("") : highest / 127.0f;
    // What is so small counts as zero: the inverse would not be finite.
    inverse = spread(highest > 1e-36f ? 127.0f / highest : 0.0f);
  }
  Floats round(Floats x) const { return nearest(clamp(mul(x, inverse), 127.0f)); }
};

// A panel of n columns that is being filled. Together: a column's values of a block lie together
// if the panel is full.
template <bool Together>
class PanelWriter {
 public:
  PanelWriter(const PanelShape& shape, int n, uint8_t* panel)
      : shape_(shape),
        n_(n),
        values_(reinterpret_cast<int8_t*>(panel)),
        scales_(reinterpret_cast<float*>(panel + shape.scales_at(n))),
        whole_corrections_(reinterpret_cast<int32_t*>(panel + shape.corrections_at(n))),
        float_corrections_(reinterpret_cast<float*>(panel + shape.corrections_at(n))) {}

  void write(const float* x, int column) {
    const int64_t blocks = shape_.blocks_per_scale;
    for (int64_t s = 0; s < shape_.scales(); ++s) {
      const int64_t first = s * blocks * kBlock, left = shape_.width - first;
      const Rounding rounding(x + first, left < blocks * kBlock ? left : blocks * kBlock);
      scales_[s * n_ + column] = rounding.scale;
      for (int64_t b = s * blocks; b < (s + 1) * blocks; ++b) write_block(x, column, b, rounding);
    }
  }

 private:
  void write_block(const float* x, int column, int64_t block, const Rounding& rounding) {
    const float* at = x + block * kBlock;
    const int64_t left = shape_.width - block * kBlock;
    const Floats front = rounding.round(load_first(at, left));
    const Floats back =
        rounding.round(left > kLanes ? load_first(at + kLanes, left - kLanes) : zeros());
    int8_t bytes[kBlock];
    store_i8(bytes, front);
    store_i8(bytes + kLanes, back);
    if (Together && n_ == kPanelColumns) {
      std::memcpy(values_ + (block * n_ + column) * kBlock, bytes, kBlock);
    } else {
      int8_t* values = values_ + (block * 8 * n_ + column) * 4;
      for (int g = 0; g < 8; ++g) std::memcpy(values + g * 4 * n_, bytes + g * 4, 4);
    }
    const int64_t place = block * shape_.corrections_per_block * n_ + column;
    if (shape_.weights == GGML_TYPE_Q8_0) {
      whole_corrections_[place] = static_cast<int32_t>(-128.0f * sum(add(front, back)));
    } else if (shape_.weights == GGML_TYPE_Q4_K) {
      float_corrections_[place] = rounding.scale * sum(add(front, back));
    } else {
      whole_corrections_[place] = static_cast<int32_t>(-32.0f * sum(front));
      whole_corrections_[place + n_] = static_cast<int32_t>(-32.0f * sum(back));
    }
  }

  const PanelShape& shape_;
  const int64_t n_;
  int8_t* values_;
  float* scales_;
  int32_t* whole_corrections_;
  float* float_corrections_;
};

template <bool Together>
void pack_whole_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                        int64_t first, int64_t last, uint8_t* panels) {
  for (int64_t start = first; start < last;) {
    const int n = panel_width(columns - start);
    PanelWriter<Together> panel(shape, n,
                                panels + static_cast<size_t>(start) * shape.bytes_per_column());
    for (int c = 0; c < n; ++c) panel.write(x + (start + c) * stride, c);
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
