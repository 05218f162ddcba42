#include "kernels/lanes_neon.h"

#include "kernels/attention_kernel.h"
#include "kernels/attention_kernels.h"

namespace xgenmm {

void attend_neon(const Attention& attention, int64_t first, int64_t last, float* scratch) {
  attend_in_lanes(attention, first, last, scratch);
}

}  // namespace xgenmm
