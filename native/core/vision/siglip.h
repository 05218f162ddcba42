#pragma once

#include <vector>

#include "ggml/graph.h"
#include "ggml/weights.h"
#include "gguf/config.h"

namespace xgenmm {

struct SiglipLayer {
  ggml_tensor *ln1_weight, *ln1_bias;
  ggml_tensor *query_weight, *query_bias, *key_weight, *key_bias, *value_weight, *value_bias;
  ggml_tensor *out_weight, *out_bias;
  ggml_tensor *ln2_weight, *ln2_bias;
  ggml_tensor *up_weight, *up_bias, *down_weight, *down_bias;
};

// The vision tower (SigLIP without its pooling head). Every tile is computed on its own.
class Siglip {
 public:
  Siglip(const TowerConfig& config, const Weights& weights);

  // patches: [3 * patch * patch, grid * grid, tiles], normalised pixels -> x: [width, grid * grid,
  // tiles]
  ggml_tensor* embed(Graph& graph, ggml_tensor* patches) const;
  // An encoder layer is two blocks, attention and MLP, each with its residual: a whole one is long
  // for a step. x: [width, grid * grid, tiles] -> same
  int blocks() const { return 2 * config_.layers; }
  ggml_tensor* block(Graph& graph, ggml_tensor* x, int index) const;
  // The final layer norm. x: [width, …] -> same
  ggml_tensor* finish(Graph& graph, ggml_tensor* x) const;

  // Upper bound of the nodes of one block, and of embed + finish.
  static constexpr size_t kBlockNodes = 24;

 private:
  ggml_tensor* attention(Graph& graph, ggml_tensor* residual, const SiglipLayer& layer) const;
  ggml_tensor* mlp(Graph& graph, ggml_tensor* residual, const SiglipLayer& layer) const;

  TowerConfig config_;
  ggml_tensor *patch_weight_, *patch_bias_, *position_;
  std::vector<SiglipLayer> layers_;
  ggml_tensor *post_weight_, *post_bias_;
};

}  // namespace xgenmm
