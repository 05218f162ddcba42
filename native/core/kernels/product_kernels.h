#pragma once

#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"

namespace xgenmm {

// The functions of packed_product.h for one type of columns and one instruction set each, in a file
// compiled for it.
struct ProductKernel {
  void (*pack_columns)(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                       int64_t first, int64_t last, uint8_t* panels);
  void (*product)(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                  const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out);
};

extern const ProductKernel kWholeProductSse42, kFloatProductSse42;
extern const ProductKernel kWholeProductAvx2, kWholeProductAvxVnni, kWholeProductAvx512Vnni;
extern const ProductKernel kTiledProductAmx;
extern const ProductKernel kWholeProductNeon, kWholeProductDotProd, kWholeProductI8mm;
extern const ProductKernel kFloatProductAvx2, kFloatProductAvx512, kFloatProductNeon;
extern const ProductKernel kBf16ProductAvx512;

}  // namespace xgenmm
