#pragma once

// The Dots of NEON's instructions that multiply groups of four bytes, after a Dot that has one.
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// With their sums these take half of the registers.
template <int Bits>
constexpr int kDotColumns = 4;

template <int Bits, int C>
class Dots {
 public:
  Dots() {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums_[c] = all(0);
  }
  explicit Dots(const int32_t* corrections) {
    XGENMM_UNROLL
    for (int c = 0; c < C; ++c) sums_[c] = all(Dot<Bits>::kMakesSigned ? 0 : corrections[c]);
  }

  void add(Bytes weights, const int32_t* values, Bytes more_weights, const int32_t* more_values) {
    add(weights, values);
    add(more_weights, more_values);
  }

  Floats sum(int column) const {
    const Sums& s = sums_[column];
    return {vcvtq_f32_s32(s.a), vcvtq_f32_s32(s.b), vcvtq_f32_s32(s.c), vcvtq_f32_s32(s.d)};
  }

 private:
  struct Sums {
    int32x4_t a, b, c, d;
  };

  static Sums all(int32_t x) {
    const int32x4_t four = vdupq_n_s32(x);
    return {four, four, four, four};
  }

  void add(Bytes weights, const int32_t* values) {
    const Dot<Bits> a(weights.a), b(weights.b), c(weights.c), d(weights.d);
    XGENMM_UNROLL
    for (int i = 0; i < C; ++i) {
      const int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(values[i]));
      Sums& s = sums_[i];
      s = {a.add(s.a, four), b.add(s.b, four), c.add(s.c, four), d.add(s.d, four)};
    }
  }

  Sums sums_[C];
};

}  // namespace
}  // namespace xgenmm
