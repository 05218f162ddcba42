#pragma once

#include "kernels/norm.h"

namespace xgenmm {

// As normalize(), in a file compiled for AVX-512.
void normalize_avx512(const Norm& norm, const float* x, int64_t rows, float* out);

}  // namespace xgenmm
