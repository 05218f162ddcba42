#include "kernels/lanes_avx512.h"
// Before what is made of it.
#include "kernels/dots_avx512vnni.h"
#include "kernels/tiles_amx.h"

#include "kernels/tiled_product.h"

namespace xgenmm {

const ProductKernel kTiledProductAmx{pack_whole_columns<true>, tiled_product};

}  // namespace xgenmm
