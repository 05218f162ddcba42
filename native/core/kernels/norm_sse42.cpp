#include "kernels/lanes_sse42.h"

#include "kernels/norm_kernel.h"
#include "kernels/norm_kernels.h"

namespace xgenmm {

void normalize_sse42(const Norm& norm, const float* x, int64_t rows, float* out) {
  normalize_in_lanes(norm, x, rows, out);
}

}  // namespace xgenmm
