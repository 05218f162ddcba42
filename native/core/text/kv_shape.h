#pragma once

#include <cstddef>

#include "ggml.h"
#include "gguf/config.h"

namespace xgenmm {

// Rows of a slot's ring: the positions that the queries of a chunk look back on, at most the
// context, in steps of 256.
int kv_ring(const TextConfig& config, int context_size, int chunk);

// Whether keys and values can be kept in this type: heads must consist of whole blocks.
bool kv_type_fits(const TextConfig& config, ggml_type type);

// Bytes of one slot's keys and values in a type that fits.
size_t kv_slot_bytes(const TextConfig& config, ggml_type type, int ring);

}  // namespace xgenmm
