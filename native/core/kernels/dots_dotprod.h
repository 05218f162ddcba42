#pragma once

// As dots_avx512vnni.h, for NEON with dot products of signed bytes, after lanes_neon.h.
#include <cstdint>

namespace xgenmm {
namespace {

// Four weights of four lanes. Those of 8 bits are made signed ones; those of fewer bits are the
// same either way.
template <int Bits>
class Dot {
 public:
  static constexpr bool kMakesSigned = Bits == 8;

  explicit Dot(uint8x16_t weights)
      : weights_(vreinterpretq_s8_u8(kMakesSigned ? veorq_u8(weights, vdupq_n_u8(128)) : weights)) {
  }
  int32x4_t add(int32x4_t sums, int8x16_t values) const {
    return vdotq_s32(sums, weights_, values);
  }

 private:
  int8x16_t weights_;
};

}  // namespace
}  // namespace xgenmm

#include "kernels/neon_dots.h"
