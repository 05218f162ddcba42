#include "quant/widening.h"

#include <algorithm>
#include <cstring>

#include "quant/float_bits.h"

namespace xgenmm {

namespace {

// Every loop here is over independent values without a branch, so that compilers vectorise it.

float widen_half(uint16_t half) {
  // Exponent and mantissa in a float's place.
  const uint32_t shifted = static_cast<uint32_t>(half & 0x7fff) << 13;
  const uint32_t exponent = shifted & (0x1fu << 23);
  // A subnormal gets the exponent of 2^-14 and with it an implicit one, which is subtracted again:
  // compilers give up on a loop that does so only where it has to be.
  const uint32_t one = exponent == 0 ? uint32_t{127 - 14} << 23 : 0;
  const uint32_t bias = exponent == 0 ? one : uint32_t{127 - 15} << 23;
  // Infinity and NaN keep the largest exponent.
  const uint32_t rest = exponent == (0x1fu << 23) ? uint32_t{128 - 16} << 23 : 0;
  const float magnitude = from_bits(shifted + bias + rest) - from_bits(one);
  return from_bits(to_bits(magnitude) | static_cast<uint32_t>(half & 0x8000) << 16);
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
