#ifdef XGENMM_AVX512VNNI
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "harness.h"
#include "kernels/cpu_features.h"
#include "kernels/packed_product.h"
#include "kernels/product_check.h"
#include "tiled_product_emulated.h"

namespace xgenmm {
namespace {

using test::kEmulatedProduct;
using test::kWrongProduct;

bool has_lanes() {
  return cpu_has(CpuFeature::kAvx512Vnni);
}

constexpr ggml_type kTypes[] = {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K};

std::vector<float> normal(int64_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = distribution(random);
  return values;
}

PackedWeights matrix(ggml_type stored, ggml_type packed, int64_t width, int64_t rows) {
  std::vector<uint8_t> data(ggml_row_size(stored, width) * static_cast<size_t>(rows));
  ggml_quantize_chunk(stored, normal(width * rows, 1).data(), data.data(), 0, rows, width, nullptr);
  PackedWeights weights(stored, packed, width, rows);
  weights.pack(data.data(), 0, weights.tiles());
  return weights;
}

// In two parts each, as threads would, in blocks of memory as large as need be.
std::vector<float> product(const ProductKernel& kernel, const PackedWeights& weights,
                           const std::vector<float>& x, int64_t columns,
                           const Epilogue& epilogue = {}) {
  const PanelShape& shape = weights.panel_shape();
  std::vector<uint8_t> panels(shape.bytes_per_column() * static_cast<size_t>(columns));
  const int64_t border = columns / 2 / kPanelColumns * kPanelColumns;
  for (const auto& [first, last] : {std::pair{int64_t{0}, border}, std::pair{border, columns}})
    kernel.pack_columns(shape, x.data(), weights.width(), columns, first, last, panels.data());
  const int64_t rows = epilogue.rows(weights.rows());
  std::vector<float> out(static_cast<size_t>(columns * rows), NAN);
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  kernel.product(weights, panels.data(), columns, epilogue, 0, tiles / 2, out.data());
  kernel.product(weights, panels.data(), columns, epilogue, tiles / 2, tiles, out.data());
  return out;
}

void check_same(const PackedWeights& weights, const std::vector<float>& x, int64_t columns,
                const Epilogue& epilogue = {}) {
  const std::vector<float> wanted = product(kWholeProductAvx512Vnni, weights, x, columns, epilogue);
  const std::vector<float> out = product(kEmulatedProduct, weights, x, columns, epilogue);
  CHECK_EQ(out.size(), wanted.size());
  CHECK(std::memcmp(out.data(), wanted.data(), out.size() * sizeof(float)) == 0);
  CHECK_EQ(test::tile_errors(), 0);
}

}  // namespace

TEST(amx_product_is_that_of_lanes_to_the_bit) {
  if (!has_lanes()) return;
  for (const ggml_type type : kTypes) {
    for (const int64_t width : {256, 512, 768}) {
      const PackedWeights weights = matrix(type, type, width, 52);
      const std::vector<float> x = normal(64 * width, 2);
      for (const int64_t columns : {1, 8, 11, 12, 13, 23, 24, 25, 36, 47, 48, 49, 61, 64})
        check_same(weights, x, columns);
    }
  }
}

TEST(amx_product_knows_rows_that_are_not_whole_blocks) {
  if (!has_lanes()) return;
  for (const int64_t width : {1, 17, 32, 33, 64, 65, 96, 500}) {
    const PackedWeights weights = matrix(GGML_TYPE_F16, GGML_TYPE_Q8_0, width, 20);
    check_same(weights, normal(37 * width, 3), 37);
  }
}

TEST(amx_product_ends_with_its_epilogue) {
  if (!has_lanes()) return;
  constexpr int64_t kRows = 96, kColumns = 39;
  const std::vector<float> bias = normal(kRows, 4);
  const std::vector<float> residual = normal(kColumns * kRows, 5);
  for (const ggml_type type : kTypes) {
    const PackedWeights weights = matrix(type, type, 512, kRows);
    const std::vector<float> x = normal(kColumns * 512, 6);
    for (const auto curve :
         {Epilogue::Curve::kNone, Epilogue::Curve::kGelu, Epilogue::Curve::kGatedSilu})
      check_same(weights, x, kColumns, {curve, bias.data(), residual.data()});
  }
}

// More columns than stay in the cache at once.
TEST(amx_product_takes_columns_in_parts) {
  if (!has_lanes()) return;
  const PackedWeights weights = matrix(GGML_TYPE_Q8_0, GGML_TYPE_Q8_0, 8192, 36);
  check_same(weights, normal(125 * 8192, 7), 125);
}

TEST(amx_product_of_a_column_does_not_depend_on_the_others) {
  if (!has_lanes()) return;
  constexpr int64_t kWidth = 512, kRows = 20, kAll = 50;
  for (const ggml_type type : kTypes) {
    const PackedWeights weights = matrix(type, type, kWidth, kRows);
    const std::vector<float> x = normal(kAll * kWidth, 8);
    const std::vector<float> all = product(kEmulatedProduct, weights, x, kAll);
    for (int64_t first = 0; first < kAll; first += 7) {
      for (const int64_t count : {1, 3, 12, 20, 24, 37}) {
        if (first + count > kAll) continue;
        const std::vector<float> own(x.begin() + first * kWidth,
                                     x.begin() + (first + count) * kWidth);
        const std::vector<float> some = product(kEmulatedProduct, weights, own, count);
        CHECK(std::memcmp(some.data(), all.data() + first * kRows, some.size() * sizeof(float)) ==
              0);
      }
    }
  }
}

TEST(amx_product_keeps_what_is_no_number) {
  if (!has_lanes()) return;
  constexpr int64_t kWidth = 256, kRows = 20, kColumns = 36;
  for (const float odd : {std::numeric_limits<float>::infinity(), NAN}) {
    for (const ggml_type type : kTypes) {
      const PackedWeights weights = matrix(type, type, kWidth, kRows);
      for (const int64_t place : {0, 17, 35}) {
        std::vector<float> x = normal(kColumns * kWidth, 9);
        x[static_cast<size_t>(place * kWidth + 40)] = odd;
        const std::vector<float> out = product(kEmulatedProduct, weights, x, kColumns);
        for (size_t i = 0; i < out.size(); ++i)
          CHECK_EQ(std::isfinite(out[i]), static_cast<int64_t>(i) / kRows != place);
      }
    }
  }
}

// Of all bytes that a file may have, and the columns' extremes.
TEST(amx_product_of_extreme_bytes_is_exact) {
  if (!has_lanes()) return;
  constexpr int64_t kWidth = 512, kRows = 20, kColumns = 37;
  std::vector<float> x(kColumns * kWidth);
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = i < x.size() / 3 ? -127.0f : i < x.size() / 2 ? 127.0f : i % 3 == 0 ? -127.0f : 126.0f;
  for (const ggml_type type : kTypes) {
    const size_t block = ggml_type_size(type);
    for (const uint8_t byte : {0x00, 0x0F, 0x7F, 0x80, 0xFF}) {
      std::vector<uint8_t> rows(ggml_row_size(type, kWidth) * kRows, byte);
      const ggml_fp16_t one = ggml_fp32_to_fp16(1.0f);
      for (size_t at = 0; at < rows.size(); at += block) {
        std::memcpy(&rows[at + (type == GGML_TYPE_Q6_K ? block - 2 : 0)], &one, 2);
        if (type == GGML_TYPE_Q4_K) std::memcpy(&rows[at + 2], &one, 2);
      }
      PackedWeights weights(type, type, kWidth, kRows);
      weights.pack(rows.data(), 0, weights.tiles());
      check_same(weights, x, kColumns);
    }
  }
}

TEST(amx_check_passes_what_is_right_alone) {
  if (!has_lanes()) return;
  CHECK(gives_same_products(kEmulatedProduct, kWholeProductAvx512Vnni));
  CHECK(!gives_same_products(kWrongProduct, kWholeProductAvx512Vnni));
  // Emulated tiles are hundreds of times slower than instructions.
  CHECK(!is_faster(kEmulatedProduct, kWholeProductAvx512Vnni));
  CHECK(is_faster(kWholeProductAvx512Vnni, kEmulatedProduct));
}

}  // namespace xgenmm
#endif
