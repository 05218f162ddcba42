#include "kernels/product_check.h"

#include <cstring>
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

}  // namespace

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
