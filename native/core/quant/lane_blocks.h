#pragma once

// Blocks of any type that is searched in lanes, from rows to bytes.

#include "quant/k_blocks.h"
#include "quant/lane_kernels.h"
#include "quant/small_blocks.h"

namespace xgenmm {
namespace {

template <int N>
void gather(const float* const* blocks, int length, Floats<N>* values) {
  for (int lane = 0; lane < N; ++lane) {
    for (int i = 0; i < length; ++i) values[i][lane] = blocks[lane][i];
  }
}

// Summed up one after another, as ggml does.
float mean_square(const float* row, int64_t length) {
  float sum = 0.0f;
  for (int64_t i = 0; i < length; ++i) sum += row[i] * row[i];
  return sum / static_cast<float>(length);
}

template <int N, typename Block>
void quantize_blocks(const LaneRows& rows) {
  constexpr int kValues = Block::kValues;
  const int64_t row_blocks = rows.length / kValues, blocks = rows.count * row_blocks;
  int64_t row = -1;
  float row_mean_square = 0.0f;
  for (int64_t first = 0; first < blocks; first += N) {
    Tile<N> tile;
    const float *x[N], *importance[N];
    for (int lane = 0; lane < N; ++lane) {
      // Where too few are left, the last one fills up the lanes.
      const int64_t block = first + lane < blocks ? first + lane : blocks - 1;
      x[lane] = rows.x + kValues * block;
      importance[lane] = rows.importance;
      if (rows.importance) importance[lane] += kValues * (block % row_blocks);
      if (Block::kNeedsRow) {
        if (row != block / row_blocks) {
          row = block / row_blocks;
          row_mean_square = mean_square(rows.x + rows.length * row, rows.length);
        }
        tile.row_mean_square[lane] = row_mean_square;
      }
    }
    gather<N>(x, kValues, tile.x);
    if (rows.importance) gather<N>(importance, kValues, tile.importance);
    Ints<N> words[Block::kWords];
    Block::template quantize<N>(tile, rows.importance != nullptr, words);
    for (int lane = 0; lane < N && first + lane < blocks; ++lane) {
      int32_t block[Block::kWords];
      for (int k = 0; k < Block::kWords; ++k) block[k] = words[k][lane];
      std::memcpy(rows.out + Block::kBytes * (first + lane), block, Block::kBytes);
    }
  }
}

template <int N>
void quantize_in_lanes(const LaneRows& rows) {
  switch (rows.type) {
    case GGML_TYPE_Q4_K:
      return quantize_blocks<N, AffineBlock<4>>(rows);
    case GGML_TYPE_Q5_K:
      return quantize_blocks<N, AffineBlock<5>>(rows);
    case GGML_TYPE_Q6_K:
      return quantize_blocks<N, SymmetricBlock>(rows);
    case GGML_TYPE_Q4_0:
      return quantize_blocks<N, WeightedQ4Block>(rows);
    default:
      return quantize_blocks<N, CurveBlock>(rows);
  }
}

}  // namespace
}  // namespace xgenmm
