#include "vision/resampler.h"

namespace xgenmm {

Resampler::Resampler(const ResamplerConfig& config, const Weights& weights)
    : config_(config),
      latents_(weights.get("resampler.latents")),
      norm_weight_(weights.get("resampler.norm.weight")),
      norm_bias_(weights.get("resampler.norm.bias")),
      projection_weight_(weights.get("resampler.proj.weight")),
      projection_bias_(weights.get("resampler.proj.bias")) {
  for (int i = 0; i < config.layers; ++i) {
    const auto get = [&](const char* name) {
      return weights.get("resampler.blk." + std::to_string(i) + "." + name);
    };
    layers_.push_back({
        get("norm_media.weight"),
        get("norm_media.bias"),  //
        get("norm_latents.weight"),
        get("norm_latents.bias"),  //
        get("attn_q.weight"),
        get("attn_kv.weight"),
        get("attn_out.weight"),  //
        get("ffn_norm.weight"),
        get("ffn_norm.bias"),
        get("ffn_up.weight"),
        get("ffn_down.weight"),
    });
  }
}

ggml_tensor* Resampler::attention(Graph& graph, ggml_tensor* media, ggml_tensor* residual,
                                  ggml_tensor* mask, const ResamplerLayer& layer) const {
  ggml_context* context = graph.context();
  media = graph.layer_norm(media, layer.media_weight, layer.media_bias, config_.epsilon);
  ggml_tensor* latents =
      graph.layer_norm(residual, layer.latents_weight, layer.latents_bias, config_.epsilon);
  const int64_t head_dim = config_.head_dim;
  const int64_t inner = config_.inner_width();
  const int64_t tiles = media->ne[2];
  ggml_tensor* q = graph.linear(latents, layer.query_weight);
  // The latents stand behind the media and are keys and values as well.
  ggml_tensor* kv =
      graph.linear(ggml_concat(context, media, latents, 1), layer.key_value_weight, nullptr, mask);
  // x: [inner, tokens, tiles], possibly half of wider rows -> [head_dim, tokens, heads, tiles]
  const auto heads = [&](ggml_tensor* x, size_t offset) {
    ggml_tensor* y =
        ggml_view_4d(context, x, head_dim, config_.heads, x->ne[1], tiles,
                     static_cast<size_t>(head_dim) * x->nb[0], x->nb[1], x->nb[2], offset);
    return ggml_permute(context, y, 0, 2, 1, 3);
  };
  ggml_tensor* v = heads(kv, static_cast<size_t>(inner) * kv->nb[0]);
  ggml_tensor* y = graph.attention(heads(q, 0), heads(kv, 0), v, mask);
  y = ggml_reshape_3d(context, y, inner, latents->ne[1], tiles);
  return graph.linear_onto(residual, y, layer.out_weight);
}

ggml_tensor* Resampler::start(Graph& graph, int64_t tiles) const {
  return ggml_repeat_4d(graph.context(), latents_, latents_->ne[0], latents_->ne[1], tiles, 1);
}

ggml_tensor* Resampler::layer(Graph& graph, ggml_tensor* z, ggml_tensor* media, ggml_tensor* mask,
                              int index) const {
  const ResamplerLayer& layer = layers_[static_cast<size_t>(index)];
  z = attention(graph, media, z, mask, layer);
  ggml_tensor* h = graph.layer_norm(z, layer.ffn_norm_weight, layer.ffn_norm_bias, config_.epsilon);
  h = graph.gelu_erf(graph.linear(h, layer.up_weight));
  return graph.linear_onto(z, h, layer.down_weight);
}

ggml_tensor* Resampler::finish(Graph& graph, ggml_tensor* z) const {
  z = graph.layer_norm(z, norm_weight_, norm_bias_, config_.epsilon);
  return graph.linear(z, projection_weight_, projection_bias_);
}

}  // namespace xgenmm
