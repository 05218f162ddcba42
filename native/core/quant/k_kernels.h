#pragma once

#include <cstdint>

#include "ggml.h"

namespace xgenmm {

constexpr int kSuperBlock = 256;

// Super-blocks, one after another.
struct KBlocks {
  ggml_type type;  // Q4_K, Q5_K or Q6_K
  const float* x;
  uint8_t* out;
  int64_t count;
  // importance: nullptr, or that of row_blocks super-blocks, over and over
  int64_t row_blocks;
  const float* importance;
};

// One function for each instruction set, in a file compiled for it.
void quantize_k_blocks_sse2(const KBlocks& blocks);
void quantize_k_blocks_avx2(const KBlocks& blocks);
void quantize_k_blocks_avx512(const KBlocks& blocks);

}  // namespace xgenmm
