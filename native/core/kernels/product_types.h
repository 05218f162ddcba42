#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// Matrix products of repacked weights. Those of 4 to 8 bits meet columns that are quantised to 8
// bits on the way, laid out for instructions that multiply groups of four bytes; those in floats
// meet columns in f32, or in bf16 for instructions that multiply pairs of these.

// Rows of weights that are computed together, and columns that are: the width of a panel.
constexpr int kTileRows = 16;
constexpr int kPanelColumns = 12;
// Values of a column, and of a row of weights, that are multiplied in one go.
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
// whole number of blocks, is by the type of its columns
//   I8: int8 values[blocks][8][n][4], or [blocks][n][32] in a full panel where AMX multiplies it;
//       float scales[blocks / blocks_per_scale][n];  corrections[…][n] of 4 bytes
//   BF16: bf16 values[blocks][16][n][2]
//   F32: float values[blocks][32][n]
// with corrections, per block of 32 values, by the type of the weights:
//   Q8_0: int32, -128 * the sum of the values, since a weight is stored as w + 128
//   Q4_K: float, scale * the sum of the values, for the minimum of the weights' block
//   Q6_K: int32, -32 * the sum of each half of the values, since a weight is stored as w + 32
struct PanelShape {
  ggml_type weights;
  ggml_type columns;
  int64_t width;
  // Those that have one scale in columns of I8, as many as ggml rounds together beside such
  // weights: one, or the eight of a super-block.
  int blocks_per_scale;
  int corrections_per_block;

  // The type of the columns is what this processor multiplies such weights with.
  PanelShape(ggml_type weights, int64_t width);
  int64_t blocks() const { return blocks_in(width); }
  int64_t scales() const { return blocks() / blocks_per_scale; }
  size_t bytes_per_column() const {
    if (columns != GGML_TYPE_I8)
      return static_cast<size_t>(blocks() * kBlock * (columns == GGML_TYPE_F32 ? 4 : 2));
    return static_cast<size_t>(blocks() * (kBlock + 4 * corrections_per_block) + 4 * scales());
  }
  size_t scales_at(int columns_in_panel) const {
    return static_cast<size_t>(blocks() * kBlock * columns_in_panel);
  }
  size_t corrections_at(int columns_in_panel) const {
    return static_cast<size_t>((blocks() * kBlock + 4 * scales()) * columns_in_panel);
  }
};

// Where a tile of 16 rows has what, all parts in the order of the blocks or super-blocks:
//   Q8_0: f16 scales[blocks][16];                 u8 values[blocks][8][16][4]
//   Q4_K: {f16 d[16], dmin[16]; u8 scales[8][16], minima[8][16]}[super-blocks];
//         u8 values[blocks][4][16][4], the group of four in the low half, the fourth after it in
//         the high
//   Q6_K: {f16 d[16]; i8 scales[16][16]}[super-blocks];
//         {u8 low[4][16][4], as for Q4_K; u8 high[2][16][4], two bits of four groups each}[blocks]
//   F32, F16: values[blocks][32][16]
//   BF16: values[blocks][16][16][2]
struct TileShape {
  size_t scale_bytes;  // rounded up to 64
  size_t bytes;

  TileShape(ggml_type type, int64_t width);
};

}  // namespace xgenmm
