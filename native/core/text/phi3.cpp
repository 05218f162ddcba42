#include "text/phi3.h"

#include <algorithm>
#include <cstring>
#include <string>

namespace xgenmm {

namespace {

// The mask's rows grow in steps, so that graphs of neighbouring lengths look alike.
constexpr int kRowStep = 256;

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
  output_norm_ = weights_.get("output_norm.weight");
  output_ = weights_.find("output.weight");
  if (output_ == nullptr) output_ = embedding_;
  output_bias_ = weights_.find("output.bias");
}

void Phi3::pack(const std::function<void(double)>& progress) {
  weights_.pack(device_.threads(), device_.free_memory(),
                output_ == embedding_ ? nullptr : embedding_, progress);
}

void Phi3::reserve(const KvCache& cache) const {
  Batch largest;
  for (int i = 0; i < cache.slots(); ++i) {
    const KvSlot& slot = cache.slot(i);
    Span span{&slot, largest.count, i == 0 ? std::min(kMaxChunk, slot.ring()) : 1,
              {},    slot.ring(),   {}};
    largest.count += span.count;
    largest.spans.push_back(std::move(span));
  }
  const int outputs = std::min(kMaxOutputs, largest.spans.front().count) + cache.slots() - 1;
  largest.outputs.resize(static_cast<size_t>(outputs));
  Graph graph(nodes(largest.spans.size()), device_.threads(), device_.importance(), true);
  build(graph, largest, nullptr, nullptr);
  device_.reserve(graph);
}

bool Phi3::forward(const std::vector<Continuation>& parts, std::vector<float>& logits, Taps* taps,
                   std::vector<float>* hidden) const {
  Batch batch = make_batch(parts);
  for (const Continuation& part : parts) part.slot->begin_write(part.count);
  Graph graph(nodes(parts.size()), device_.threads(), device_.importance(), true);
  std::vector<ggml_tensor*> layers;
  ggml_tensor* out = build(graph, batch, taps, hidden == nullptr ? nullptr : &layers);
  if (!device_.compute(graph)) return false;
  if (taps != nullptr) graph.collect_taps(taps);
  logits = out == nullptr ? std::vector<float>() : Graph::read(out);
  if (hidden != nullptr) *hidden = interleave(layers);
  for (const Continuation& part : parts) {
    std::vector<PromptPosition> positions;
    for (int i = 0; i < part.sure(); ++i) positions.push_back(part[i]);
    for (PromptPosition& position : positions) part.slot->append(std::move(position));
  }
  return true;
}

Phi3::Batch Phi3::make_batch(const std::vector<Continuation>& parts) const {
  Batch batch;
  for (const Continuation& part : parts) {
    const KvSlot& slot = *part.slot;
    const int end = slot.length() + part.count;
    Span span{&slot, batch.count, part.count, {}, 0, {}};
    batch.embeddings.resize(static_cast<size_t>(batch.count + part.count) *
                            static_cast<size_t>(config_.width));
    for (int i = 0; i < part.count; ++i) {
      embed(part, i,
            batch.embeddings.data() +
                static_cast<size_t>(config_.width) * static_cast<size_t>(batch.count + i));
      batch.positions.push_back(slot.length() + i);
      span.rows.push_back(slot.row(slot.length() + i));
    }
    batch.count += part.count;
    for (int i = batch.count - part.outputs; i < batch.count; ++i) batch.outputs.push_back(i);
    span.visible_rows = std::min(slot.ring(), (end + kRowStep - 1) / kRowStep * kRowStep);
    span.mask = slot.mask(span.visible_rows, part.count);
    batch.spans.push_back(std::move(span));
  }
  return batch;
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

ggml_tensor* Phi3::attention(Graph& graph, ggml_tensor* residual, int layer, ggml_tensor* positions,
                             const std::vector<Span>& spans) const {
  ggml_context* context = graph.context();
  const Phi3Layer& weights = layers_[static_cast<size_t>(layer)];
  ggml_tensor* x = graph.rms_norm(residual, weights.attn_norm, config_.rms_epsilon);
  const int64_t head_dim = config_.head_dim;
  const int64_t count = x->ne[1];
  ggml_tensor* qkv = graph.linear(x, weights.qkv);  // [width + 2 * kv width, count]
  const auto part = [&](int64_t heads, int64_t offset) {
    return ggml_view_3d(context, qkv, head_dim, heads, count,
                        static_cast<size_t>(head_dim) * qkv->nb[0], qkv->nb[1],
                        static_cast<size_t>(offset) * qkv->nb[0]);
  };
  const auto rotate = [&](ggml_tensor* t) {
    return ggml_rope_ext(context, t, positions, nullptr, config_.head_dim, GGML_ROPE_TYPE_NEOX, 0,
                         config_.rope_theta, 1.0f, 0.0f, 1.0f, 0.0f, 0.0f);
  };
  const int64_t kv_width = config_.kv_width();
  ggml_tensor* q = rotate(part(config_.heads, 0));  // [head_dim, heads, count]
  ggml_tensor* k =
      ggml_reshape_2d(context, rotate(part(config_.kv_heads, config_.width)), kv_width, count);
  std::vector<ggml_tensor*> parts;  // of the result, [head_dim, heads, span's count] each
  for (const Span& span : spans) {
    const size_t first = static_cast<size_t>(span.first);
    ggml_tensor* keys = span.slot->keys(layer);
    ggml_tensor* values = span.slot->values(layer);
    ggml_tensor* new_keys =
        ggml_view_2d(context, k, kv_width, span.count, k->nb[1], first * k->nb[1]);
    ggml_tensor* new_values = ggml_view_2d(
        context, qkv, kv_width, span.count, qkv->nb[1],
        first * qkv->nb[1] + static_cast<size_t>(config_.width + kv_width) * qkv->nb[0]);
    graph.expand(ggml_set_rows(context, keys, new_keys, span.rows_input));
    graph.expand(ggml_set_rows(context, values, new_values, span.rows_input));
    // cache: [kv width, ring] -> [head_dim, visible rows, kv heads]
    const auto visible = [&](ggml_tensor* cache) {
      return ggml_view_3d(context, cache, head_dim, span.visible_rows, config_.kv_heads,
                          cache->nb[1], ggml_row_size(cache->type, head_dim), 0);
    };
    ggml_tensor* queries = ggml_view_3d(context, q, head_dim, config_.heads, span.count, q->nb[1],
                                        q->nb[2], first * q->nb[2]);
    parts.push_back(graph.attention(ggml_permute(context, queries, 0, 2, 1, 3), visible(keys),
                                    visible(values), span.mask_input));
  }
  ggml_tensor* y = graph.concat(parts, 2);
  return graph.linear_onto(residual, ggml_reshape_2d(context, y, config_.width, count),
                           weights.output);
}

ggml_tensor* Phi3::build(Graph& graph, Batch& batch, const Taps* taps,
                         std::vector<ggml_tensor*>* hidden) const {
  ggml_context* context = graph.context();
  ggml_tensor* x =
      graph.input(GGML_TYPE_F32, {config_.width, batch.count}, batch.embeddings.data());
  ggml_tensor* positions = graph.input(GGML_TYPE_I32, {batch.count}, batch.positions.data());
  for (Span& span : batch.spans) {
    span.rows_input = graph.input(GGML_TYPE_I64, {span.count}, span.rows.data());
    span.mask_input = graph.input(GGML_TYPE_F16, {span.visible_rows, span.count}, span.mask.data());
  }
  ggml_tensor* wanted = nullptr;
  if (!batch.outputs.empty()) {
    wanted = graph.input(GGML_TYPE_I32, {static_cast<int64_t>(batch.outputs.size())},
                         batch.outputs.data());
  }
  const auto keep = [&] {
    if (hidden != nullptr && wanted != nullptr)
      hidden->push_back(graph.output(ggml_get_rows(context, x, wanted)));
  };
  keep();
  for (int i = 0; i < config_.layers; ++i) {
    const Phi3Layer& layer = layers_[static_cast<size_t>(i)];
    x = attention(graph, x, i, positions, batch.spans);
    ggml_tensor* h = graph.rms_norm(x, layer.ffn_norm, config_.rms_epsilon);
    x = graph.linear_onto(x, graph.linear_gated_silu(h, layer.up), layer.down);
    keep();
  }
  // Without outputs the last layer's keys and values are all that is wanted.
  graph.expand(x);
  if (wanted == nullptr) return nullptr;
  x = graph.rms_norm(ggml_get_rows(context, x, wanted), output_norm_, config_.rms_epsilon);
  graph.tap("hidden", x, taps);
  return graph.output(graph.linear(x, output_, output_bias_));
}

}  // namespace xgenmm
