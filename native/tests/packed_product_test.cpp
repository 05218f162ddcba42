#include "kernels/packed_product.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "harness.h"
#include "without.h"

namespace xgenmm {
namespace {

using test::fuses_products;
using test::kEachInstructionSet;
using test::Without;

// The types that weights are stored and packed in.
struct Kind {
  ggml_type stored, packed;
};

// Those that this processor has kernels for.
std::vector<Kind> kinds() {
  std::vector<Kind> out;
  for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_BF16,
                               GGML_TYPE_F16, GGML_TYPE_F32}) {
    if (has_packed_product(type)) out.push_back({type, type});
  }
  if (has_packed_product(GGML_TYPE_Q8_0)) out.push_back({GGML_TYPE_F16, GGML_TYPE_Q8_0});
  return out;
}

// Calls check(kind) for each instruction set and all its kinds.
template <typename Check>
void each_kind(Check&& check) {
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    for (const Kind& kind : kinds()) check(kind);
  }
}
// Not a whole number of tiles.
constexpr int64_t kRows = 100;
constexpr double kPi = 3.14159265358979323846;

// Not whole blocks where the type has none.
int64_t width_of(ggml_type type) {
  return ggml_blck_size(type) == 1 ? 500 : 512;
}

std::vector<float> normal(int64_t count, float deviation, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.0f, deviation);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = distribution(random);
  return values;
}

// A weight matrix as it is stored and as it is packed.
struct Matrix {
  Kind kind;
  int64_t width, rows;
  std::vector<uint8_t> stored;
  PackedWeights packed;

  explicit Matrix(const Kind& kind, int64_t rows = kRows)
      : kind(kind),
        width(width_of(kind.stored)),
        rows(rows),
        stored(ggml_row_size(kind.stored, width) * static_cast<size_t>(rows)),
        packed(kind.stored, kind.packed, width, rows) {
    const std::vector<float> weights = normal(rows * width, 0.05f, 1);
    if (kind.stored == GGML_TYPE_F32) {
      std::memcpy(stored.data(), weights.data(), stored.size());
    } else {
      ggml_quantize_chunk(kind.stored, weights.data(), stored.data(), 0, rows, width, nullptr);
    }
    pack();
  }

  void pack() {
    packed.pack(stored.data(), 0, 3);
    packed.pack(stored.data(), 3, packed.tiles());
  }

  // What the packed weights stand for.
  std::vector<float> values() const {
    std::vector<float> out(static_cast<size_t>(rows * width));
    if (kind.stored == GGML_TYPE_F32) {
      std::memcpy(out.data(), stored.data(), stored.size());
      return out;
    }
    const auto to_float = ggml_get_type_traits(kind.stored)->to_float;
    to_float(stored.data(), out.data(), static_cast<int64_t>(out.size()));
    if (kind.packed == kind.stored) return out;
    for (int64_t r = 0; r < rows; ++r) {
      std::vector<float> row(static_cast<size_t>(blocks_in(width) * kBlock));
      std::copy_n(out.data() + r * width, width, row.data());
      const int64_t length = static_cast<int64_t>(row.size());
      std::vector<uint8_t> rounded(ggml_row_size(GGML_TYPE_Q8_0, length));
      ggml_quantize_chunk(GGML_TYPE_Q8_0, row.data(), rounded.data(), 0, 1, length, nullptr);
      ggml_get_type_traits(GGML_TYPE_Q8_0)->to_float(rounded.data(), row.data(), length);
      std::copy_n(row.data(), width, out.data() + r * width);
    }
    return out;
  }
};

// In two parts each, as threads would.
std::vector<float> product(const PackedWeights& weights, const std::vector<float>& x,
                           int64_t columns, const Epilogue& epilogue = {}) {
  const PanelShape& shape = weights.panel_shape();
  // Nothing need be aligned beyond its values.
  std::vector<uint8_t> memory(shape.bytes_per_column() * static_cast<size_t>(columns) + 4);
  uint8_t* panels = memory.data() + 4;
  const int64_t border = columns / 2 / kPanelColumns * kPanelColumns;
  pack_columns(shape, x.data(), weights.width(), columns, 0, border, panels);
  pack_columns(shape, x.data(), weights.width(), columns, border, columns, panels);
  const int64_t rows = epilogue.rows(weights.rows());
  std::vector<float> out(static_cast<size_t>(columns * rows), NAN);
  const int64_t tiles = (rows + kTileRows - 1) / kTileRows;
  packed_product(weights, panels, columns, epilogue, 0, tiles / 2, out.data());
  packed_product(weights, panels, columns, epilogue, tiles / 2, tiles, out.data());
  return out;
}

