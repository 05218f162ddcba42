#pragma once

#include "kernels/product_kernels.h"

namespace xgenmm::test {

// For one thread, the kernel for AMX on tiles in plain C++, which needs only AVX-512 with VNNI, and
// the same on tiles that take weights for unsigned ones.
extern const ProductKernel kEmulatedProduct, kWrongProduct;

// How often they used tiles against the rules: without shapes, or with others than these.
int tile_errors();

}  // namespace xgenmm::test
