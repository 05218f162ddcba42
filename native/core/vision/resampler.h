#pragma once

#include <vector>

#include "ggml/graph.h"
#include "ggml/weights.h"
#include "gguf/config.h"

namespace xgenmm {

struct ResamplerLayer {
  ggml_tensor *media_weight, *media_bias;  // norm_media
  ggml_tensor *latents_weight, *latents_bias;  // norm_latents
  ggml_tensor *query_weight, *key_value_weight, *out_weight;
  ggml_tensor *ffn_norm_weight, *ffn_norm_bias, *up_weight, *down_weight;
};

// The perceiver resampler: a fixed number of latents reads each run of patch features.
class Resampler {
 public:
  Resampler(const ResamplerConfig& config, const Weights& weights);

  // -> z: [width, latents, tiles], the same for all tiles
  ggml_tensor* start(Graph& graph, int64_t tiles) const;
  // One layer. z: [width, latents, tiles] -> same
  // media: [width, patches, tiles]
  // mask: F16 [patches + latents, latents, 1, tiles] of 0 and -inf, or nullptr when everything is
  // visible
  ggml_tensor* layer(Graph& graph, ggml_tensor* z, ggml_tensor* media, ggml_tensor* mask,
                     int index) const;
  // z: [width, latents, tiles] -> [output width, latents, tiles]
  ggml_tensor* finish(Graph& graph, ggml_tensor* z) const;

  // Upper bound of the nodes of one layer, and of start + finish.
  static constexpr size_t kLayerNodes = 48;

 private:
  ggml_tensor* attention(Graph& graph, ggml_tensor* media, ggml_tensor* residual, ggml_tensor* mask,
                         const ResamplerLayer& layer) const;

  ResamplerConfig config_;
  ggml_tensor* latents_;
  std::vector<ResamplerLayer> layers_;
  ggml_tensor *norm_weight_, *norm_bias_, *projection_weight_, *projection_bias_;
};

}  // namespace xgenmm
