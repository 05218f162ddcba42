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

void Phi3::reserve(const KvSlot& slot) const {
  Chunk largest;
  largest.count = std::min(kMaxChunk, slot.ring());
  largest.outputs = std::min(kMaxOutputs, largest.count);
  largest.embeddings = nullptr;
  largest.visible_rows = slot.ring();
  Graph graph(nodes(), true);
  build(graph, slot, largest, nullptr);
  device_.reserve(graph);
}

bool Phi3::forward(KvSlot& slot, const Prompt& prompt, int count, int outputs,
                   std::vector<float>& logits, Taps* taps) const {
  const int first = slot.length();
  const size_t width = static_cast<size_t>(config_.width);
  std::vector<float> embeddings(width * static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    float* out = embeddings.data() + width * static_cast<size_t>(i);
    const PromptPosition& position = prompt[first + i];
    if (position.token >= 0) {
      embed(position.token, out);
    } else {
      std::memcpy(out, prompt.image_row(first + i), width * sizeof(float));
    }
  }
  if (!run(slot, chunk(slot, embeddings.data(), count, outputs), logits, taps)) return false;
  for (int i = 0; i < count; ++i) slot.append(prompt[first + i]);
  return true;
}

bool Phi3::forward(KvSlot& slot, int32_t token, std::vector<float>& logits) const {
  std::vector<float> embedding(static_cast<size_t>(config_.width));
  embed(token, embedding.data());
  if (!run(slot, chunk(slot, embedding.data(), 1, 1), logits, nullptr)) return false;
  slot.append({token, -1, nullptr});
  return true;
}

void Phi3::embed(int32_t token, float* out) const {
  const char* row =
      static_cast<const char*>(embedding_->data) + embedding_->nb[1] * static_cast<size_t>(token);
  if (embedding_->type == GGML_TYPE_F32) {
    std::memcpy(out, row, static_cast<size_t>(config_.width) * sizeof(float));
  } else {
    ggml_get_type_traits(embedding_->type)->to_float(row, out, config_.width);
  }
}

Phi3::Chunk Phi3::chunk(const KvSlot& slot, const float* embeddings, int count, int outputs) const {
  Chunk chunk;
  chunk.count = count;
  chunk.outputs = outputs;
  chunk.embeddings = embeddings;
  for (int position = slot.length(); position < slot.length() + count; ++position) {
    chunk.positions.push_back(position);
    chunk.rows.push_back(slot.row(position));
  }
  const int touched = (slot.length() + count + kRowStep - 1) / kRowStep * kRowStep;
  chunk.visible_rows = std::min(slot.ring(), touched);
  chunk.mask = slot.mask(chunk.visible_rows, count);
  return chunk;
}

bool Phi3::run(KvSlot& slot, const Chunk& chunk, std::vector<float>& logits, Taps* taps) const {
  slot.begin_write(chunk.count);
  Graph graph(nodes(), true);
  ggml_tensor* out = build(graph, slot, chunk, taps);
  if (!device_.compute(graph)) return false;
  if (taps != nullptr) graph.collect_taps(taps);
  if (out == nullptr) {
    logits.clear();
  } else {
    logits = Graph::read(out);
  }
  return true;
}

ggml_tensor* Phi3::attention(Graph& graph, ggml_tensor* x, const Phi3Layer& layer,
                             ggml_tensor* keys, ggml_tensor* values, ggml_tensor* positions,
                             ggml_tensor* rows, ggml_tensor* mask) const {
  ggml_context* context = graph.context();
  const int64_t head_dim = config_.head_dim;
  const int64_t count = x->ne[1];
  ggml_tensor* qkv = graph.linear(x, layer.qkv);  // [width + 2 * kv width, count]
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
  ggml_tensor* q = rotate(part(config_.heads, 0));
  ggml_tensor* k = rotate(part(config_.kv_heads, config_.width));
  ggml_tensor* v = ggml_view_2d(context, qkv, kv_width, count, qkv->nb[1],
                                static_cast<size_t>(config_.width + kv_width) * qkv->nb[0]);
  graph.expand(ggml_set_rows(context, keys, ggml_reshape_2d(context, k, kv_width, count), rows));
  graph.expand(ggml_set_rows(context, values, v, rows));
  // cache: [kv width, ring] -> [head_dim, visible rows, kv heads]
  const auto visible = [&](ggml_tensor* cache) {
    return ggml_view_3d(context, cache, head_dim, mask->ne[0], config_.kv_heads, cache->nb[1],
                        ggml_row_size(cache->type, head_dim), 0);
  };
  ggml_tensor* y =
      graph.attention(ggml_permute(context, q, 0, 2, 1, 3), visible(keys), visible(values), mask);
  return graph.linear(ggml_reshape_2d(context, y, config_.width, count), layer.output);
}

ggml_tensor* Phi3::build(Graph& graph, const KvSlot& slot, const Chunk& chunk,
                         const Taps* taps) const {
  ggml_context* context = graph.context();
  const int64_t count = chunk.count;
  ggml_tensor* x = graph.input(GGML_TYPE_F32, {config_.width, count}, chunk.embeddings);
  ggml_tensor* positions = graph.input(GGML_TYPE_I32, {count}, chunk.positions.data());
  ggml_tensor* rows = graph.input(GGML_TYPE_I64, {count}, chunk.rows.data());
  ggml_tensor* mask = graph.input(GGML_TYPE_F16, {chunk.visible_rows, count}, chunk.mask.data());
  graph.tap("llm.0", x, taps);
  for (int i = 0; i < config_.layers; ++i) {
    const Phi3Layer& layer = layers_[static_cast<size_t>(i)];
    ggml_tensor* h = graph.rms_norm(x, layer.attn_norm, config_.rms_epsilon);
    x = ggml_add(context, x,
                 attention(graph, h, layer, slot.keys(i), slot.values(i), positions, rows, mask));
    h = graph.rms_norm(x, layer.ffn_norm, config_.rms_epsilon);
    h = ggml_swiglu(context, graph.linear(h, layer.up));
    x = ggml_add(context, x, graph.linear(h, layer.down));
    graph.tap("llm." + std::to_string(i + 1), x, taps);
  }
  // Without outputs the last layer's keys and values are all that is wanted.
  graph.expand(x);
  if (chunk.outputs == 0) return nullptr;
  x = ggml_view_2d(context, x, config_.width, chunk.outputs, x->nb[1],
                   static_cast<size_t>(count - chunk.outputs) * x->nb[1]);
  x = graph.rms_norm(x, output_norm_, config_.rms_epsilon);
  graph.tap("hidden", x, taps);
  return graph.output(graph.linear(x, output_, output_bias_));
}

}  // namespace xgenmm
