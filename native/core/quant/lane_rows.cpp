#include "quant/lane_rows.h"

#include "quant/lane_kernels.h"

namespace xgenmm {
namespace {

std::vector<LaneSet> find_lane_sets() {
  std::vector<LaneSet> sets;
#ifdef XGENMM_LANES
  // As in native/cmake/lanes.cmake.
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    sets.push_back(LaneSet::kAvx512);
  }
  if (__builtin_cpu_supports("avx2")) sets.push_back(LaneSet::kAvx2);
  sets.push_back(LaneSet::kSse2);
#endif
  return sets;
}

}  // namespace

const std::vector<LaneSet>& lane_sets() {
  static const std::vector<LaneSet> sets = find_lane_sets();
  return sets;
}

bool is_searched_in_lanes(ggml_type type, bool has_importance) {
  switch (type) {
    case GGML_TYPE_Q4_K:
    case GGML_TYPE_Q5_K:
    case GGML_TYPE_Q6_K:
    case GGML_TYPE_IQ4_NL:
      return true;
    default:
      return type == GGML_TYPE_Q4_0 && has_importance;
  }
}

void quantize_lane_rows(LaneSet set, ggml_type type, const float* rows, void* out, int64_t count,
                        int64_t row_length, const float* importance) {
#ifdef XGENMM_LANES
  const LaneRows work = {type, rows, static_cast<uint8_t*>(out), count, row_length, importance};
  switch (set) {
    case LaneSet::kSse2:
      return quantize_in_sse2(work);
    case LaneSet::kAvx2:
      return quantize_in_avx2(work);
    case LaneSet::kAvx512:
      return quantize_in_avx512(work);
  }
#else
  static_cast<void>(set);
  ggml_quantize_chunk(type, rows, out, 0, count, row_length, importance);
#endif
}

}  // namespace xgenmm
