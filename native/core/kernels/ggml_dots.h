#pragma once

#include "ggml-cpu.h"
#include "ggml.h"

namespace xgenmm {

// ggml's dot product for weights of one type, as this processor does it best. ggml itself is
// compiled for every processor of its kind; of its dot products there are more sets, for those
// that have SSE4.2, AVX2 or the dot products of arm64.
struct GgmlDots {
  ggml_type columns;  // what it wants the other side in
  ggml_from_float_t round;  // makes that of floats
  ggml_vec_dot_t dot;

  explicit GgmlDots(ggml_type weights);
};

}  // namespace xgenmm
