#include "kernels/lanes_sse42.h"

#include "kernels/attention_kernel.h"
#include "kernels/attention_kernels.h"

namespace xgenmm {

void attend_sse42(const Attention& attention, int64_t first, int64_t last, float* scratch) {
  attend_in_lanes(attention, first, last, scratch);
}

}  // namespace xgenmm
