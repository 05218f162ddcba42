#pragma once

#include "ggml/graph.h"
#include "text/batch.h"

namespace xgenmm {

// The part of a layer that meets the keys and values of slots, in one graph: they are rotated and
// stored, and looked back on.
class RingAttention {
 public:
  virtual ~RingAttention() = default;

  // Makes what else goes into the graph of the batch's positions, which may be others each time
  // that it is computed. False when the graph does not do for these positions.
  virtual bool prepare() = 0;
  // Stores the new keys and values; qkv: [width + 2 * kv width, columns]
  // -> the queries, [width, columns]
  virtual ggml_tensor* rotate_and_store(ggml_tensor* qkv, int layer) = 0;
  // queries: of all columns, or of those whose logits are wanted. -> [width, columns]
  virtual ggml_tensor* attend(ggml_tensor* queries, int layer, bool wanted_only) = 0;
};

}  // namespace xgenmm
