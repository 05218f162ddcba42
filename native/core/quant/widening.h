#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// count values of F32, F16 or BF16, wherever they lie, as floats; not finite where they were not.
void widen(ggml_type type, const uint8_t* source, int64_t count, float* out);

// The index of the first value whose magnitude has these bits of a float or more; -1 if none has.
int64_t find_magnitude(const float* values, int64_t count, uint32_t bits);

}  // namespace xgenmm
