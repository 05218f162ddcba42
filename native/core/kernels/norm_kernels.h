#pragma once

#include "kernels/norm.h"

namespace xgenmm {

// As normalize(), one for each instruction set, in a file compiled for it.
void normalize_plain(const Norm& norm, const float* x, int64_t rows, float* out);
void normalize_sse42(const Norm& norm, const float* x, int64_t rows, float* out);
void normalize_avx2(const Norm& norm, const float* x, int64_t rows, float* out);
void normalize_avx512(const Norm& norm, const float* x, int64_t rows, float* out);
void normalize_neon(const Norm& norm, const float* x, int64_t rows, float* out);

}  // namespace xgenmm
