#include "text/host_attention.h"

#include <algorithm>
#include <cmath>

namespace xgenmm {

namespace {

// Columns that are worth a thread's while; their keys share blocks.
constexpr int64_t kLeastColumns = KvRows::kBlockRows;

// The pairs (i, i + size / 2) of a head turned by their angles: apply_rotary_pos_emb of the
// reference. angles: the cosines, then the sines. out may be x.
void rotate(const float* x, const float* angles, int64_t size, float* out) {
  const int64_t half = size / 2;
  for (int64_t i = 0; i < half; ++i) {
    const float first = x[i];
    const float second = x[half + i];
    out[i] = first * angles[i] - second * angles[half + i];
    out[half + i] = second * angles[i] + first * angles[half + i];
  }
}

}  // namespace

HostAttention::HostAttention(const TextConfig& config, CpuDevice& device, const Batch& batch,
                             CpuGraph& graph)
    : config_(config),
      device_(device),
      batch_(batch),
      graph_(graph),
      angles_(static_cast<size_t>(batch.count) * static_cast<size_t>(config.head_dim)) {
  for (int i = 0; i < config.head_dim / 2; ++i) {
    const double power = 2.0 * i / config.head_dim;
    frequencies_.push_back(static_cast<float>(std::pow(config.rope_theta, -power)));
  }
  angles_input_ = graph.input(GGML_TYPE_F32, {config.head_dim, batch.count}, angles_.data());
}

bool HostAttention::prepare() {
  float* out = angles_.data();
  for (const Span& span : batch_.spans) {
    for (int i = 0; i < span.count; ++i) {
      const auto position = static_cast<float>(span.first_position + i);
      for (const float frequency : frequencies_) *out++ = std::cos(position * frequency);
      for (const float frequency : frequencies_) *out++ = std::sin(position * frequency);
    }
  }
  return true;
}

ggml_tensor* HostAttention::rotate_and_store(ggml_tensor* qkv, int layer) {
  return graph_.node(GGML_TYPE_F32, {config_.width, qkv->ne[1], 1, 1}, {qkv, angles_input_},
                     [this, layer](ggml_tensor* out) {
                       for (const Span& span : batch_.spans) {
                         rotate_and_store(static_cast<float*>(out->src[0]->data),
                                          static_cast<const float*>(out->src[1]->data), span, layer,
                                          static_cast<float*>(out->data));
                       }
                     });
}

void HostAttention::rotate_and_store(float* qkv, const float* angles, const Span& span, int layer,
                                     float* queries) const {
  const int64_t size = config_.head_dim;
  const int64_t width = config_.width;
  const int64_t kv_width = config_.kv_width();
  const KvRows& cache = span.slot->rows(layer);
  device_.pool().run(span.count, kLeastColumns, [&](int64_t first, int64_t last, int) {
    for (int64_t i = first; i < last; ++i) {
      const int64_t column = span.first_column + i;
      const float* own_angles = angles + column * size;
      float* row = qkv + column * (width + 2 * kv_width);
      float* keys = row + width;
      for (int64_t at = 0; at < width; at += size)
        rotate(row + at, own_angles, size, queries + column * width + at);
      for (int64_t at = 0; at < kv_width; at += size)
        rotate(keys + at, own_angles, size, keys + at);
      cache.store(span.slot->row(span.first_position + static_cast<int>(i)), keys, keys + kv_width);
    }
  });
}

CachedAttention HostAttention::attention_of(const Span& span, int layer) const {
  CachedAttention attention{};
  attention.cache = span.slot->rows(layer);
  attention.heads = config_.heads;
  attention.first = span.first_position;
  attention.count = span.count;
  attention.window = config_.window;
  attention.scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
  return attention;
}

ggml_tensor* HostAttention::attend(ggml_tensor* queries, int layer, bool wanted_only) {
  const std::vector<Span>& spans = wanted_only ? batch_.output_spans : batch_.spans;
  // All slots are alike.
  const size_t scratch_bytes = attention_of(spans.front(), layer).scratch_bytes();
  ggml_tensor* scratch = graph_.scratch(scratch_bytes * static_cast<size_t>(device_.threads()));
  return graph_.node(GGML_TYPE_F32, {queries->ne[0], queries->ne[1], 1, 1}, {queries, scratch},
                     [this, layer, &spans, scratch_bytes](ggml_tensor* out) {
                       const int64_t heads = config_.kv_heads;
                       const auto run = [&](int64_t first, int64_t last, int thread) {
                         // Ranges may go from one span's heads to the next one's.
                         while (first < last) {
                           const int64_t own = first / heads;
                           const int64_t end = std::min(last, (own + 1) * heads);
                           const Span& span = spans[static_cast<size_t>(own)];
                           const int64_t at = int64_t{span.first_column} * config_.width;
                           CachedAttention attention = attention_of(span, layer);
                           attention.queries = static_cast<const float*>(out->src[0]->data) + at;
                           attention.out = static_cast<float*>(out->data) + at;
                           attend_cached(attention, first - own * heads, end - own * heads,
                                         static_cast<uint8_t*>(out->src[1]->data) +
                                             scratch_bytes * static_cast<size_t>(thread));
                           first = end;
                         }
                       };
                       device_.pool().run(heads * static_cast<int64_t>(spans.size()), 1, run);
                     });
}

}  // namespace xgenmm
