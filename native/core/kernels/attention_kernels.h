#pragma once

#include "kernels/attention.h"

namespace xgenmm {

// As attend(), one for each instruction set, in a file compiled for it.
void attend_plain(const Attention& attention, int64_t first, int64_t last, float* scratch);
void attend_sse42(const Attention& attention, int64_t first, int64_t last, float* scratch);
void attend_avx2(const Attention& attention, int64_t first, int64_t last, float* scratch);
void attend_avx512(const Attention& attention, int64_t first, int64_t last, float* scratch);
void attend_neon(const Attention& attention, int64_t first, int64_t last, float* scratch);

}  // namespace xgenmm
