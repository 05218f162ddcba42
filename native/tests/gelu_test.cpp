#include "kernels/gelu.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "harness.h"

namespace xgenmm {
namespace {

// The tanh formula in double, written so that nothing cancels for negative x.
double exact_gelu(double x) {
  const double kSqrtTwoOverPi = 0.79788456080286535588;
  return x / (1.0 + std::exp(-2.0 * kSqrtTwoOverPi * (x + 0.044715 * x * x * x)));
}

// The largest relative error over [from, to].
double largest_error(double from, double to) {
  constexpr int kSteps = 200000;
  std::vector<float> x(kSteps + 1);
  for (int i = 0; i <= kSteps; ++i) x[i] = static_cast<float>(from + (to - from) * i / kSteps);
  std::vector<float> y = x;
  gelu_tanh(y.data(), y.size());
  double largest = 0.0;
  for (int i = 0; i <= kSteps; ++i) {
    const double exact = exact_gelu(x[i]);
    if (exact != 0.0) largest = std::max(largest, std::abs(y[i] / exact - 1.0));
  }
  return largest;
}

float gelu_of(float x) {
  gelu_tanh(&x, 1);
  return x;
}

}  // namespace

TEST(gelu_matches_the_tanh_formula) {
  CHECK_NEAR(largest_error(-4.0, 12.0), 0.0, 1e-6);
  CHECK_NEAR(largest_error(-10.0, -4.0), 0.0, 1e-5);
  CHECK_NEAR(largest_error(-1e-3, 1e-3), 0.0, 2e-7);
  CHECK_NEAR(largest_error(12.0, 1e30), 0.0, 1e-7);
}

TEST(gelu_of_special_values) {
  CHECK_EQ(gelu_of(0.0f), 0.0f);
  CHECK_NEAR(gelu_of(-20.0f), 0.0, 1e-36);
  CHECK_NEAR(gelu_of(-1e6f), 0.0, 1e-31);
  CHECK_EQ(gelu_of(std::numeric_limits<float>::infinity()), std::numeric_limits<float>::infinity());
  CHECK(std::isnan(gelu_of(std::numeric_limits<float>::quiet_NaN())));
}

TEST(gelu_does_not_depend_on_the_place) {
  std::vector<float> x;
  for (int i = 0; i < 1003; ++i) x.push_back(-6.0f + 0.012f * static_cast<float>(i));
  std::vector<float> y = x;
  gelu_tanh(y.data(), y.size());
  for (size_t i = 0; i < x.size(); ++i) CHECK_EQ(y[i], gelu_of(x[i]));
}

}  // namespace xgenmm
