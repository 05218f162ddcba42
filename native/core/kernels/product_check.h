#pragma once

#include "kernels/product_kernels.h"

namespace xgenmm {

// Whether two kernels for columns of 8 bits give the same, to the bit, for small matrices of each
// type of weights. Throws std::bad_alloc.
bool gives_same_products(const ProductKernel& a, const ProductKernel& b);

}  // namespace xgenmm
