#include "kernels/product_types.h"

#include "kernels/cpu_features.h"

namespace xgenmm {
namespace {

ggml_type columns_for(ggml_type weights) {
  switch (weights) {
    case GGML_TYPE_F32:
    case GGML_TYPE_F16:
      return GGML_TYPE_F32;
    case GGML_TYPE_BF16:
      return cpu_has(CpuFeature::kAvx512Bf16) && !cpu_has(CpuFeature::kSlowBf16) ? GGML_TYPE_BF16
                                                                                 : GGML_TYPE_F32;
    default:
      return GGML_TYPE_I8;
  }
}

}  // namespace

PanelShape::PanelShape(ggml_type weights, int64_t width)
    : weights(weights),
      columns(columns_for(weights)),
      width(width),
      blocks_per_scale(weights == GGML_TYPE_Q8_0 ? 1 : 8),
      corrections_per_block(weights == GGML_TYPE_Q6_K ? 2 : 1) {}

TileShape::TileShape(ggml_type type, int64_t width) : scale_bytes(0) {
  const size_t blocks = static_cast<size_t>(blocks_in(width));
  const size_t super_blocks = blocks / 8;
  size_t value_bytes = 0;
  switch (type) {
    case GGML_TYPE_Q8_0:
      scale_bytes = blocks * 32;
      value_bytes = 512;
      break;
    case GGML_TYPE_Q4_K:
      scale_bytes = super_blocks * 320;
      value_bytes = 256;
      break;
    case GGML_TYPE_Q6_K:
      scale_bytes = super_blocks * 288;
      value_bytes = 384;
      break;
    case GGML_TYPE_F32:
      value_bytes = 2048;
      break;
    default:
      value_bytes = 1024;
  }
  scale_bytes = (scale_bytes + 63) / 64 * 64;
  bytes = scale_bytes + blocks * value_bytes;
}

}  // namespace xgenmm
