#include "text/kv_cache.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace xgenmm {

namespace {

constexpr int kRowAlignment = 256;

}  // namespace

int KvSlot::reusable_prefix(const Prompt& prompt) const {
  const int most = std::min(length(), prompt.length());
  int same = 0;
  while (same < most && positions_[static_cast<size_t>(same)] == prompt[same]) ++same;
  return can_truncate(same) ? same : 0;
}

bool KvSlot::can_truncate(int length) const {
  // The next position still needs its window - 1 predecessors.
  const bool wrapped = written_ > ring_;
  return !wrapped || length >= written_ - ring_ + window_ - 1;
}

void KvSlot::truncate(int length) {
  positions_.resize(static_cast<size_t>(length));
  if (length == 0) written_ = 0;
}

void KvSlot::begin_write(int count) {
  written_ = std::max(written_, length() + count);
}

std::vector<ggml_fp16_t> KvSlot::mask(int rows, int columns) const {
  const ggml_fp16_t zero = ggml_fp32_to_fp16(0.0f);
  std::vector<ggml_fp16_t> mask(static_cast<size_t>(rows) * static_cast<size_t>(columns),
                                ggml_fp32_to_fp16(-INFINITY));
  for (int column = 0; column < columns; ++column) {
    const int query = length() + column;
    const int oldest = window_ > 0 ? std::max(0, query - window_ + 1) : 0;
    ggml_fp16_t* out = mask.data() + static_cast<size_t>(column) * static_cast<size_t>(rows);
    for (int key = oldest; key <= query; ++key) out[row(key)] = zero;
  }
  return mask;
}

KvCache::KvCache(const TextConfig& config, ggml_type type, int context_size, int chunk, int slots,
                 Device& device) {
  if (config.head_dim % ggml_blck_size(type) != 0) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("kvType ") + ggml_type_name(type) + " needs heads of a multiple of " +
                    std::to_string(ggml_blck_size(type)) + ", this model's have " +
                    std::to_string(config.head_dim));
  }
  const int needed =
      config.window > 0 ? std::min(context_size, config.window - 1 + chunk) : context_size;
  const int ring = (needed + kRowAlignment - 1) / kRowAlignment * kRowAlignment;
  const size_t tensors = static_cast<size_t>(slots) * static_cast<size_t>(config.layers) * 2;
  context_.reset(ggml_init({ggml_tensor_overhead() * tensors, nullptr, true}));
  if (!context_) throw std::bad_alloc();
  for (int i = 0; i < slots; ++i) {
    auto slot = std::make_unique<KvSlot>();
    slot->ring_ = ring;
    slot->window_ = config.window;
    for (int layer = 0; layer < config.layers; ++layer) {
      slot->keys_.push_back(ggml_new_tensor_2d(context_.get(), type, config.kv_width(), ring));
      slot->values_.push_back(ggml_new_tensor_2d(context_.get(), type, config.kv_width(), ring));
    }
    slots_.push_back(std::move(slot));
  }
  buffer_ = device.allocate(context_.get(), "the KV cache");
}

KvSlot* KvCache::acquire(const Prompt& prompt) {
  KvSlot* best = nullptr;
  int best_prefix = 0;
  for (const auto& slot : slots_) {
    if (slot->busy) continue;
    const int prefix = slot->reusable_prefix(prompt);
    if (best == nullptr || prefix > best_prefix ||
        (prefix == best_prefix && slot->last_used < best->last_used)) {
      best = slot.get();
      best_prefix = prefix;
    }
  }
  if (best != nullptr) best->busy = true;
  return best;
}

void KvCache::release(KvSlot& slot) {
  slot.busy = false;
  slot.last_used = ++clock_;
}

}  // namespace xgenmm
