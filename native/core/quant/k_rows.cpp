#include "quant/k_rows.h"

#include "quant/k_kernels.h"

namespace xgenmm {
namespace {

std::vector<LaneSet> find_lane_sets() {
  std::vector<LaneSet> sets;
#ifdef XGENMM_K_LANES
  // As in CMakeLists.txt.
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

bool is_searched_in_lanes(ggml_type type) {
  return type == GGML_TYPE_Q4_K || type == GGML_TYPE_Q5_K || type == GGML_TYPE_Q6_K;
}

void quantize_k_rows(LaneSet set, ggml_type type, const float* rows, void* out, int64_t count,
                     int64_t row_length, const float* importance) {
#ifdef XGENMM_K_LANES
  const int64_t row_blocks = row_length / kSuperBlock;
  const KBlocks blocks = {type,       rows,      static_cast<uint8_t*>(out), count * row_blocks,
                          row_blocks, importance};
  switch (set) {
    case LaneSet::kSse2:
      return quantize_k_blocks_sse2(blocks);
    case LaneSet::kAvx2:
      return quantize_k_blocks_avx2(blocks);
    case LaneSet::kAvx512:
      return quantize_k_blocks_avx512(blocks);
  }
#else
  static_cast<void>(set);
  ggml_quantize_chunk(type, rows, out, 0, count, row_length, importance);
#endif
}

}  // namespace xgenmm
