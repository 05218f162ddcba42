#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"

namespace xgenmm {

// Instruction sets for which ggml's searches are compiled.
enum class LaneSet { kSse2, kAvx2, kAvx512 };

// Those that this processor has, the widest first. None where the compiler may fuse ggml's
// multiplications and additions, so that its roundings cannot be met, or lacks the vector types.
const std::vector<LaneSet>& lane_sets();

// Whether quantize_lane_rows() knows `type`: the K-quants of 4 to 6 bits, IQ4_NL, and, with
// importance, Q4_0.
bool is_searched_in_lanes(ggml_type type, bool has_importance);

// As quantize_rows(), for such a type, with one of lane_sets().
void quantize_lane_rows(LaneSet set, ggml_type type, const float* rows, void* out, int64_t count,
                        int64_t row_length, const float* importance);

}  // namespace xgenmm
