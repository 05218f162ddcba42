#include "kernels/lanes_avx512.h"

#include "kernels/float_product.h"

namespace xgenmm {

const ProductKernel kFloatProductAvx512{pack_float_columns, float_product};

}  // namespace xgenmm
