#pragma once

#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"

namespace xgenmm {

// As the functions of packed_product.h, for BF16 weights, in a file compiled for AVX-512 with BF16.
void pack_columns_bf16(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                       int64_t first, int64_t last, uint8_t* panels);
void packed_product_bf16(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                         const Epilogue& epilogue, int64_t first_tile, int64_t last_tile,
                         float* out);

}  // namespace xgenmm