// What the kernels are to compute with: f32, bf16 or 8 bits, as many values with one scale as ggml
// takes.
std::vector<double> rounded(const PanelShape& shape, const float* x) {
  const ggml_type type = shape.columns;
  const int64_t width = shape.width;
  std::vector<double> values(static_cast<size_t>(width));
  if (type == GGML_TYPE_F32) return {x, x + width};
  if (type == GGML_TYPE_BF16) {
    for (int64_t i = 0; i < width; ++i)
      values[static_cast<size_t>(i)] =
          static_cast<double>(ggml_bf16_to_fp32(ggml_fp32_to_bf16(x[i])));
    return values;
  }
  const int64_t together = shape.weights == GGML_TYPE_Q8_0 ? 32 : 256;
  for (int64_t b = 0; b < width; b += together) {
    const int64_t end = std::min(b + together, width);
    float largest = 0;
    for (int64_t i = b; i < end; ++i) largest = std::max(largest, std::abs(x[i]));
    for (int64_t i = b; i < end; ++i)
      values[static_cast<size_t>(i)] =
          std::nearbyint(x[i] * (127.0f / largest)) * (largest / 127.0f);
  }
  return values;
}

// [columns, rows]
std::vector<double> sums(const Matrix& matrix, const std::vector<float>& x, int64_t columns,
                         const float* bias) {
  const std::vector<float> weights = matrix.values();
  std::vector<double> out;
  for (int64_t c = 0; c < columns; ++c) {
    const std::vector<double> column =
        rounded(matrix.packed.panel_shape(), x.data() + c * matrix.width);
    for (int64_t r = 0; r < matrix.rows; ++r) {
      double sum = bias == nullptr ? 0.0 : bias[r];
      for (int64_t i = 0; i < matrix.width; ++i)
        sum += static_cast<double>(weights[static_cast<size_t>(r * matrix.width + i)]) *
               column[static_cast<size_t>(i)];
      out.push_back(sum);
    }
  }
  return out;
}

void check_near(const std::vector<float>& values, const std::vector<double>& wanted) {
  CHECK_EQ(values.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); ++i) CHECK_NEAR(values[i], wanted[i], 1e-5);
}

}  // namespace

TEST(packed_product_equals_the_sums_of_rounded_columns) {
  constexpr int64_t kColumns = 31;
  each_kind([&](const Kind& kind) {
    const Matrix matrix(kind);
    const std::vector<float> x = normal(kColumns * matrix.width, 1.0f, 2);
    check_near(product(matrix.packed, x, kColumns), sums(matrix, x, kColumns, nullptr));
  });
}

TEST(packed_product_ends_with_its_epilogue) {
  constexpr int64_t kColumns = 14;
  const std::vector<float> bias = normal(kRows, 3.0f, 3);
  const std::vector<float> residual = normal(kColumns * kRows, 1.0f, 4);
  each_kind([&](const Kind& kind) {
    const Matrix matrix(kind);
    const std::vector<float> x = normal(kColumns * matrix.width, 1.0f, 2);
    std::vector<double> wanted = sums(matrix, x, kColumns, bias.data());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const double y = wanted[i];
      wanted[i] = 0.5 * y * (1 + std::tanh(std::sqrt(2 / kPi) * (y + 0.044715 * y * y * y))) +
                  static_cast<double>(residual[i]);
    }
    check_near(
        product(matrix.packed, x, kColumns, {Epilogue::Curve::kGelu, bias.data(), residual.data()}),
        wanted);
  });
}

