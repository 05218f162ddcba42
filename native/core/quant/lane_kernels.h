#pragma once

#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// Rows to quantise, as for quantize_rows().
struct LaneRows {
  ggml_type type;
  const float* x;
  uint8_t* out;
  int64_t count;
  int64_t length;
  const float* importance;
};

// One function for each instruction set, in a file compiled for it.
void quantize_in_sse2(const LaneRows& rows);
void quantize_in_avx2(const LaneRows& rows);
void quantize_in_avx512(const LaneRows& rows);

}  // namespace xgenmm
