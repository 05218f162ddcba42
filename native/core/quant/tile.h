#pragma once

// What blocks are made from and of, for N blocks at once, one in each lane.

#include "ggml.h"
#include "quant/lanes.h"

namespace xgenmm {
namespace {

constexpr int kSuperBlock = 256;

// What a block is made from, value i of each lane in element i. A block of fewer than 256 values is
// at the start.
template <int N>
struct Tile {
  Floats<N> x[kSuperBlock];
  Floats<N> importance[kSuperBlock];
  // The mean square of the row that the block is in, for blocks that need it.
  Floats<N> row_mean_square;
};

// The bits of each lane's value as f16.
template <int N>
Ints<N> to_half(const Floats<N>& x) {
  Ints<N> half;
  for (int lane = 0; lane < N; ++lane) half[lane] = ggml_fp32_to_fp16(x[lane]);
  return half;
}

template <int N>
Floats<N> from_half(const Ints<N>& half) {
  Floats<N> x;
  for (int lane = 0; lane < N; ++lane) {
    x[lane] = ggml_fp16_to_fp32(static_cast<ggml_fp16_t>(half[lane]));
  }
  return x;
}

// byte(0) .. byte(3), each below 256, as they lie in memory.
template <int N, typename Byte>
Ints<N> word_of(Byte byte) {
  return byte(0) | byte(1) << 8 | byte(2) << 16 | byte(3) << 24;
}

}  // namespace
}  // namespace xgenmm
