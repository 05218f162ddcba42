#include "kernels/lanes_avx2.h"
// Before what is made of it.
#include "kernels/dots_avx2.h"

#include "kernels/whole_product.h"

namespace xgenmm {

const ProductKernel kWholeProductAvx2{pack_whole_columns<false>, whole_product<WholeSums>};

}  // namespace xgenmm
