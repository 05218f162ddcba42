#include "quant/k_blocks.h"

namespace xgenmm {

void quantize_k_blocks_avx512(const KBlocks& blocks) {
  quantize_k_blocks<16>(blocks);
}

}  // namespace xgenmm
