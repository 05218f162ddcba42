#include "kernels/packed_product.h"

#include "kernels/cpu_features.h"
#include "kernels/packed_product_bf16.h"
#include "kernels/packed_product_vnni.h"

namespace xgenmm {

bool has_packed_product(ggml_type type) {
  switch (type) {
    case GGML_TYPE_Q8_0:
    case GGML_TYPE_Q4_K:
    case GGML_TYPE_Q6_K:
      return cpu_has(CpuFeature::kAvx512Vnni);
    case GGML_TYPE_BF16:
      return cpu_has(CpuFeature::kAvx512Bf16);
    default:
      return false;
  }
}

#ifdef XGENMM_AVX512

void pack_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                  int64_t first, int64_t last, uint8_t* panels) {
  const auto pack = shape.weights == GGML_TYPE_BF16 ? pack_columns_bf16 : pack_columns_vnni;
  pack(shape, x, stride, columns, first, last, panels);
}

void packed_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                    const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  const auto product = weights.type() == GGML_TYPE_BF16 ? packed_product_bf16 : packed_product_vnni;
  product(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

#else

void pack_columns(const PanelShape&, const float*, int64_t, int64_t, int64_t, int64_t, uint8_t*) {}

void packed_product(const PackedWeights&, const uint8_t*, int64_t, const Epilogue&, int64_t,
                    int64_t, float*) {}

#endif

}  // namespace xgenmm
