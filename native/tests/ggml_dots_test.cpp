#include "kernels/ggml_dots.h"

#include <cmath>
#include <random>
#include <vector>

#include "harness.h"
#include "without.h"

namespace xgenmm {
namespace {

using test::kEachInstructionSet;
using test::Without;

constexpr int kWidth = 512;

std::vector<float> normal(unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(0.0f, 1.0f);
  std::vector<float> values(kWidth);
  for (float& value : values) value = distribution(random);
  return values;
}

float dot(ggml_vec_dot_t function, const std::vector<uint8_t>& weights,
          const std::vector<uint8_t>& column) {
  float sum = 0;
  function(kWidth, &sum, 0, weights.data(), 0, column.data(), 0, 1);
  return sum;
}

// Weights and columns in the type that the weights' product wants.
struct Operands {
  std::vector<uint8_t> weights;
  std::vector<float> column = normal(2);

  explicit Operands(ggml_type type) : weights(ggml_row_size(type, kWidth)) {
    const std::vector<float> importance(kWidth, 1.0f);
    ggml_quantize_chunk(type, normal(1).data(), weights.data(), 0, 1, kWidth, importance.data());
  }
  std::vector<uint8_t> rounded(const GgmlDots& dots, ggml_from_float_t round) const {
    std::vector<uint8_t> out(ggml_row_size(dots.columns, kWidth));
    round(column.data(), out.data(), kWidth);
    return out;
  }
};

bool has_dots(ggml_type type) {
  return ggml_is_quantized(type) && ggml_get_type_traits_cpu(type)->vec_dot != nullptr;
}

}  // namespace

TEST(ggml_dots_agree_with_ggml_itself_on_every_processor) {
  ggml_cpu_init();
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
      const auto type = static_cast<ggml_type>(i);
      if (!has_dots(type)) continue;
      const Operands operands(type);
      const GgmlDots dots(type);
      const ggml_type_traits_cpu* ggml = ggml_get_type_traits_cpu(type);
      CHECK_EQ(dots.columns, ggml->vec_dot_type);
      const auto ggml_round = ggml_get_type_traits_cpu(dots.columns)->from_float;
      const auto column = operands.rounded(dots, ggml_round);
      const float expected = dot(ggml->vec_dot, operands.weights, column);
      // A sum of 512 products of standard deviation 1 has one of 22.
      CHECK(std::isfinite(expected) && std::fabs(expected) > 0.01f);
      CHECK_NEAR(dot(dots.dot, operands.weights, column), expected, 1e-3);
      const auto own_column = operands.rounded(dots, dots.round);
      CHECK_NEAR(dot(dots.dot, operands.weights, own_column), expected, 0.1);
    }
  }
}

TEST(ggml_dots_are_those_of_the_processor) {
  const bool has_better = cpu_has(CpuFeature::kSse42) || cpu_has(CpuFeature::kDotProd);
  for (const ggml_type type : {GGML_TYPE_Q5_K, GGML_TYPE_Q4_0, GGML_TYPE_IQ4_NL}) {
    const auto ggml = ggml_get_type_traits_cpu(type)->vec_dot;
    CHECK_EQ(GgmlDots(type).dot != ggml, has_better);
    const Without without("sse42,dotprod");
    CHECK(GgmlDots(type).dot == ggml);
  }
}

}  // namespace xgenmm
