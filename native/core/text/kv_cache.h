#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ggml/device.h"
#include "gguf/config.h"
#include "kernels/kv_rows.h"
#include "text/prompt.h"

namespace xgenmm {

// The keys and values of one sequence in a layer that is computed by ggml's own operations.
struct KvTensors {
  ggml_tensor* keys = nullptr;  // [kv width, ring]
  ggml_tensor* values = nullptr;  // same

  // Copies rows first .. first + count - 1 from the same rows of others of the same shape.
  void copy(const KvTensors& from, int64_t first, int64_t count) const;
  // Makes these rows zero.
  void clear(int64_t first, int64_t count) const;
};

// The keys and values of one sequence: a ring of rows. Position p lies in row p mod ring; with a
// sliding window the ring may be shorter than the sequence.
class KvSlot {
 public:
  // The row of a position.
  int64_t row(int position) const { return position % ring_; }
  int length() const { return static_cast<int>(positions_.size()); }
  int ring() const { return ring_; }

  // Where a layer's keys and values are: rows() of one that the CPU computes, else tensors().
  const KvRows& rows(int layer) const { return layers_[static_cast<size_t>(layer)].rows; }
  const KvTensors& tensors(int layer) const { return layers_[static_cast<size_t>(layer)].tensors; }

  // How many leading positions of the prompt, at most `most`, are in this slot and can be continued
  // from.
  int reusable_prefix(const Prompt& prompt, int most) const;
  // Whether the sequence can be continued from `length`: a wrapped ring has overwritten what lies
  // further back.
  bool can_truncate(int length) const;
  // Forgets everything from `length` on, which must be 0 or pass can_truncate().
  void truncate(int length);
  // Says that a graph is about to write `count` positions behind the others, whether it completes
  // or not.
  void begin_write(int count);
  // Records a position that has been written.
  void append(PromptPosition position) { positions_.push_back(std::move(position)); }
  // Becomes the first `length` positions of another slot, whose can_truncate(length) holds.
  void copy_prefix(const KvSlot& source, int length);

  // The prompt that is on its way into this slot; nullptr when it is all there.
  const Prompt* filling = nullptr;

 private:
  friend class KvCache;
  bool wrapped() const { return written_ > ring_; }
  // Makes the rows of positions from `length` on zero in layers on other devices than the CPU:
  // ggml's attention multiplies with what is masked as well, which might be no numbers.
  void clear_from(int length);

  bool busy_ = false;  // a request is using it
  uint64_t last_used_ = 0;
  int ring_ = 0;
  int window_ = 0;
  // 1 + the highest position whose row was touched: older ones may be overwritten.
  int written_ = 0;
  struct Layer {
    KvTensors tensors;  // on the CPU just memory, for `rows`
    KvRows rows;  // on the CPU
  };
  std::vector<Layer> layers_;
  std::vector<PromptPosition> positions_;
};

// All slots of a model, reserved at load.
class KvCache {
 public:
  // chunk: the most positions written in one graph. devices: of each layer. There is no memory
  // until allocate() or claim(). Throws kInvalidArgument for a type that the head size does not
  // allow.
  KvCache(const TextConfig& config, ggml_type type, int context_size, int chunk, int slots,
          const std::vector<Device*>& devices);
  // progress: called with 0 .. 1 as the memory is cleared; may throw to give up. Throws
  // kOutOfMemory.
  void allocate(const std::function<void(double)>& progress = {});
  // For graphs that are only measured or asked about (Device::claim).
  void claim();

  // A slot for the prompt that holds as many of its leading positions, at most `most`, as any slot
  // has, copied from there if need be; nullptr when all slots are busy, or when another request is
  // just computing more of the same positions.
  KvSlot* acquire(const Prompt& prompt, int most);
  void release(KvSlot& slot);

  int slots() const { return static_cast<int>(slots_.size()); }
  KvSlot& slot(int index) { return *slots_[static_cast<size_t>(index)]; }
  const KvSlot& slot(int index) const { return *slots_[static_cast<size_t>(index)]; }

 private:
  bool worth_waiting(const Prompt& prompt, int most, int available) const;
  KvSlot* choose_idle(const Prompt& prompt, int most) const;

  // What is on one device.
  struct Part {
    Device* device;
    ContextHandle context;
    BufferHandle buffer;
  };
  ggml_context* context_on(Device& device, size_t tensors);

  std::vector<Device*> devices_;  // of each layer
  std::vector<Part> parts_;
  std::vector<std::unique_ptr<KvSlot>> slots_;
  uint64_t clock_ = 0;
};

}  // namespace xgenmm
