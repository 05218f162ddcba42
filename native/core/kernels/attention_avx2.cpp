#include "kernels/lanes_avx2.h"

#include "kernels/attention_kernel.h"
#include "kernels/attention_kernels.h"

namespace xgenmm {

void attend_avx2(const Attention& attention, int64_t first, int64_t last, float* scratch) {
  attend_in_lanes(attention, first, last, scratch);
}

}  // namespace xgenmm
