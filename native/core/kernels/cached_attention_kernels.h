#pragma once

#include "kernels/cached_attention.h"

namespace xgenmm {

// As attend_cached(), one for each instruction set, in a file compiled for it.
void attend_cached_plain(const CachedAttention& attention, int64_t first, int64_t last,
                         uint8_t* scratch);
void attend_cached_sse42(const CachedAttention& attention, int64_t first, int64_t last,
                         uint8_t* scratch);
void attend_cached_avx2(const CachedAttention& attention, int64_t first, int64_t last,
                        uint8_t* scratch);
void attend_cached_avx512(const CachedAttention& attention, int64_t first, int64_t last,
                          uint8_t* scratch);
void attend_cached_neon(const CachedAttention& attention, int64_t first, int64_t last,
                        uint8_t* scratch);

}  // namespace xgenmm
