#include "quant/k_blocks.h"

namespace xgenmm {

void quantize_k_blocks_avx2(const KBlocks& blocks) {
  quantize_k_blocks<8>(blocks);
}

}  // namespace xgenmm
