#include "kernels/lanes_avx512.h"
// Before what is made of it.
#include "kernels/dots_avx512vnni.h"

#include "kernels/whole_product.h"

namespace xgenmm {

const ProductKernel kWholeProductAvx512Vnni{pack_whole_columns<false>, whole_product<WholeSums>};

}  // namespace xgenmm
