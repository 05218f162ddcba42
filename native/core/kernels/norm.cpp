#include "kernels/norm.h"

#include "kernels/cpu_features.h"
#include "kernels/norm_kernels.h"

namespace xgenmm {
namespace {

using Normalize = void (*)(const Norm&, const float*, int64_t, float*);

Normalize find_normalize() {
#ifdef XGENMM_AVX512
  if (cpu_has(CpuFeature::kAvx512)) return normalize_avx512;
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) return normalize_avx2;
#endif
#ifdef XGENMM_SSE42
  if (cpu_has(CpuFeature::kSse42)) return normalize_sse42;
#endif
#ifdef XGENMM_NEON
  if (cpu_has(CpuFeature::kNeon)) return normalize_neon;
#endif
  return normalize_plain;
}

}  // namespace

void normalize(const Norm& norm, const float* x, int64_t rows, float* out) {
  find_normalize()(norm, x, rows, out);
}

}  // namespace xgenmm
