#include "kernels/cached_attention.h"

#include "kernels/cached_attention_kernels.h"
#include "kernels/cpu_features.h"

namespace xgenmm {

size_t CachedAttention::scratch_bytes() const {
  // The scores of at most eight queries, and at most 32 bytes for each block.
  const auto rows = static_cast<size_t>(cache.rows);
  return rows * 8 * sizeof(float) + rows / static_cast<size_t>(KvRows::kBlockRows) * 32;
}

void attend_cached(const CachedAttention& attention, int64_t first, int64_t last,
                   uint8_t* scratch) {
  auto* attend = attend_cached_plain;
#ifdef XGENMM_SSE42
  if (cpu_has(CpuFeature::kSse42)) attend = attend_cached_sse42;
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) attend = attend_cached_avx2;
#endif
#ifdef XGENMM_AVX512
  if (cpu_has(CpuFeature::kAvx512)) attend = attend_cached_avx512;
#endif
#ifdef XGENMM_NEON
  if (cpu_has(CpuFeature::kNeon)) attend = attend_cached_neon;
#endif
  attend(attention, first, last, scratch);
}

}  // namespace xgenmm
