#pragma once

// As dots_avx512vnni.h, for NEON with dot products of unsigned and signed bytes (which come with
// its products of matrices of bytes), after lanes_neon.h.
#include <cstdint>

namespace xgenmm {
namespace {

// Four weights of four lanes.
template <int Bits>
class Dot {
 public:
  static constexpr bool kMakesSigned = false;

  explicit Dot(uint8x16_t weights) : weights_(weights) {}
  int32x4_t add(int32x4_t sums, int8x16_t values) const {
    return vusdotq_s32(sums, weights_, values);
  }

 private:
  uint8x16_t weights_;
};

}  // namespace
}  // namespace xgenmm

#include "kernels/neon_dots.h"
