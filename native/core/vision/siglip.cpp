#include "vision/siglip.h"

namespace xgenmm {

Siglip::Siglip(const TowerConfig& config, const Weights& weights)
    : config_(config),
      patch_weight_(weights.get("v.patch_embd.weight")),
      patch_bias_(weights.get("v.patch_embd.bias")),
      position_(weights.get("v.position_embd.weight")),
      post_weight_(weights.get("v.post_ln.weight")),
      post_bias_(weights.get("v.post_ln.bias")) {
  for (int i = 0; i < config.layers; ++i) {
    const auto get = [&](const char* name) {
      return weights.get("v.blk." + std::to_string(i) + "." + name);
    };
    layers_.push_back({
        get("ln1.weight"),
        get("ln1.bias"),  //
        get("attn_q.weight"),
        get("attn_q.bias"),  //
        get("attn_k.weight"),
        get("attn_k.bias"),  //
        get("attn_v.weight"),
        get("attn_v.bias"),  //
        get("attn_out.weight"),
        get("attn_out.bias"),  //
        get("ln2.weight"),
        get("ln2.bias"),  //
        get("ffn_up.weight"),
        get("ffn_up.bias"),  //
        get("ffn_down.weight"),
        get("ffn_down.bias"),
    });
  }
}

ggml_tensor* Siglip::embed(Graph& graph, ggml_tensor* patches) const {
  ggml_context* context = graph.context();
  // Patches do not overlap, so the convolution is one matrix product (ggml's conv_2d goes through
  // f16).
  ggml_tensor* kernel = ggml_reshape_2d(context, patch_weight_, patches->ne[0], config_.width);
  kernel->extra = patch_weight_->extra;
  ggml_tensor* x = graph.linear(patches, kernel, patch_bias_);
  return ggml_add_inplace(context, x, position_);
}

ggml_tensor* Siglip::attention(Graph& graph, ggml_tensor* residual,
                               const SiglipLayer& layer) const {
  ggml_context* context = graph.context();
  ggml_tensor* x = graph.layer_norm(residual, layer.ln1_weight, layer.ln1_bias, config_.epsilon);
  const int64_t tokens = x->ne[1];
  const int64_t tiles = x->ne[2];
  const int64_t head_dim = config_.width / config_.heads;
  // -> [head_dim, tokens, heads, tiles]
  const auto heads = [&](ggml_tensor* weight, ggml_tensor* bias) {
    ggml_tensor* y = graph.linear(x, weight, bias);
    y = ggml_reshape_4d(context, y, head_dim, config_.heads, tokens, tiles);
    return ggml_permute(context, y, 0, 2, 1, 3);
  };
  ggml_tensor* q = heads(layer.query_weight, layer.query_bias);
  ggml_tensor* k = heads(layer.key_weight, layer.key_bias);
  ggml_tensor* v = heads(layer.value_weight, layer.value_bias);
  ggml_tensor* y =
      ggml_reshape_3d(context, graph.attention(q, k, v, nullptr), config_.width, tokens, tiles);
  return graph.linear_onto(residual, y, layer.out_weight, layer.out_bias);
}

ggml_tensor* Siglip::mlp(Graph& graph, ggml_tensor* residual, const SiglipLayer& layer) const {
  ggml_tensor* x = graph.layer_norm(residual, layer.ln2_weight, layer.ln2_bias, config_.epsilon);
  x = graph.linear_gelu(x, layer.up_weight, layer.up_bias);
  return graph.linear_onto(residual, x, layer.down_weight, layer.down_bias);
}

ggml_tensor* Siglip::block(Graph& graph, ggml_tensor* x, int index) const {
  const SiglipLayer& layer = layers_[static_cast<size_t>(index / 2)];
  return index % 2 == 0 ? attention(graph, x, layer) : mlp(graph, x, layer);
}

ggml_tensor* Siglip::finish(Graph& graph, ggml_tensor* x) const {
  return graph.layer_norm(x, post_weight_, post_bias_, config_.epsilon);
}

}  // namespace xgenmm
