#include "kernels/product_check.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/packed_weights.h"

namespace xgenmm {
namespace {

// A tile and a part of one; two panels at once, one alone, and a narrow one.
constexpr int64_t kRows = 20, kWidth = 512, kColumns = 3 * kPanelColumns + 1;

using Random = std::minstd_rand;

// Rows of any bytes but for scales of 1 / 128.
std::vector<uint8_t> any_weights(ggml_type type, Random& random) {
  std::vector<uint8_t> rows(ggml_row_size(type, kWidth) * kRows);
  for (uint8_t& byte : rows) byte = static_cast<uint8_t>(random() >> 8);
  const ggml_fp16_t scale = ggml_fp32_to_fp16(1.0f / 128);
  const size_t block = ggml_type_size(type);
  for (size_t at = 0; at < rows.size(); at += block) {
    std::memcpy(&rows[at + (type == GGML_TYPE_Q6_K ? block - 2 : 0)], &scale, sizeof scale);
    if (type == GGML_TYPE_Q4_K) std::memcpy(&rows[at + 2], &scale, sizeof scale);
  }
  return rows;
}

std::vector<float> product(const ProductKernel& kernel, const PackedWeights& weights,
                           const std::vector<float>& x) {
  const PanelShape& shape = weights.panel_shape();
  std::vector<uint8_t> panels(shape.bytes_per_column() * kColumns);
  kernel.pack_columns(shape, x.data(), kWidth, kColumns, 0, kColumns, panels.data());
  std::vector<float> out(kColumns * kRows);
  kernel.product(weights, panels.data(), kColumns, {}, 0, weights.tiles(), out.data());
  return out;
}

// The least of a few turns, which nothing has disturbed.
double milliseconds(const ProductKernel& kernel, const PackedWeights& weights,
                    const std::vector<float>& x, int64_t columns) {
  constexpr int kTurns = 5;
  const PanelShape& shape = weights.panel_shape();
  std::vector<uint8_t> panels(shape.bytes_per_column() * static_cast<size_t>(columns));
  std::vector<float> out(static_cast<size_t>(columns * weights.rows()));
  kernel.pack_columns(shape, x.data(), weights.width(), columns, 0, columns, panels.data());
  double least = std::numeric_limits<double>::infinity();
  for (int turn = 0; turn < kTurns; ++turn) {
    const auto start = std::chrono::steady_clock::now();
    kernel.product(weights, panels.data(), columns, {}, 0, weights.tiles(), out.data());
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    least = std::min(least, took.count());
  }
  return least;
}

}  // namespace

bool is_faster(const ProductKernel& a, const ProductKernel& b) {
  constexpr int64_t kWide = 1024, kTall = 128, kMany = 20 * kPanelColumns;
  const std::vector<uint8_t> rows(ggml_row_size(GGML_TYPE_Q8_0, kWide) * kTall);
  PackedWeights weights(GGML_TYPE_Q8_0, GGML_TYPE_Q8_0, kWide, kTall);
  weights.pack(rows.data(), 0, weights.tiles());
  const std::vector<float> x(kMany * kWide, 1.0f);
  return milliseconds(a, weights, x, kMany) < milliseconds(b, weights, x, kMany);
}

bool gives_same_products(const ProductKernel& a, const ProductKernel& b) {
  Random random;
  std::vector<float> x(kColumns * kWidth);
  for (float& value : x) value = static_cast<float>(random() >> 8 & 0xFFFF) / 32768 - 1.0f;
  for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K}) {
    PackedWeights weights(type, type, kWidth, kRows);
    weights.pack(any_weights(type, random).data(), 0, weights.tiles());
    const std::vector<float> of_a = product(a, weights, x);
    const std::vector<float> of_b = product(b, weights, x);
    if (std::memcmp(of_a.data(), of_b.data(), of_a.size() * sizeof(float)) != 0) return false;
  }
  return true;
}

}  // namespace xgenmm
