#pragma once

#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// The two types that need no search and that ggml converts one value at a time where it is built
// for any processor. The same bytes as ggml's, for values below magnitude_limit() of the type.
void convert_to_f16(const float* values, void* out, int64_t count);
// count: a multiple of 32.
void convert_to_q8_0(const float* values, void* out, int64_t count);

}  // namespace xgenmm
