#include "kernels/lanes_sse42.h"

#include "kernels/cached_attention_kernel.h"
#include "kernels/cached_attention_kernels.h"

namespace xgenmm {

void attend_cached_sse42(const CachedAttention& attention, int64_t first, int64_t last,
                         uint8_t* scratch) {
  attend_cached_in_lanes(attention, first, last, scratch);
}

}  // namespace xgenmm
