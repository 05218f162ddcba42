#pragma once

// normalize(), after one of lanes_*.h.
#include "kernels/norm.h"

namespace xgenmm {
namespace {

// Calls visit(index, count) for every vector of a row; `count` values are there.
template <typename Visit>
void each_vector(int64_t width, Visit&& visit) {
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) visit(i, kLanes);
  if (i < width) visit(i, static_cast<int>(width - i));
}

// The sum of the squares of x - mean.
float squares(const float* x, int64_t width, float mean) {
  Floats sums = zeros();
  each_vector(width, [&](int64_t i, int count) {
    Floats d = sub(load_first(x + i, count), spread(mean));
    if (count < kLanes) d = choose(first_lanes(count), d, zeros());
    sums = fma(d, d, sums);
  });
  return sum(sums);
}

float mean_of(const float* x, int64_t width) {
  Floats sums = zeros();
  each_vector(width, [&](int64_t i, int count) { sums = add(sums, load_first(x + i, count)); });
  return sum(sums) / static_cast<float>(width);
}

void normalize_in_lanes(const Norm& norm, const float* x, int64_t rows, float* out) {
  const int64_t width = norm.width;
  for (int64_t row = 0; row < rows; ++row, x += width, out += width) {
    const float mean = norm.bias == nullptr ? 0.0f : mean_of(x, width);
    const float variance = squares(x, width, mean) / static_cast<float>(width);
    const Floats scale = spread(1.0f / __builtin_sqrtf(variance + norm.epsilon));
    each_vector(width, [&](int64_t i, int count) {
      const Floats d = sub(load_first(x + i, count), spread(mean));
      const Floats weight = load_first(norm.weight + i, count);
      const Floats bias = norm.bias == nullptr ? zeros() : load_first(norm.bias + i, count);
      store_first(out + i, fma(mul(d, scale), weight, bias), count);
    });
  }
}

}  // namespace
}  // namespace xgenmm
