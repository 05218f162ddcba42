#include "kernels/kv_rows.h"

#include <cstring>

#include "ggml-cpu.h"

namespace xgenmm {
namespace {

// Values that share a scale in Q8_0.
constexpr int64_t kGroup = 32;
constexpr size_t kGroupBytes = 34;  // f16 scale; i8 values[32]

// A row as ggml stores it -> one column of a block.
void scatter(const KvRows& rows, const uint8_t* row, int64_t column, uint8_t* block) {
  constexpr int64_t kRows = KvRows::kBlockRows;
  const auto put = [&](size_t at, int64_t index, const uint8_t* value, size_t size) {
    std::memcpy(block + at + static_cast<size_t>(index * kRows + column) * size, value, size);
  };
  if (rows.type == GGML_TYPE_Q8_0) {
    const int64_t groups = rows.head_size / kGroup;
    const size_t values_at = static_cast<size_t>(groups * kRows) * 2;
    for (int64_t g = 0; g < groups; ++g, row += kGroupBytes) {
      put(0, g, row, 2);
      for (int64_t i = 0; i < kGroup; ++i) put(values_at, g * kGroup + i, row + 2 + i, 1);
    }
    return;
  }
  const size_t size = ggml_type_size(rows.type);
  for (int64_t i = 0; i < rows.head_size; ++i) put(0, i, row + static_cast<size_t>(i) * size, size);
}

}  // namespace

void KvRows::store(int64_t row, const float* new_keys, const float* new_values) const {
  const auto round = ggml_get_type_traits_cpu(type)->from_float;
  const auto write = [&](const float* values, uint8_t* out) {
    if (type == GGML_TYPE_F32) {
      std::memcpy(out, values, row_bytes());
    } else {
      round(values, out, head_size);
    }
  };
  for (int64_t head = 0; head < heads; ++head) {
    uint8_t* out = value_row(head, row);
    // The values' place serves for the keys first.
    write(new_keys + head * head_size, out);
    scatter(*this, out, row % kBlockRows, key_block(head, row / kBlockRows));
    write(new_values + head * head_size, out);
  }
}

void KvRows::copy(const KvRows& from, int64_t first, int64_t count) const {
  if (count <= 0) return;
  const int64_t first_block = first / kBlockRows;
  const int64_t blocks = (first + count - 1) / kBlockRows + 1 - first_block;
  for (int64_t head = 0; head < heads; ++head) {
    std::memcpy(key_block(head, first_block), from.key_block(head, first_block),
                block_bytes() * static_cast<size_t>(blocks));
    std::memcpy(value_row(head, first), from.value_row(head, first),
                row_bytes() * static_cast<size_t>(count));
  }
}

}  // namespace xgenmm
