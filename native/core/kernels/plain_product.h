#pragma once

#include <cstdint>

#include "ggml.h"
#include "kernels/epilogue.h"

namespace xgenmm {

// A weight matrix as ggml stores it, multiplied with ggml's own dot products: for what
// packed_product() does not know.
struct PlainWeights {
  ggml_type type;
  int64_t width, rows;
  const uint8_t* data;
};

// Bytes of a column in the type that ggml's dot product wants beside such weights.
size_t plain_column_bytes(const PlainWeights& weights);

// Rounds columns [first, last) to that type. x: [columns, width]
void round_columns(const PlainWeights& weights, const float* x, int64_t first, int64_t last,
                   uint8_t* columns);

// The epilogue of weights[r] · column c, for all columns and rows [first, last) of the result.
// Column c is at out + c * rows of the result. Every value is added up in the same order whatever
// the number of columns.
void plain_product(const PlainWeights& weights, const uint8_t* columns, int64_t count,
                   const Epilogue& epilogue, int64_t first, int64_t last, float* out);

}  // namespace xgenmm
