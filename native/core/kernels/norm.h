#pragma once

#include <cstdint>

namespace xgenmm {

// Layer norm, or RMS norm where there is no bias, of rows without gaps:
// (x - mean) / sqrt(variance + epsilon) * weight + bias, or x / sqrt(mean of squares + epsilon) *
// weight
struct Norm {
  int64_t width;
  const float* weight;  // [width]
  const float* bias;  // [width] or nullptr
  float epsilon;
};

// In f32, one pass through memory. x, out: [rows, width]; they may be the same.
void normalize(const Norm& norm, const float* x, int64_t rows, float* out);

}  // namespace xgenmm
