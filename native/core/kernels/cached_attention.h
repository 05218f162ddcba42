#pragma once

#include "kernels/kv_rows.h"

namespace xgenmm {

// softmax(scale q k^T) v of one sequence, whose keys and values lie in a ring: position p in row
// p mod rows. Query i stands at position first + i and sees the `window` positions up to its own.
// The cache holds all positions up to the last query's that one of them sees.
struct CachedAttention {
  KvRows cache;
  int64_t heads;  // of the queries; neighbouring ones share keys and values
  int64_t first, count;
  int64_t window;  // 0: all positions
  float scale;
  const float* queries;  // [count, heads, head_size]
  float* out;  // same

  // Bytes for one thread.
  size_t scratch_bytes() const;
};

// Heads [first, last) of the cache. In f32. A query's result depends neither on the other queries
// nor on what it does not see.
void attend_cached(const CachedAttention& attention, int64_t first, int64_t last, uint8_t* scratch);

}  // namespace xgenmm
