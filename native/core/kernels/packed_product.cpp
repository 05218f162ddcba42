#include "kernels/packed_product.h"

#include "kernels/cpu_features.h"
#include "kernels/product_check.h"
#include "kernels/product_kernels.h"

namespace xgenmm {
namespace {

#ifdef XGENMM_AMX
// Asked once. The kernel has been written where no processor has AMX, so it has to show that it
// gives what another does, and sooner.
bool amx_pays() {
  static const bool pays = may_use_amx() &&
                           gives_same_products(kTiledProductAmx, kWholeProductAvx512Vnni) &&
                           is_faster(kTiledProductAmx, kWholeProductAvx512Vnni);
  return pays;
}
#endif

const ProductKernel* whole_product() {
#ifdef XGENMM_AMX
  if (cpu_has(CpuFeature::kAmx) && amx_pays()) return &kTiledProductAmx;
#endif
#ifdef XGENMM_AVX512VNNI
  if (cpu_has(CpuFeature::kAvx512Vnni)) return &kWholeProductAvx512Vnni;
#endif
#ifdef XGENMM_AVXVNNI
  if (cpu_has(CpuFeature::kAvxVnni)) return &kWholeProductAvxVnni;
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) return &kWholeProductAvx2;
#endif
#ifdef XGENMM_SSE42
  if (cpu_has(CpuFeature::kSse42)) return &kWholeProductSse42;
#endif
#ifdef XGENMM_I8MM
  if (cpu_has(CpuFeature::kI8mm)) return &kWholeProductI8mm;
#endif
#ifdef XGENMM_DOTPROD
  if (cpu_has(CpuFeature::kDotProd)) return &kWholeProductDotProd;
#endif
#ifdef XGENMM_NEON
  if (cpu_has(CpuFeature::kNeon)) return &kWholeProductNeon;
#endif
  return nullptr;
}

const ProductKernel* bf16_product() {
#ifdef XGENMM_AVX512BF16
  if (cpu_has(CpuFeature::kAvx512Bf16)) return &kBf16ProductAvx512;
#endif
  return nullptr;
}

const ProductKernel* float_product() {
#ifdef XGENMM_AVX512
  if (cpu_has(CpuFeature::kAvx512)) return &kFloatProductAvx512;
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) return &kFloatProductAvx2;
#endif
#ifdef XGENMM_SSE42
  if (cpu_has(CpuFeature::kSse42)) return &kFloatProductSse42;
#endif
#ifdef XGENMM_NEON
  if (cpu_has(CpuFeature::kNeon)) return &kFloatProductNeon;
#endif
  return nullptr;
}

const ProductKernel* product_for(ggml_type columns) {
  return columns == GGML_TYPE_I8     ? whole_product()
         : columns == GGML_TYPE_BF16 ? bf16_product()
                                     : float_product();
}

}  // namespace

bool has_packed_product(ggml_type type) {
  switch (type) {
    case GGML_TYPE_Q8_0:
    case GGML_TYPE_Q4_K:
    case GGML_TYPE_Q6_K:
    case GGML_TYPE_BF16:
    case GGML_TYPE_F16:
    case GGML_TYPE_F32:
      return product_for(PanelShape(type, kBlock).columns) != nullptr;
    default:
      return false;
  }
}

void pack_columns(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                  int64_t first, int64_t last, uint8_t* panels) {
  product_for(shape.columns)->pack_columns(shape, x, stride, columns, first, last, panels);
}

void packed_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                    const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  product_for(weights.panel_shape().columns)
      ->product(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

}  // namespace xgenmm
