#include "kernels/lanes_avx2.h"
// Before what is made of it.
#include "kernels/dots_avxvnni.h"

#include "kernels/whole_product.h"

namespace xgenmm {

const ProductKernel kWholeProductAvxVnni{pack_whole_columns<false>, whole_product<WholeSums>};

}  // namespace xgenmm
