#include "text/phi3.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

namespace xgenmm {

namespace {

// Columns that are worth a thread's while; their keys share blocks.
constexpr int64_t kLeastColumns = KvRows::kBlockRows;

std::vector<TensorSpec> tensor_table(const TextConfig& config, const GgufFile& file) {
  const bool plain = file.string("general.architecture") == "phi3";
  return text_tensors(config, plain && file.find_tensor("output.weight") == nullptr, !plain);
}

// [width, columns] of each layer -> [columns, layers + 1, width], row-major.
std::vector<float> interleave(const std::vector<ggml_tensor*>& layers) {
  if (layers.empty()) return {};
  const size_t width = static_cast<size_t>(layers.front()->ne[0]);
  const size_t columns = static_cast<size_t>(layers.front()->ne[1]);
  std::vector<float> result(columns * layers.size() * width);
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    const std::vector<float> values = Graph::read(layers[layer]);
    for (size_t i = 0; i < columns; ++i) {
      std::copy_n(values.data() + i * width, width,
                  result.data() + (i * layers.size() + layer) * width);
    }
  }
  return result;
}

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

Phi3::Phi3(const TextConfig& config, std::shared_ptr<const GgufFile> file, Device& device)
    : config_(config), weights_(file, tensor_table(config, *file)), device_(device) {
  embedding_ = weights_.get("token_embd.weight");
  for (int i = 0; i < config.layers; ++i) {
    const auto get = [&](const char* name) {
      return weights_.get("blk." + std::to_string(i) + "." + name);
    };
    layers_.push_back({get("attn_norm.weight"), get("attn_qkv.weight"), get("attn_output.weight"),
                       get("ffn_norm.weight"), get("ffn_up.weight"), get("ffn_down.weight")});
  }
  for (int i = 0; i < config.head_dim / 2; ++i) {
    const double power = 2.0 * i / config.head_dim;
    frequencies_.push_back(static_cast<float>(std::pow(config.rope_theta, -power)));
  }
  output_norm_ = weights_.get("output_norm.weight");
  output_ = weights_.find("output.weight");
  if (output_ == nullptr) output_ = embedding_;
  output_bias_ = weights_.find("output.bias");
}

void Phi3::pack(const std::function<void(double)>& progress) {
  weights_.pack(device_.pool(), device_.free_memory(), output_ == embedding_ ? nullptr : embedding_,
                progress);
}

void Phi3::reserve(const KvCache& cache) const {
  Batch largest;
  for (int i = 0; i < cache.slots(); ++i) {
    const KvSlot& slot = cache.slot(i);
    const int count = i == 0 ? std::min(kMaxChunk, slot.ring()) : 1;
    largest.spans.push_back({&slot, largest.count, 0, count});
    largest.output_spans.push_back({&slot, 0, 0, std::min(count, kMaxOutputs)});
    largest.outputs.resize(largest.outputs.size() +
                           static_cast<size_t>(largest.output_spans.back().count));
    largest.count += count;
  }
  Graph graph(nodes(), device_.pool(), device_.importance());
  build(graph, largest, nullptr, nullptr);
  device_.reserve(graph);
}

bool Phi3::forward(const std::vector<Continuation>& parts, std::vector<float>& logits, Taps* taps,
                   std::vector<float>* hidden) {
  Batch batch = make_batch(parts);
  for (const Continuation& part : parts) part.slot->begin_write(part.count);
  std::unique_ptr<Step> fresh;
  const bool plain = taps == nullptr && hidden == nullptr;
  if (plain && last_ && last_->batch.is_like(batch) && device_.has_planned(last_->graph)) {
    last_->batch.take(batch);
  } else {
    fresh = std::make_unique<Step>(std::move(batch), nodes(), device_);
    fresh->logits = build(fresh->graph, fresh->batch, taps, plain ? nullptr : &fresh->hidden);
  }
  if (plain && fresh) last_ = std::move(fresh);
  Step& step = plain ? *last_ : *fresh;
  if (!device_.compute(step.graph)) return false;
  if (taps != nullptr) step.graph.collect_taps(taps);
  logits = step.logits == nullptr ? std::vector<float>() : Graph::read(step.logits);
  if (hidden != nullptr) *hidden = interleave(step.hidden);
  for (const Continuation& part : parts) {
    std::vector<PromptPosition> positions;
    for (int i = 0; i < part.sure(); ++i) positions.push_back(part[i]);
    for (PromptPosition& position : positions) part.slot->append(std::move(position));
  }
  return true;
}

bool Phi3::Batch::is_like(const Batch& other) const {
  return outputs == other.outputs &&
         std::equal(
             spans.begin(), spans.end(), other.spans.begin(), other.spans.end(),
             [](const Span& a, const Span& b) { return a.slot == b.slot && a.count == b.count; });
}

void Phi3::Batch::take(const Batch& other) {
  std::copy(other.embeddings.begin(), other.embeddings.end(), embeddings.begin());
  std::copy(other.angles.begin(), other.angles.end(), angles.begin());
  std::copy(other.spans.begin(), other.spans.end(), spans.begin());
  std::copy(other.output_spans.begin(), other.output_spans.end(), output_spans.begin());
}

Phi3::Batch Phi3::make_batch(const std::vector<Continuation>& parts) const {
  Batch batch;
  const auto width = static_cast<size_t>(config_.width);
  for (const Continuation& part : parts) {
    const int first = part.slot->length();
    batch.spans.push_back({part.slot, batch.count, first, part.count});
    batch.embeddings.resize(static_cast<size_t>(batch.count + part.count) * width);
    for (int i = 0; i < part.count; ++i) {
      embed(part, i, batch.embeddings.data() + static_cast<size_t>(batch.count + i) * width);
      add_angles(first + i, batch.angles);
    }
    batch.count += part.count;
    if (part.outputs == 0) continue;
    batch.output_spans.push_back({part.slot, static_cast<int>(batch.outputs.size()),
                                  first + part.count - part.outputs, part.outputs});
    for (int i = batch.count - part.outputs; i < batch.count; ++i) batch.outputs.push_back(i);
  }
  return batch;
}

void Phi3::add_angles(int position, std::vector<float>& angles) const {
  for (const float frequency : frequencies_)
    angles.push_back(std::cos(static_cast<float>(position) * frequency));
  for (const float frequency : frequencies_)
    angles.push_back(std::sin(static_cast<float>(position) * frequency));
}

void Phi3::embed(const Continuation& part, int index, float* out) const {
  const PromptPosition position = part[index];
  const size_t width = static_cast<size_t>(config_.width);
  if (position.token < 0) {
    std::memcpy(out, part.prompt->image_row(part.slot->length() + index), width * sizeof(float));
    return;
  }
  const char* row = static_cast<const char*>(embedding_->data) +
                    embedding_->nb[1] * static_cast<size_t>(position.token);
  if (embedding_->type == GGML_TYPE_F32) {
    std::memcpy(out, row, width * sizeof(float));
  } else {
    ggml_get_type_traits(embedding_->type)->to_float(row, out, config_.width);
  }
}

ggml_tensor* Phi3::rotate_and_store(Graph& graph, ggml_tensor* x, int layer, ggml_tensor* angles,
                                    const std::vector<Span>& spans) const {
  const Phi3Layer& weights = layers_[static_cast<size_t>(layer)];
  x = graph.rms_norm(x, weights.attn_norm, config_.rms_epsilon);
  // [width + 2 * kv width, columns]: queries, keys, values
  ggml_tensor* qkv = graph.linear(x, weights.qkv);
  return graph.node(GGML_TYPE_F32, {config_.width, x->ne[1], 1, 1}, {qkv, angles},
                    [this, layer, &spans](ggml_tensor* out) {
                      for (const Span& span : spans) {
                        rotate_and_store(static_cast<float*>(out->src[0]->data),
                                         static_cast<const float*>(out->src[1]->data), span, layer,
                                         static_cast<float*>(out->data));
                      }
                    });
}

void Phi3::rotate_and_store(float* qkv, const float* angles, const Span& span, int layer,
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

CachedAttention Phi3::attention_of(const Span& span, int layer) const {
  CachedAttention attention{};
  attention.cache = span.slot->rows(layer);
  attention.heads = config_.heads;
  attention.first = span.first_position;
  attention.count = span.count;
  attention.window = config_.window;
  attention.scale = 1.0f / std::sqrt(static_cast<float>(config_.head_dim));
  return attention;
}

ggml_tensor* Phi3::attend(Graph& graph, ggml_tensor* queries, int layer,
                          const std::vector<Span>& spans) const {
  // All slots are alike.
  const size_t scratch_bytes = attention_of(spans.front(), layer).scratch_bytes();
  ggml_tensor* scratch = graph.scratch(scratch_bytes * static_cast<size_t>(device_.threads()));
  return graph.node(GGML_TYPE_F32, {queries->ne[0], queries->ne[1], 1, 1}, {queries, scratch},
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

ggml_tensor* Phi3::build(Graph& graph, const Batch& batch, const Taps* taps,
                         std::vector<ggml_tensor*>* hidden) const {
  ggml_context* context = graph.context();
  ggml_tensor* x =
      graph.input(GGML_TYPE_F32, {config_.width, batch.count}, batch.embeddings.data());
  ggml_tensor* angles =
      graph.input(GGML_TYPE_F32, {config_.head_dim, batch.count}, batch.angles.data());
  ggml_tensor* wanted = nullptr;
  if (!batch.outputs.empty()) {
    wanted = graph.input(GGML_TYPE_I32, {static_cast<int64_t>(batch.outputs.size())},
                         batch.outputs.data());
  }
  const auto keep = [&](bool trimmed) {
    if (hidden == nullptr || wanted == nullptr) return;
    hidden->push_back(graph.output(trimmed ? x : ggml_get_rows(context, x, wanted)));
  };
  keep(false);
  for (int i = 0; i < config_.layers; ++i) {
    const Phi3Layer& layer = layers_[static_cast<size_t>(i)];
    // Of the other columns only the keys and values are wanted, unless somebody sums up what is
    // multiplied.
    const bool trim = i + 1 == config_.layers && device_.importance() == nullptr;
    ggml_tensor* queries = rotate_and_store(graph, x, i, angles, batch.spans);
    if (trim) {
      graph.expand(queries);
      if (wanted == nullptr) return nullptr;
      queries = ggml_get_rows(context, queries, wanted);
      x = ggml_get_rows(context, x, wanted);
    }
    ggml_tensor* y = attend(graph, queries, i, trim ? batch.output_spans : batch.spans);
    x = graph.linear_onto(x, y, layer.output);
    ggml_tensor* h = graph.rms_norm(x, layer.ffn_norm, config_.rms_epsilon);
    x = graph.linear_onto(x, graph.linear_gated_silu(h, layer.up), layer.down);
    keep(trim);
  }
  graph.expand(x);
  if (wanted == nullptr) return nullptr;
  if (device_.importance() != nullptr) x = ggml_get_rows(context, x, wanted);
  x = graph.rms_norm(x, output_norm_, config_.rms_epsilon);
  graph.tap("hidden", x, taps);
  return graph.output(graph.linear(x, output_, output_bias_));
}

}  // namespace xgenmm