TEST(packed_product_gates_the_second_half_of_its_rows_by_the_first) {
  constexpr int64_t kColumns = 14;
  constexpr int64_t kHalf = 3 * kTileRows;
  each_kind([&](const Kind& kind) {
    const Matrix matrix(kind, 2 * kHalf);
    const std::vector<float> x = normal(kColumns * matrix.width, 1.0f, 2);
    const std::vector<double> y = sums(matrix, x, kColumns, nullptr);
    std::vector<double> wanted;
    for (int64_t c = 0; c < kColumns; ++c) {
      for (int64_t r = 0; r < kHalf; ++r) {
        const double gate = y[static_cast<size_t>(2 * c * kHalf + r)];
        wanted.push_back(gate / (1 + std::exp(-gate)) *
                         y[static_cast<size_t>((2 * c + 1) * kHalf + r)]);
      }
    }
    check_near(product(matrix.packed, x, kColumns, {Epilogue::Curve::kGatedSilu}), wanted);
  });
}

TEST(packed_product_of_a_column_does_not_depend_on_the_others) {
  each_kind([&](const Kind& kind) {
    const Matrix matrix(kind);
    const int64_t width = matrix.width;
    const std::vector<float> x = normal(64 * width, 1.0f, 4);
    const std::vector<float> all = product(matrix.packed, x, 64);
    for (int64_t first = 0; first < 64; first += 7) {
      for (const int64_t count : {1, 2, 3, 5, 8, 12, 13, 20}) {
        if (first + count > 64) continue;
        const std::vector<float> own(x.begin() + first * width,
                                     x.begin() + (first + count) * width);
        const std::vector<float> some = product(matrix.packed, own, count);
        CHECK(std::memcmp(some.data(), all.data() + first * kRows, some.size() * sizeof(float)) ==
              0);
      }
    }
  });
}

TEST(packed_product_keeps_what_is_no_number) {
  for (const float odd : {std::numeric_limits<float>::infinity(), NAN}) {
    each_kind([&](const Kind& kind) {
      const Matrix matrix(kind);
      std::vector<float> x = normal(2 * matrix.width, 1.0f, 5);
      x[40] = odd;
      for (const auto curve : {Epilogue::Curve::kNone, Epilogue::Curve::kGelu}) {
        const std::vector<float> out = product(matrix.packed, x, 2, {curve});
        CHECK(!std::isfinite(out[0]));
        CHECK(std::isfinite(out[kRows]));
      }
    });
  }
}

// One over the largest value would not be finite.
TEST(packed_product_rounds_next_to_nothing_to_nothing) {
  each_kind([&](const Kind& kind) {
    if (!ggml_is_quantized(kind.packed)) return;
    const Matrix matrix(kind);
    std::vector<float> x(static_cast<size_t>(matrix.width));
    for (size_t i = 0; i < x.size(); i += 2) x[i] = 1e-37f;
    for (const float y : product(matrix.packed, x, 1)) CHECK_EQ(y, 0.0f);
  });
}

TEST(packed_weights_keep_what_is_no_number) {
  constexpr int64_t kShort = 40;
  each_kind([&](const Kind& kind) {
    if (kind.stored != GGML_TYPE_F16) return;
    for (const float odd : {std::numeric_limits<float>::infinity(), NAN}) {
      std::vector<ggml_fp16_t> rows(2 * kShort, ggml_fp32_to_fp16(127.0f));
      rows[3] = ggml_fp32_to_fp16(odd);
      PackedWeights weights(GGML_TYPE_F16, kind.packed, kShort, 2);
      weights.pack(rows.data(), 0, 1);
      const std::vector<float> out = product(weights, std::vector<float>(kShort, 1.0f), 1);
      CHECK(!std::isfinite(out[0]));
      CHECK_NEAR(out[1], 40.0 * 127.0, 1e-2);
    }
  });
}

