#pragma once

// As dots_avx512vnni.h, for NEON without dot products, after lanes_neon.h: products of bytes are
// added up in 16 bits, where no sum may be cut. What fits there differs between widths of weights.
#include <cstdint>

#include "kernels/unroll.h"

namespace xgenmm {
namespace {

template <int Bits>
constexpr int kDotColumns = Bits == 8 ? 2 : 3;

// Sums of sixteen bytes' products: of four lanes, the first two of which are in `low`.
struct ShortSums {
  int16x8_t low, high;

  void add(int8x16_t weights, int8x16_t values) {
    low = vmlal_s8(low, vget_low_s8(weights), vget_low_s8(values));
    high = vmlal_high_s8(high, weights, values);
  }
};

inline int8x16_t spread_four(int32_t four) {
  return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

// All of a block or of half a block: 8 * 15 * 127 and 4 * 63 * 127 < 2^15.
template <int Bits, int C>
class Dots {
 public:
  Dots() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) clear(c, 0);
  }
  explicit Dots(const int32_t* corrections) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) clear(c, corrections[c]);
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(weights, values);
    add(more_weights, more_values);
  }

  Floats sum(int column) const {
    const auto whole = [&](const ShortSums& s) {
      const int32x4_t four = vpaddq_s32(vpaddlq_s16(s.low), vpaddlq_s16(s.high));
      return vcvtq_f32_s32(vaddq_s32(four, vdupq_n_s32(corrections_[column])));
    };
    return {whole(a_[column]), whole(b_[column]), whole(c_[column]), whole(d_[column])};
  }

 private:
  void clear(int column, int32_t correction) {
    const int16x8_t none = vdupq_n_s16(0);
    a_[column] = b_[column] = c_[column] = d_[column] = {none, none};
    corrections_[column] = correction;
  }

  void add(Bytes weights, const int32_t* values) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const int8x16_t four = spread_four(values[c]);
      a_[c].add(vreinterpretq_s8_u8(weights.a), four);
      b_[c].add(vreinterpretq_s8_u8(weights.b), four);
      c_[c].add(vreinterpretq_s8_u8(weights.c), four);
      d_[c].add(vreinterpretq_s8_u8(weights.d), four);
    }
  }

  ShortSums a_[C], b_[C], c_[C], d_[C];
  int32_t corrections_[C];
};

// Two groups, if the weights are signed ones: 2 * 128 * 127 < 2^15.
template <int C>
class Dots<8, C> {
 public:
  // The weights need none.
  explicit Dots(const int32_t*) {
    const int32x4_t none = vdupq_n_s32(0);
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) a_[c] = b_[c] = c_[c] = d_[c] = {none, none};
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(a_, weights.a, values, more_weights.a, more_values);
    add(b_, weights.b, values, more_weights.b, more_values);
    add(c_, weights.c, values, more_weights.c, more_values);
    add(d_, weights.d, values, more_weights.d, more_values);
  }

  Floats sum(int column) const {
    const auto whole = [](const Sums& s) { return vcvtq_f32_s32(vpaddq_s32(s.low, s.high)); };
    return {whole(a_[column]), whole(b_[column]), whole(c_[column]), whole(d_[column])};
  }

 private:
  // Of four lanes, two sums each.
  struct Sums {
    int32x4_t low, high;
  };

  static int8x16_t to_signed(uint8x16_t weights) {
    return vreinterpretq_s8_u8(veorq_u8(weights, vdupq_n_u8(128)));
  }

  static void add(Sums (&sums)[C], uint8x16_t weights, const int32_t* values,
                  uint8x16_t more_weights, const int32_t* more_values) {
    const int8x16_t w = to_signed(weights), v = to_signed(more_weights);
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) {
      const int8x16_t four = spread_four(values[c]);
      ShortSums both{vmull_s8(vget_low_s8(w), vget_low_s8(four)), vmull_high_s8(w, four)};
      both.add(v, spread_four(more_values[c]));
      sums[c] = {vpadalq_s16(sums[c].low, both.low), vpadalq_s16(sums[c].high, both.high)};
    }
  }

  Sums a_[C], b_[C], c_[C], d_[C];
};

}  // namespace
}  // namespace xgenmm
