#include "text/device_attention.h"

#include <algorithm>
#include <cmath>

namespace xgenmm {

namespace {

constexpr int kRowStep = 256;

}  // namespace

int DeviceAttention::visible_rows(const Span& span) {
  const int end = span.first_position + span.count;
  return std::min(span.slot->ring(), (end + kRowStep - 1) / kRowStep * kRowStep);
}

DeviceAttention::DeviceAttention(const TextConfig& config, const Batch& batch, Graph& graph)
    : config_(config),
      batch_(batch),
      graph_(graph),
      positions_(static_cast<size_t>(batch.count)),
      rows_(static_cast<size_t>(batch.count)) {
  positions_input_ = graph.input(GGML_TYPE_I32, {batch.count}, positions_.data());
  for (const Span& span : batch.spans) {
    rows_inputs_.push_back(
        graph.input(GGML_TYPE_I64, {span.count}, rows_.data() + span.first_column));
  }
  masks_ = make_masks(batch.spans);
  output_masks_ = make_masks(batch.output_spans);
}

std::vector<DeviceAttention::Mask> DeviceAttention::make_masks(const std::vector<Span>& spans) {
  std::vector<Mask> masks;
  for (const Span& span : spans) {
    const int rows = visible_rows(span);
    Mask mask{std::vector<ggml_fp16_t>(static_cast<size_t>(rows) * static_cast<size_t>(span.count)),
              nullptr};
    mask.input = graph_.input(GGML_TYPE_F16, {rows, span.count}, mask.values.data());
    masks.push_back(std::move(mask));
  }
  return masks;
}

bool DeviceAttention::prepare() {
  for (const Span& span : batch_.spans) {
    for (int i = 0; i < span.count; ++i) {
      const auto column = static_cast<size_t>(span.first_column + i);
      positions_[column] = span.first_position + i;
      rows_[column] = span.slot->row(span.first_position + i);
    }
  }
  const auto fill_all = [&](const std::vector<Span>& spans, std::vector<Mask>& masks) {
    for (size_t i = 0; i < spans.size(); ++i) {
      if (masks[i].input->ne[0] != visible_rows(spans[i])) return false;
      fill(spans[i], masks[i]);
    }
    return true;
  };
  return fill_all(batch_.spans, masks_) && fill_all(batch_.output_spans, output_masks_);
}

void DeviceAttention::fill(const Span& span, Mask& mask) const {
  std::fill(mask.values.begin(), mask.values.end(), ggml_fp32_to_fp16(-INFINITY));
  const ggml_fp16_t seen = ggml_fp32_to_fp16(0.0f);
  ggml_fp16_t* row = mask.values.data();
  for (int i = 0; i < span.count; ++i, row += mask.input->ne[0]) {
    const int query = span.first_position + i;
    const int oldest = config_.window > 0 ? std::max(0, query - config_.window + 1) : 0;
    for (int position = oldest; position <= query; ++position) row[span.slot->row(position)] = seen;
  }
}

ggml_tensor* DeviceAttention::rotate_and_store(ggml_tensor* qkv, int layer) {
  ggml_context* context = graph_.context();
  const int64_t head_dim = config_.head_dim;
  const int64_t width = config_.width;
  const int64_t kv_width = config_.kv_width();
  const auto rotated = [&](int64_t heads, int64_t offset) {
    ggml_tensor* part = ggml_view_3d(context, qkv, head_dim, heads, qkv->ne[1],
                                     static_cast<size_t>(head_dim) * qkv->nb[0], qkv->nb[1],
                                     static_cast<size_t>(offset) * qkv->nb[0]);
    part = ggml_rope_ext(context, part, positions_input_, nullptr, config_.head_dim,
                         GGML_ROPE_TYPE_NEOX, 0, config_.rope_theta, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f);
    return ggml_reshape_2d(context, part, heads * head_dim, qkv->ne[1]);
  };
  ggml_tensor* queries = rotated(config_.heads, 0);
  ggml_tensor* keys = rotated(config_.kv_heads, width);
  for (size_t i = 0; i < batch_.spans.size(); ++i) {
    const Span& span = batch_.spans[i];
    const auto first = static_cast<size_t>(span.first_column);
    const auto columns = [&](ggml_tensor* x, int64_t offset) {
      return ggml_view_2d(context, x, kv_width, span.count, x->nb[1],
                          first * x->nb[1] + static_cast<size_t>(offset) * x->nb[0]);
    };
    const KvTensors& cache = span.slot->tensors(layer);
    graph_.expand(ggml_set_rows(context, cache.keys, columns(keys, 0), rows_inputs_[i]));
    graph_.expand(
        ggml_set_rows(context, cache.values, columns(qkv, width + kv_width), rows_inputs_[i]));
  }
  return queries;
}

ggml_tensor* DeviceAttention::attend(ggml_tensor* queries, int layer, bool wanted_only) {
  ggml_context* context = graph_.context();
  const int64_t head_dim = config_.head_dim;
  const std::vector<Span>& spans = wanted_only ? batch_.output_spans : batch_.spans;
  const std::vector<Mask>& masks = wanted_only ? output_masks_ : masks_;
  ggml_tensor* all = nullptr;
  for (size_t i = 0; i < spans.size(); ++i) {
    const Span& span = spans[i];
    ggml_tensor* own = ggml_view_3d(context, queries, head_dim, config_.heads, span.count,
                                    static_cast<size_t>(head_dim) * queries->nb[0], queries->nb[1],
                                    static_cast<size_t>(span.first_column) * queries->nb[1]);
    // cache: [kv width, ring] -> [head_dim, visible rows, kv heads]
    const auto visible = [&](ggml_tensor* cache) {
      return ggml_view_3d(context, cache, head_dim, masks[i].input->ne[0], config_.kv_heads,
                          cache->nb[1], ggml_row_size(cache->type, head_dim), 0);
    };
    const KvTensors& cache = span.slot->tensors(layer);
    ggml_tensor* y = graph_.attention(ggml_permute(context, own, 0, 2, 1, 3), visible(cache.keys),
                                      visible(cache.values), masks[i].input);
    all = all == nullptr ? y : ggml_concat(context, all, y, 2);
  }
  return ggml_reshape_2d(context, all, config_.width, queries->ne[1]);
}

}  // namespace xgenmm