// No quantiser writes -128, but a file may have it, and columns reach -127 and 127: where sums of
// products are narrow these are the largest.
TEST(packed_product_of_extreme_bytes_is_exact) {
  each_kind([&](const Kind& kind) {
    if (kind.stored != kind.packed || !ggml_is_quantized(kind.stored)) return;
    for (const uint8_t byte : {0x00, 0x0F, 0x7F, 0x80, 0xFF}) {
      Matrix matrix(kind);
      const size_t row = matrix.stored.size() / static_cast<size_t>(matrix.rows);
      const ggml_fp16_t one = ggml_fp32_to_fp16(1.0f);
      for (size_t block = 0; block < matrix.stored.size(); block += ggml_type_size(kind.stored)) {
        uint8_t* at = matrix.stored.data() + block;
        std::memset(at, byte, ggml_type_size(kind.stored));
        // Scales of one: of Q6_K the last two bytes, else the first.
        const size_t scale = kind.stored == GGML_TYPE_Q6_K ? ggml_type_size(kind.stored) - 2 : 0;
        std::memcpy(at + scale, &one, 2);
        if (kind.stored == GGML_TYPE_Q4_K) std::memset(at + 2, 0, 2);
        // Odd rows the other way round.
        if (block / row % 2 == 1 && kind.stored == GGML_TYPE_Q8_0)
          for (int i = 0; i < kBlock; ++i) at[2 + i] ^= static_cast<uint8_t>(i % 2 * 0xFF);
      }
      matrix.pack();
      std::vector<float> x(static_cast<size_t>(13 * matrix.width));
      for (size_t i = 0; i < x.size(); ++i)
        x[i] = i < x.size() / 3   ? -127.0f
               : i < x.size() / 2 ? 127.0f
               : i % 3 == 0       ? -127.0f
                                  : 126.0f;
      const std::vector<double> wanted = sums(matrix, x, 13, nullptr);
      const std::vector<float> out = product(matrix.packed, x, 13);
      for (size_t i = 0; i < out.size(); ++i)
        CHECK_NEAR(out[i], wanted[i], 1e-6 * (1.0 + std::abs(wanted[i])));
    }
  });
}

TEST(packed_product_gives_the_same_sums_in_each_instruction_set) {
  const bool fuses = fuses_products();
  std::vector<std::vector<float>> first;
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    size_t index = 0;
    for (const ggml_type type :
         {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_F16, GGML_TYPE_F32}) {
      if (!has_packed_product(type)) return;
      const Matrix matrix({type, type});
      const std::vector<float> out = product(matrix.packed, normal(13 * matrix.width, 1.0f, 6), 13);
      if (index == first.size()) first.push_back(out);
      for (size_t i = 0; i < out.size(); ++i) {
        if (fuses == fuses_products()) {
          CHECK_EQ(out[i], first[index][i]);
        } else {
          CHECK_NEAR(out[i], first[index][i], 1e-5);
        }
      }
      ++index;
    }
  }
}

TEST(packed_product_reads_every_number_in_f16) {
  constexpr unsigned kHalves = 1 << 16;
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    if (!has_packed_product(GGML_TYPE_F16)) continue;
    // In order, and with what lies far apart in one vector; an odd factor leaves none out.
    for (const unsigned factor : {1u, 40503u}) {
      std::vector<ggml_fp16_t> halves;
      for (unsigned i = 0; i < kHalves; ++i) halves.push_back(static_cast<ggml_fp16_t>(i * factor));
      PackedWeights weights(GGML_TYPE_F16, GGML_TYPE_F16, 1, kHalves);
      weights.pack(halves.data(), 0, weights.tiles());
      const std::vector<float> out = product(weights, {1.0f}, 1);
      for (size_t i = 0; i < out.size(); ++i) {
        const float wanted = ggml_fp16_to_fp32(halves[i]);
        CHECK(out[i] == wanted || (std::isnan(out[i]) && std::isnan(wanted)));
      }
    }
  }
}

#if defined(__x86_64__) && !defined(_WIN32)
TEST(packed_product_needs_no_more_than_sse42) {
  if (!__builtin_cpu_supports("sse4.2")) return;
  for (const ggml_type type : {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K, GGML_TYPE_Q6_K, GGML_TYPE_BF16,
                               GGML_TYPE_F16, GGML_TYPE_F32}) {
    {
      const Without without("avx2");
      CHECK(has_packed_product(type));
    }
    const Without without("sse42");
    CHECK(!has_packed_product(type));
  }
}
#endif

TEST(packed_product_of_zeros_is_zero) {
  each_kind([&](const Kind& kind) {
    const Matrix matrix(kind);
    const std::vector<float> x(static_cast<size_t>(matrix.width));
    for (const float value : product(matrix.packed, x, 1)) CHECK_EQ(value, 0.0f);
  });
}

}  // namespace xgenmm
