#include "kernels/gelu.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace xgenmm {
namespace {

// Everything here is free of branches and of comparisons of floats, either of which would keep
// compilers from vectorising loops.

int32_t bits_of(float x) {
  int32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

float from_bits(int32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// `x` moved into -10 .. 10: without their sign, floats are ordered like their bits.
float clamp_to_ten(float x) {
  constexpr int32_t kMagnitude = 0x7FFFFFFF;
  constexpr int32_t kTen = 0x41200000;
  const int32_t bits = bits_of(x);
  return from_bits(std::min(bits & kMagnitude, kTen) | (bits & ~kMagnitude));
}

// 2^t for |t| <= 126.
float exp2_approx(float t) {
  // Adding 1.5 * 2^23 rounds t to an integer, which then is in the low bits of the sum.
  constexpr float kRound = 12582912.0f;
  const float shifted = t + kRound;
  const float r = t - (shifted - kRound);
  const float power = from_bits((bits_of(shifted) - bits_of(kRound) + 127) * (1 << 23));
  // Minimax polynomial of 2^r for |r| <= 0.5, relative error 2e-9.
  float p = 1.5345812e-4f;
  p = p * r + 1.33999312e-3f;
  p = p * r + 9.61848896e-3f;
  p = p * r + 5.55032878e-2f;
  p = p * r + 0.240226469f;
  p = p * r + 0.693147206f;
  return power * (p * r + 1.0f);
}

}  // namespace

// 0.5 (1 + tanh u) = 1 / (1 + exp(-2u))
void gelu_tanh(float* x, size_t n) {
  constexpr float kLinear = -2.302208198f;  // -2 sqrt(2/pi) log2(e)
  constexpr float kCubic = -0.1029432396f;  // 0.044715 of it
  for (size_t i = 0; i < n; ++i) {
    const float c = clamp_to_ten(x[i]);
    x[i] /= 1.0f + exp2_approx(c * (kLinear + kCubic * (c * c)));
  }
}

void gelu_erf(const float* x, size_t n, float* out) {
  constexpr float kInverseRoot2 = 0.707106781f;
  for (size_t i = 0; i < n; ++i) out[i] = 0.5f * x[i] * (1.0f + std::erf(x[i] * kInverseRoot2));
}

}  // namespace xgenmm
