#include "text/kv_cache.h"

#include <algorithm>
#include <string>

#include "base/error.h"
#include "text/kv_shape.h"

namespace xgenmm {

namespace {

// Positions that another request must be about to compute for this one to wait for it: fewer are
// computed sooner than waited for.
constexpr int kWorthWaiting = 32;

}  // namespace

void KvTensors::copy(const KvTensors& from, int64_t first, int64_t count) const {
  if (count <= 0) return;
  const ContextHandle context(ggml_init({4 * ggml_tensor_overhead(), nullptr, true}));
  if (!context) throw std::bad_alloc();
  const auto view = [&](ggml_tensor* tensor) {
    ggml_tensor* rows = ggml_view_2d(context.get(), tensor, tensor->ne[0], count, tensor->nb[1],
                                     static_cast<size_t>(first) * tensor->nb[1]);
    ggml_backend_view_init(rows);
    return rows;
  };
  ggml_backend_tensor_copy(view(from.keys), view(keys));
  ggml_backend_tensor_copy(view(from.values), view(values));
}

void KvTensors::clear(int64_t first, int64_t count) const {
  for (ggml_tensor* tensor : {keys, values}) {
    const size_t row = tensor->nb[1];
    ggml_backend_tensor_memset(tensor, 0, static_cast<size_t>(first) * row,
                               static_cast<size_t>(count) * row);
  }
}

int KvSlot::reusable_prefix(const Prompt& prompt, int most) const {
  most = std::min({most, length(), prompt.length()});
  int same = 0;
  while (same < most && positions_[static_cast<size_t>(same)] == prompt[same]) ++same;
  return can_truncate(same) ? same : 0;
}

bool KvSlot::can_truncate(int length) const {
  // The next position still needs its window - 1 predecessors.
  return !wrapped() || length >= written_ - ring_ + window_ - 1;
}

void KvSlot::copy_prefix(const KvSlot& source, int length) {
  const auto copy = [&](int64_t first, int64_t count) {
    for (size_t i = 0; i < layers_.size(); ++i) {
      if (layers_[i].rows.keys != nullptr) {
        layers_[i].rows.copy(source.layers_[i].rows, first, count);
      } else {
        layers_[i].tensors.copy(source.layers_[i].tensors, first, count);
      }
    }
  };
  // Until all is there, nothing of it counts.
  truncate(0);
  const int oldest = source.wrapped() ? source.written_ - source.ring_ : 0;
  const int64_t before_end = std::min<int64_t>(length - oldest, ring_ - row(oldest));
  copy(row(oldest), before_end);
  copy(0, length - oldest - before_end);
  positions_.assign(source.positions_.begin(), source.positions_.begin() + length);
  written_ = source.wrapped() ? source.written_ : length;
}

void KvSlot::clear_from(int length) {
  const int64_t count = std::min(written_ - length, ring_);
  if (count <= 0) return;
  const int64_t before_end = std::min<int64_t>(count, ring_ - row(length));
  for (const Layer& layer : layers_) {
    if (layer.rows.keys != nullptr) continue;
    layer.tensors.clear(row(length), before_end);
    layer.tensors.clear(0, count - before_end);
  }
}

void KvSlot::truncate(int length) {
  clear_from(length);
  positions_.resize(static_cast<size_t>(length));
  if (length == 0) written_ = 0;
}

void KvSlot::begin_write(int count) {
  written_ = std::max(written_, length() + count);
}

KvCache::KvCache(const TextConfig& config, ggml_type type, int context_size, int chunk, int slots,
                 const std::vector<Device*>& devices)
    : devices_(devices) {
  if (!kv_type_fits(config, type)) {
    throw Error(ErrorCode::kInvalidArgument,
                std::string("kvType ") + ggml_type_name(type) + " needs heads of a multiple of " +
                    std::to_string(ggml_blck_size(type)) + ", this model's have " +
                    std::to_string(config.head_dim));
  }
  const int ring = kv_ring(config, context_size, chunk);
  const KvRows shape{type, config.head_dim, config.kv_heads, ring, nullptr, nullptr};
  const auto bytes = static_cast<int64_t>(shape.bytes());
  for (int i = 0; i < slots; ++i) {
    auto slot = std::make_unique<KvSlot>();
    slot->ring_ = ring;
    slot->window_ = config.window;
    for (Device* device : devices) {
      ggml_context* context = context_on(*device, 2 * devices.size() * static_cast<size_t>(slots));
      const auto make = [&] {
        return device->is_cpu() ? ggml_new_tensor_1d(context, GGML_TYPE_I8, bytes)
                                : ggml_new_tensor_2d(context, type, config.kv_width(), ring);
      };
      slot->layers_.push_back({{make(), make()}, shape});
    }
    slots_.push_back(std::move(slot));
  }
}

ggml_context* KvCache::context_on(Device& device, size_t tensors) {
  for (const Part& part : parts_) {
    if (part.device == &device) return part.context.get();
  }
  parts_.push_back(
      {&device, ContextHandle(ggml_init({ggml_tensor_overhead() * tensors, nullptr, true})), {}});
  if (!parts_.back().context) throw std::bad_alloc();
  return parts_.back().context.get();
}

void KvCache::allocate(const std::function<void(double)>& progress) {
  for (size_t i = 0; i < parts_.size(); ++i) {
    Part& part = parts_[i];
    part.buffer = part.device->allocate(part.context.get(), "the KV cache", [&](double fraction) {
      const auto done = static_cast<double>(i);
      if (progress) progress((done + fraction) / static_cast<double>(parts_.size()));
    });
  }
  for (const auto& slot : slots_) {
    for (size_t i = 0; i < devices_.size(); ++i) {
      if (!devices_[i]->is_cpu()) continue;
      KvSlot::Layer& layer = slot->layers_[i];
      layer.rows.keys = static_cast<uint8_t*>(layer.tensors.keys->data);
      layer.rows.values = static_cast<uint8_t*>(layer.tensors.values->data);
    }
  }
}

void KvCache::claim() {
  for (Part& part : parts_) part.buffer = part.device->claim(part.context.get());
}

KvSlot* KvCache::acquire(const Prompt& prompt, int most) {
  const auto busy = [](const auto& slot) { return slot->busy_; };
  if (std::all_of(slots_.begin(), slots_.end(), busy)) return nullptr;
  const KvSlot* source = nullptr;
  int available = 0;
  for (const auto& slot : slots_) {
    const int prefix = slot->reusable_prefix(prompt, most);
    if (prefix > available) {
      available = prefix;
      source = slot.get();
    }
  }
  if (worth_waiting(prompt, most, available)) return nullptr;
  KvSlot* slot = choose_idle(prompt, most);
  if (slot == nullptr) return nullptr;
  const int own = slot->reusable_prefix(prompt, most);
  if (own == available) {
    slot->truncate(own);
  } else {
    slot->copy_prefix(*source, available);
  }
  slot->busy_ = true;
  return slot;
}

bool KvCache::worth_waiting(const Prompt& prompt, int most, int available) const {
  return std::any_of(slots_.begin(), slots_.end(), [&](const auto& slot) {
    if (slot->filling == nullptr) return false;
    const Prompt& other = *slot->filling;
    const int end = std::min({most, prompt.length(), other.length()});
    int same = 0;
    while (same < end && other[same] == prompt[same]) ++same;
    return slot->length() < same && same - available >= kWorthWaiting;
  });
}

KvSlot* KvCache::choose_idle(const Prompt& prompt, int most) const {
  // The one whose loss is least: the positions that would be forgotten, the less dear the longer
  // nobody used them. Of equals the one that has most of the prompt, then the oldest.
  KvSlot* best = nullptr;
  double best_loss = 0;
  int best_prefix = 0;
  for (const auto& slot : slots_) {
    if (slot->busy_) continue;
    const int prefix = slot->reusable_prefix(prompt, most);
    const double loss =
        (slot->length() - prefix) / static_cast<double>(1 + clock_ - slot->last_used_);
    const bool better =
        best == nullptr || loss < best_loss ||
        (loss == best_loss &&
         (prefix > best_prefix || (prefix == best_prefix && slot->last_used_ < best->last_used_)));
    if (!better) continue;
    best = slot.get();
    best_loss = loss;
    best_prefix = prefix;
  }
  return best;
}

void KvCache::release(KvSlot& slot) {
  slot.busy_ = false;
  slot.filling = nullptr;
  slot.last_used_ = ++clock_;
}

}  // namespace xgenmm
