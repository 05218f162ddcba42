#include "text/kv_shape.h"

#include <algorithm>

namespace xgenmm {

namespace {

constexpr int kRowAlignment = 256;

}  // namespace

int kv_ring(const TextConfig& config, int context_size, int chunk) {
  const int needed =
      config.window > 0 ? std::min(context_size, config.window - 1 + chunk) : context_size;
  return (needed + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
}

bool kv_type_fits(const TextConfig& config, ggml_type type) {
  return config.head_dim % ggml_blck_size(type) == 0;
}

size_t kv_slot_bytes(const TextConfig& config, ggml_type type, int ring) {
  const size_t row = ggml_row_size(type, config.kv_width());
  return 2 * static_cast<size_t>(config.layers) * static_cast<size_t>(ring) * row;
}

}  // namespace xgenmm
