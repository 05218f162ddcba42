#include "quant/lane_blocks.h"

namespace xgenmm {

void quantize_in_avx512(const LaneRows& rows) {
  quantize_in_lanes<16>(rows);
}

}  // namespace xgenmm
