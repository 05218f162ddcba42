#include "kernels/packed_product.h"

#include "kernels/cpu_features.h"
#include "kernels/packed_product_sets.h"

namespace xgenmm {
namespace {

const ProductKernel* whole_product() {
#ifdef XGENMM_AVX512VNNI
  if (cpu_has(CpuFeature::kAvx512Vnni)) return &kWholeProductAvx512Vnni;
#endif
#ifdef XGENMM_AVXVNNI
  if (cpu_has(CpuFeature::kAvxVnni)) return &kWholeProductAvxVnni;
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) return &kWholeProductAvx2;
#endif
  return nullptr;
}

const ProductKernel* bf16_product() {
#ifdef XGENMM_AVX512BF16
  if (cpu_has(CpuFeature::kAvx512Bf16)) return &kBf16ProductAvx512;
#endif
  return nullptr;
}

const ProductKernel* find_product(ggml_type weights) {
  switch (weights) {
    case GGML_TYPE_Q8_0:
    case GGML_TYPE_Q4_K:
    case GGML_TYPE_Q6_K:
      return whole_product();
    case GGML_TYPE_BF16:
      return bf16_product();
    default:
      return nullptr;
  }
}

}  // namespace

bool has_packed_product(ggml_type type) {
  return find_product(type) != nullptr;
}

void pack_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                  int64_t first, int64_t last, uint8_t* panels) {
  find_product(shape.weights)->pack_columns(shape, x, stride, columns, first, last, panels);
}

void packed_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                    const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  find_product(weights.type())
      ->product(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

}  // namespace xgenmm
