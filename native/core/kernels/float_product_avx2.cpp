#include "kernels/lanes_avx2.h"

#include "kernels/float_product.h"

namespace xgenmm {

const ProductKernel kFloatProductAvx2{pack_float_columns, float_product};

}  // namespace xgenmm
