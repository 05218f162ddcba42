#include "kernels/lanes_plain.h"

#include "kernels/attention_kernel.h"
#include "kernels/attention_kernels.h"

namespace xgenmm {

void attend_plain(const Attention& attention, int64_t first, int64_t last, float* scratch) {
  attend_in_lanes(attention, first, last, scratch);
}

}  // namespace xgenmm
