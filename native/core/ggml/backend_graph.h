#pragma once

#include "ggml/graph.h"

namespace xgenmm {

// A graph of ggml's own operations, which every backend of ggml's computes.
class BackendGraph : public Graph {
 public:
  BackendGraph(size_t nodes, ggml_backend_dev_t device);

  ggml_tensor* linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                      ggml_tensor* mask) override;
  ggml_tensor* linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                           ggml_tensor* bias) override;
  ggml_tensor* linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) override;
  ggml_tensor* linear_gated_silu(ggml_tensor* x, ggml_tensor* weight) override;
  ggml_tensor* layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                          float epsilon) override;
  ggml_tensor* rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) override;
  // k and v may be of any type, and of fewer heads than q: neighbouring ones of q share them.
  ggml_tensor* attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                         ggml_tensor* mask) override;
  ggml_tensor* gelu_erf(ggml_tensor* x) override;

 private:
  // As attention(), through a matrix of scores.
  ggml_tensor* plain_attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask,
                               float scale);

  ggml_backend_dev_t device_;
};

}  // namespace xgenmm
