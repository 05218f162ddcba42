#include "kernels/norm.h"

#include "kernels/cpu_features.h"
#include "kernels/norm_avx512.h"

namespace xgenmm {

bool has_normalize() {
  return cpu_has(CpuFeature::kAvx512);
}

#ifdef XGENMM_AVX512

void normalize(const Norm& norm, const float* x, int64_t rows, float* out) {
  normalize_avx512(norm, x, rows, out);
}

#else

void normalize(const Norm&, const float*, int64_t, float*) {}

#endif

}  // namespace xgenmm
