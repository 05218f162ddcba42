#pragma once

#include <cstddef>
#include <cstdint>

#include "ggml.h"

namespace xgenmm {

// The keys and values of one sequence in one layer, in the order in which attention reads them.
// Each head has its own: of the keys, blocks of 16 rows in columns,
//   F32, F16: values[head_size][16]
//   Q8_0:     f16 scales[head_size / 32][16]; i8 values[head_size][16]
// and of the values, rows as ggml stores them.
struct KvRows {
  static constexpr int64_t kBlockRows = 16;

  ggml_type type;  // F32, F16, or Q8_0 where head_size is a multiple of 32
  int64_t head_size, heads;
  int64_t rows;  // a multiple of kBlockRows
  uint8_t* keys;
  uint8_t* values;

  size_t row_bytes() const { return ggml_row_size(type, head_size); }
  size_t block_bytes() const { return row_bytes() * kBlockRows; }
  // Of the keys, and as many of the values.
  size_t bytes() const { return row_bytes() * static_cast<size_t>(heads * rows); }
  uint8_t* key_block(int64_t head, int64_t block) const {
    return keys + block_bytes() * static_cast<size_t>(head * (rows / kBlockRows) + block);
  }
  uint8_t* value_row(int64_t head, int64_t row) const {
    return values + row_bytes() * static_cast<size_t>(head * rows + row);
  }

  // new_keys, new_values: [heads, head_size]
  void store(int64_t row, const float* new_keys, const float* new_values) const;
  // Copies at least rows first .. first + count - 1 from the same rows of others of the same shape;
  // rows that share a block with them may be copied as well.
  void copy(const KvRows& from, int64_t first, int64_t count) const;
};

}  // namespace xgenmm
