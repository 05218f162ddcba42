#include "kernels/plain_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/gelu.h"
#include "kernels/ggml_dots.h"

namespace xgenmm {
namespace {

// Rows and columns that meet while both are in the cache.
constexpr int64_t kBlockSize = 16;

ggml_type column_type(const PlainWeights& weights) {
  return GgmlDots(weights.type).columns;
}

// Rows [first, first + count) of the matrix with one column.
void dot_rows(const PlainWeights& weights, const uint8_t* column, const float* bias, int64_t first,
              int64_t count, float* out) {
  const auto dot = GgmlDots(weights.type).dot;
  const size_t row_bytes = ggml_row_size(weights.type, weights.width);
  for (int64_t i = 0; i < count; ++i) {
    const uint8_t* row = weights.data + static_cast<size_t>(first + i) * row_bytes;
    dot(static_cast<int>(weights.width), out + i, 0, row, 0, column, 0, 1);
    if (bias != nullptr) out[i] += bias[first + i];
  }
}

}  // namespace

size_t plain_column_bytes(const PlainWeights& weights) {
  return ggml_row_size(column_type(weights), weights.width);
}

void round_columns(const PlainWeights& weights, const float* x, int64_t first, int64_t last,
                   uint8_t* columns) {
  const size_t bytes = plain_column_bytes(weights);
  const auto round = GgmlDots(weights.type).round;
  for (int64_t c = first; c < last; ++c) {
    const float* column = x + c * weights.width;
    uint8_t* out = columns + static_cast<size_t>(c) * bytes;
    if (column_type(weights) == GGML_TYPE_F32) {
      std::memcpy(out, column, bytes);
    } else {
      round(column, out, weights.width);
    }
  }
}

void plain_product(const PlainWeights& weights, const uint8_t* columns, int64_t count,
                   const Epilogue& epilogue, int64_t first, int64_t last, float* out) {
  const size_t bytes = plain_column_bytes(weights);
  const int64_t rows = epilogue.rows(weights.rows);
  for (int64_t row = first; row < last; row += kBlockSize) {
    const int64_t block = std::min(kBlockSize, last - row);
    for (int64_t c = 0; c < count; ++c) {
      const uint8_t* column = columns + static_cast<size_t>(c) * bytes;
      float sums[kBlockSize];
      dot_rows(weights, column, epilogue.bias, row, block, sums);
      if (epilogue.curve == Epilogue::Curve::kGelu) {
        gelu_tanh(sums, static_cast<size_t>(block));
      } else if (epilogue.curve == Epilogue::Curve::kGatedSilu) {
        float values[kBlockSize];
        dot_rows(weights, column, epilogue.bias, rows + row, block, values);
        for (int64_t i = 0; i < block; ++i) sums[i] *= values[i] / (1.0f + std::exp(-sums[i]));
      }
      for (int64_t i = 0; i < block; ++i) {
        const int64_t at = c * rows + row + i;
        out[at] = epilogue.residual == nullptr ? sums[i] : sums[i] + epilogue.residual[at];
      }
    }
  }
}

}  // namespace xgenmm
