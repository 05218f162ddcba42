#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// Matrix products of repacked weights. Those of 4 to 8 bits meet columns that are quantised to 8
// bits on the way, laid out for instructions that multiply 16 groups of four bytes at once
// (vpdpbusd); those in bf16 meet columns in bf16, 16 groups of two at once (vdpbf16ps).

// Rows of weights that are computed together, and columns that are: the width of a panel.
constexpr int kTileRows = 16;
constexpr int kPanelColumns = 12;
// Values with one scale in a column.
constexpr int kBlock = 32;

constexpr int64_t blocks_in(int64_t width) {
  return (width + kBlock - 1) / kBlock;
}

// How many of `columns` the next panel takes. Widths other than the full one end a batch.
constexpr int panel_width(int64_t columns) {
  return columns >= kPanelColumns ? kPanelColumns
         : columns >= 8           ? 8
         : columns >= 4           ? 4
         : columns >= 2           ? 2
                                  : 1;
}

// Where a panel's parts begin. A panel of n columns of `width` values, zeros after them up to a
// whole number of blocks, is
//   int8 values[blocks][8][n][4];  float scales[blocks][n];  corrections[…][n] of 4 bytes
// with corrections, per block of 32 values:
//   Q8_0: int32, -128 * the sum of the values, since a weight is stored as w + 128
//   Q4_K: float, scale * the sum of the values, for the minimum of the weights' block
//   Q6_K: int32, -32 * the sum of each half of the values, since a weight is stored as w + 32
// and for BF16 it is bf16 values[blocks][16][n][2].
struct PanelShape {
  ggml_type weights;
  int64_t width;
  int corrections_per_block;

  PanelShape(ggml_type weights, int64_t width)
      : weights(weights), width(width), corrections_per_block(weights == GGML_TYPE_Q6_K ? 2 : 1) {}
  int64_t blocks() const { return blocks_in(width); }
  size_t bytes_per_column() const {
    if (weights == GGML_TYPE_BF16) return static_cast<size_t>(blocks() * kBlock * 2);
    return static_cast<size_t>(blocks() * (kBlock + 4 * (1 + corrections_per_block)));
  }
  size_t scales_at(int columns) const { return static_cast<size_t>(blocks() * kBlock * columns); }
  size_t corrections_at(int columns) const {
    return static_cast<size_t>(blocks() * (kBlock + 4) * columns);
  }
};

// Where a tile of 16 rows has what, all parts in the order of the blocks or super-blocks:
//   Q8_0: f16 scales[blocks][16];                 u8 values[blocks][8][16][4]
//   Q4_K: {f16 d[16], dmin[16]; u8 scales[8][16], minima[8][16]}[super-blocks];
//         u8 values[blocks][4][16][4], the group of four in the low half, the fourth after it in
//         the high
//   Q6_K: {f16 d[16]; i8 scales[16][16]}[super-blocks];
//         {u8 low[4][16][4], as for Q4_K; u8 high[2][16][4], two bits of four groups each}[blocks]
//   BF16: bf16 values[blocks][16][16][2]
struct TileShape {
  size_t scale_bytes;  // rounded up to 64
  size_t value_bytes_per_block;
  size_t bytes;

  TileShape(ggml_type type, int64_t width) {
    const size_t blocks = static_cast<size_t>(blocks_in(width));
    const size_t super_blocks = blocks / 8;
    switch (type) {
      case GGML_TYPE_Q8_0:
        scale_bytes = blocks * 32;
        value_bytes_per_block = 512;
        break;
      case GGML_TYPE_Q4_K:
        scale_bytes = super_blocks * 320;
        value_bytes_per_block = 256;
        break;
      case GGML_TYPE_Q6_K:
        scale_bytes = super_blocks * 288;
        value_bytes_per_block = 384;
        break;
      default:
        scale_bytes = 0;
        value_bytes_per_block = 1024;
    }
    scale_bytes = (scale_bytes + 63) / 64 * 64;
    bytes = scale_bytes + blocks * value_bytes_per_block;
  }
};

}  // namespace xgenmm
