#include "kernels/lanes_sse42.h"
// Before what is made of it.
#include "kernels/dots_sse42.h"

#include "kernels/whole_product.h"

namespace xgenmm {

const ProductKernel kWholeProductSse42{pack_whole_columns<false>, whole_product<WholeSums>};

}  // namespace xgenmm
