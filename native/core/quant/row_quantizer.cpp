#include "quant/row_quantizer.h"

namespace xgenmm {

void quantize_rows(ggml_type type, const float* rows, void* out, int64_t count, int64_t row_length,
                   const float* importance) {
  ggml_quantize_chunk(type, rows, out, 0, count, row_length, importance);
}

}  // namespace xgenmm
