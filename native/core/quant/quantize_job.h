#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ggml.h"

namespace xgenmm {

// Rows of weights that are to be stored in another type. The memory is the caller's.
struct QuantizeJob {
  const uint8_t* source;
  size_t source_size;  // bytes; rows of source_length values
  ggml_type source_type;  // F32, F16 or BF16
  int64_t source_length;
  int64_t row_length;  // of the target: what lies beyond source_length is filled up with zeros
  ggml_type type;
  uint8_t* target;
  size_t target_size;  // bytes
  // Mean squares of what meets each column, row_length values; or empty.
  std::vector<float> importance;

  int64_t rows() const;
  // kInvalidArgument for whatever does not fit together, or does not fit ggml.
  void check() const;
};

// No row may be longer, in values.
constexpr int64_t kMaxRowLength = int64_t{1} << 22;

// The type that ggml calls so, if weights can be stored in it: otherwise kInvalidArgument.
ggml_type weight_type(const std::string& name);

// The bits of the smallest float that is too large for a type of weight.
uint32_t magnitude_limit(ggml_type type);

}  // namespace xgenmm
