#include "kernels/lanes_neon.h"

#include "kernels/float_product.h"

namespace xgenmm {

const ProductKernel kFloatProductNeon{pack_float_columns, float_product};

}  // namespace xgenmm
