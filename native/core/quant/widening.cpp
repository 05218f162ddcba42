#include "quant/widening.h"

#include <algorithm>
#include <cstring>

namespace xgenmm {

namespace {

// Every loop here is over independent values without a branch, so that compilers vectorise it.

float from_bits(uint32_t bits) {
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

uint32_t to_bits(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return bits;
}

float widen_half(uint16_t half) {
  // Exponent and mantissa in a float's place; the bias is yet an f16's.
  const uint32_t shifted = static_cast<uint32_t>(half & 0x7fff) << 13;
  const uint32_t exponent = shifted & (0x1fu << 23);
  const uint32_t normal = shifted + (uint32_t{127 - 15} << 23);
  // With the exponent of 2^-14 and an implicit one too many, which the subtraction takes away.
  const float subnormal = from_bits(normal + (1u << 23)) - from_bits(uint32_t{127 - 14} << 23);
  // Infinity and NaN keep the largest exponent.
  const uint32_t finite = exponent == 0 ? to_bits(subnormal) : normal;
  const uint32_t magnitude =
      exponent == (0x1fu << 23) ? normal + (uint32_t{128 - 16} << 23) : finite;
  return from_bits(magnitude | static_cast<uint32_t>(half & 0x8000) << 16);
}

template <typename Convert>
void widen_halves(const uint8_t* source, int64_t count, float* out, Convert convert) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t half;
    std::memcpy(&half, source + 2 * i, sizeof(half));
    out[i] = convert(half);
  }
}

}  // namespace

void widen(ggml_type type, const uint8_t* source, int64_t count, float* out) {
  if (type == GGML_TYPE_F32) {
    std::memcpy(out, source, static_cast<size_t>(count) * sizeof(float));
  } else if (type == GGML_TYPE_F16) {
    widen_halves(source, count, out, widen_half);
  } else {
    widen_halves(source, count, out,
                 [](uint16_t half) { return from_bits(static_cast<uint32_t>(half) << 16); });
  }
}

int64_t find_magnitude(const float* values, int64_t count, uint32_t bits) {
  // Blocks, so that what comes before a hit is not looked at one by one.
  constexpr int64_t kBlock = 1024;
  for (int64_t start = 0; start < count; start += kBlock) {
    const int64_t end = std::min(start + kBlock, count);
    int32_t largest = 0;
    for (int64_t i = start; i < end; ++i) {
      largest = std::max(largest, static_cast<int32_t>(to_bits(values[i]) & 0x7fffffff));
    }
    if (static_cast<uint32_t>(largest) < bits) continue;
    for (int64_t i = start; i < end; ++i) {
      if ((to_bits(values[i]) & 0x7fffffff) >= bits) return i;
    }
  }
  return -1;
}

}  // namespace xgenmm
