#pragma once

#include <cstdint>
#include <vector>

#include "ggml.h"

namespace xgenmm {

// Instruction sets for which the searches of the K-quants are compiled.
enum class LaneSet { kSse2, kAvx2, kAvx512 };

// Those that this processor has, the widest first. None where the compiler may fuse ggml's
// multiplications and additions, so that its roundings cannot be met.
const std::vector<LaneSet>& lane_sets();

// Whether quantize_k_rows() knows `type`.
bool is_searched_in_lanes(ggml_type type);

// As quantize_rows(), for such a type, with one of lane_sets().
void quantize_k_rows(LaneSet set, ggml_type type, const float* rows, void* out, int64_t count,
                     int64_t row_length, const float* importance);

}  // namespace xgenmm
