#include "quant/lane_blocks.h"

namespace xgenmm {

void quantize_in_sse2(const LaneRows& rows) {
  quantize_in_lanes<4>(rows);
}

}  // namespace xgenmm
