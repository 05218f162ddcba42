#pragma once

#include "kernels/product_kernels.h"

namespace xgenmm {

// Whether two kernels for columns of 8 bits give the same, to the bit, for small matrices of each
// type of weights. Throws std::bad_alloc.
bool gives_same_products(const ProductKernel& a, const ProductKernel& b);

// Whether `a` takes less time than `b` for a matrix that stays in the cache, which takes
// milliseconds to find out. Throws std::bad_alloc.
bool is_faster(const ProductKernel& a, const ProductKernel& b);

}  // namespace xgenmm
