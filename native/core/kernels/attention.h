#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// softmax(scale q k^T + mask) v for several heads and pictures, in f32. Queries, keys and values
// are rows of `head_size` floats; strides are in bytes.
struct Attention {
  struct Rows {
    const uint8_t* data;
    size_t row_stride, head_stride, batch_stride;

    const float* row(int64_t index, int64_t head, int64_t batch) const {
      return reinterpret_cast<const float*>(data + static_cast<size_t>(index) * row_stride +
                                            static_cast<size_t>(head) * head_stride +
                                            static_cast<size_t>(batch) * batch_stride);
    }
  };
  Rows queries, keys, values;
  int64_t head_size;
  int64_t query_count, key_count;
  int64_t heads;
  int64_t batches;
  float scale;
  const ggml_fp16_t* mask;  // [batches or one, queries, keys], added to the scores; or nullptr
  int64_t mask_batches;
  float* out;  // [batches, queries, heads, head_size]

  // Parts that may be computed by different threads, in any order.
  int64_t units() const;
  // Of one thread, in values.
  size_t scratch_size() const;
};

// Computes units [first, last). A query's result depends neither on the other queries nor on how
// many keys that it does not see follow.
void attend(const Attention& attention, int64_t first, int64_t last, float* scratch);

}  // namespace xgenmm
