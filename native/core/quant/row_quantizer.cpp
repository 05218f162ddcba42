#include "quant/row_quantizer.h"

#include "quant/lane_rows.h"
#include "quant/plain_rows.h"

namespace xgenmm {

void quantize_rows(ggml_type type, const float* rows, void* out, int64_t count, int64_t row_length,
                   const float* importance) {
  if (type == GGML_TYPE_F16) {
    convert_to_f16(rows, out, count * row_length);
  } else if (type == GGML_TYPE_Q8_0) {
    convert_to_q8_0(rows, out, count * row_length);
  } else if (is_searched_in_lanes(type, importance != nullptr) && !lane_sets().empty()) {
    quantize_lane_rows(lane_sets().front(), type, rows, out, count, row_length, importance);
  } else {
    ggml_quantize_chunk(type, rows, out, 0, count, row_length, importance);
  }
}

}  // namespace xgenmm
