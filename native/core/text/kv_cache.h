#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ggml/device.h"
#include "gguf/config.h"
#include "text/prompt.h"

namespace xgenmm {

// The keys and values of one sequence: a ring of rows. Position p lies in row p mod ring; with a
// sliding window the ring may be shorter than the sequence.
class KvSlot {
 public:
  // The row of a position.
  int64_t row(int position) const { return position % ring_; }
  int length() const { return static_cast<int>(positions_.size()); }
  int ring() const { return ring_; }

  ggml_tensor* keys(int layer) const { return keys_[static_cast<size_t>(layer)]; }
  ggml_tensor* values(int layer) const { return values_[static_cast<size_t>(layer)]; }

  // How many leading positions of the prompt are in this slot and can be continued from.
  int reusable_prefix(const Prompt& prompt) const;
  // Whether the sequence can be continued from `length`: a wrapped ring has overwritten what lies
  // further back.
  bool can_truncate(int length) const;
  // Forgets everything from `length` on, which must be 0 or pass can_truncate().
  void truncate(int length);
  // Says that a graph is about to write `count` positions behind the others, whether it completes
  // or not.
  void begin_write(int count);
  // Records a position that has been written.
  void append(const PromptPosition& position) { positions_.push_back(position); }

  // F16 [rows, columns] of 0 and -inf: which of the first `rows` rows each of `columns` new
  // positions, the first at length(), sees once they all have been written.
  std::vector<ggml_fp16_t> mask(int rows, int columns) const;

  bool busy = false;  // a request is using it
  uint64_t last_used = 0;  // for eviction

 private:
  friend class KvCache;
  int ring_ = 0;
  int window_ = 0;
  // 1 + the highest position whose row was touched: older ones may be overwritten.
  int written_ = 0;
  std::vector<ggml_tensor*> keys_;  // per layer [kv width, ring]
  std::vector<ggml_tensor*> values_;  // same
  std::vector<PromptPosition> positions_;
};

// All slots of a model, reserved at load.
class KvCache {
 public:
  // chunk: the most positions written in one graph. Throws kOutOfMemory, and kInvalidArgument for a
  // type that the head size does not allow.
  KvCache(const TextConfig& config, ggml_type type, int context_size, int chunk, int slots,
          Device& device);

  // The idle slot that can reuse most of the prompt, else the least recently used idle one; nullptr
  // when all are busy.
  KvSlot* acquire(const Prompt& prompt);
  void release(KvSlot& slot);
  // Any slot: all have the same shape.
  KvSlot& front() { return *slots_.front(); }

 private:
  ContextHandle context_;
  BufferHandle buffer_;
  std::vector<std::unique_ptr<KvSlot>> slots_;
  uint64_t clock_ = 0;
};

}  // namespace xgenmm
