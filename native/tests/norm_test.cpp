#include "kernels/norm.h"

#include <cmath>
#include <random>
#include <vector>

#include "harness.h"
#include "without.h"

namespace xgenmm {
namespace {

using test::fuses_products;
using test::kEachInstructionSet;
using test::Without;

std::vector<float> normal(int64_t count, float mean, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> distribution(mean, 1.0f);
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) value = distribution(random);
  return values;
}

}  // namespace

TEST(normalize_is_layer_norm_with_a_bias_and_rms_norm_without) {
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    constexpr int64_t kRows = 3;
    constexpr double kEpsilon = 1e-5;
    for (const int64_t width : {1, 15, 16, 17, 100, 3072}) {
      // A mean that is large beside the deviation is what costs digits.
      const std::vector<float> x = normal(kRows * width, 30.0f, 1);
      const std::vector<float> weight = normal(width, 1.0f, 2);
      const std::vector<float> bias = normal(width, 0.0f, 3);
      for (const float* own_bias : {bias.data(), static_cast<const float*>(nullptr)}) {
        std::vector<float> out(x.size(), NAN);
        normalize({width, weight.data(), own_bias, static_cast<float>(kEpsilon)}, x.data(), kRows,
                  out.data());
        std::vector<float> in_place = x;
        normalize({width, weight.data(), own_bias, static_cast<float>(kEpsilon)}, in_place.data(),
                  kRows, in_place.data());
        CHECK(in_place == out);
        for (int64_t row = 0; row < kRows; ++row) {
          const float* values = x.data() + row * width;
          double mean = 0;
          for (int64_t i = 0; own_bias != nullptr && i < width; ++i)
            mean += static_cast<double>(values[i]) / static_cast<double>(width);
          double variance = 0;
          for (int64_t i = 0; i < width; ++i)
            variance += std::pow(values[i] - mean, 2) / static_cast<double>(width);
          for (int64_t i = 0; i < width; ++i) {
            const double y = (values[i] - mean) / std::sqrt(variance + kEpsilon) *
                                 static_cast<double>(weight[static_cast<size_t>(i)]) +
                             (own_bias == nullptr ? 0.0 : static_cast<double>(own_bias[i]));
            CHECK_NEAR(out[static_cast<size_t>(row * width + i)], y, 2e-5);
          }
        }
      }
    }
  }
}

TEST(normalize_gives_the_same_in_each_instruction_set) {
  constexpr int64_t kWidth = 1000;
  const std::vector<float> x = normal(kWidth, 1.0f, 4), weight = normal(kWidth, 1.0f, 5);
  const std::vector<float> bias = normal(kWidth, 0.0f, 6);
  std::vector<float> first[2];
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    std::vector<float> out(x.size());
    normalize({kWidth, weight.data(), bias.data(), 1e-5f}, x.data(), 1, out.data());
    std::vector<float>& wanted = first[fuses_products()];
    if (wanted.empty()) wanted = out;
    CHECK(out == wanted);
  }
}

}  // namespace xgenmm
