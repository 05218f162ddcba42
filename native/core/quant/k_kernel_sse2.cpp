#include "quant/k_blocks.h"

namespace xgenmm {

void quantize_k_blocks_sse2(const KBlocks& blocks) {
  quantize_k_blocks<4>(blocks);
}

}  // namespace xgenmm
