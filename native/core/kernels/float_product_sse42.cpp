#include "kernels/lanes_sse42.h"

#include "kernels/float_product.h"

namespace xgenmm {

const ProductKernel kFloatProductSse42{pack_float_columns, float_product};

}  // namespace xgenmm
