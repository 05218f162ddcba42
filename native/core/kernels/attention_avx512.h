#pragma once

#include "kernels/attention.h"

namespace xgenmm {

// As attend() of attention.h, in a file compiled for AVX-512.
void attend_avx512(const Attention& attention, int64_t first, int64_t last, float* scratch);

}  // namespace xgenmm
