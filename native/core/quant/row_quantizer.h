#pragma once

#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// Rows of row_length values below magnitude_limit() in another type: byte for byte what
// ggml_quantize_chunk() gives.
// row_length: a multiple of the type's block size. importance: row_length values, or nullptr.
// out: aligned for the type's blocks.
void quantize_rows(ggml_type type, const float* rows, void* out, int64_t count, int64_t row_length,
                   const float* importance);

}  // namespace xgenmm
