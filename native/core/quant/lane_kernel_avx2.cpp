#include "quant/lane_blocks.h"

namespace xgenmm {

void quantize_in_avx2(const LaneRows& rows) {
  quantize_in_lanes<8>(rows);
}

}  // namespace xgenmm
