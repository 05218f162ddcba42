#include "kernels/lanes_neon.h"
// Before what is made of it.
#include "kernels/dots_dotprod.h"

#include "kernels/whole_product.h"

namespace xgenmm {

const ProductKernel kWholeProductDotProd{pack_whole_columns<false>, whole_product<WholeSums>};

}  // namespace xgenmm
