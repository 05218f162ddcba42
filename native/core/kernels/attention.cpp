#include "kernels/attention.h"

#include "kernels/attention_kernels.h"
#include "kernels/cpu_features.h"

namespace xgenmm {
namespace {

using Attend = void (*)(const Attention&, int64_t, int64_t, float*);

Attend find_attend() {
#ifdef XGENMM_AVX512
  if (cpu_has(CpuFeature::kAvx512)) return attend_avx512;
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) return attend_avx2;
#endif
#ifdef XGENMM_SSE42
  if (cpu_has(CpuFeature::kSse42)) return attend_sse42;
#endif
#ifdef XGENMM_NEON
  if (cpu_has(CpuFeature::kNeon)) return attend_neon;
#endif
  return attend_plain;
}

}  // namespace

int64_t Attention::units() const {
  return heads * batches;
}

size_t Attention::scratch_size() const {
  // Keys and values in whole vectors of 16, the scores of eight queries, two flags per 16 keys.
  const size_t keys = static_cast<size_t>((key_count + 15) / 16 * 16);
  const size_t width = static_cast<size_t>((head_size + 15) / 16 * 16);
  return keys * (2 * width + 8 + 1);
}

void attend(const Attention& attention, int64_t first, int64_t last, float* scratch) {
  find_attend()(attention, first, last, scratch);
}

}  // namespace xgenmm
