#include "ggml/backend_graph.h"

#include <cmath>

namespace xgenmm {

namespace {

// Adds up in f32 whatever the weights' type: phi-3's activations are too large for f16.
ggml_tensor* product(ggml_context* context, ggml_tensor* weight, ggml_tensor* x) {
  ggml_tensor* y = ggml_mul_mat(context, weight, x);
  ggml_prec_set_acc(y, GGML_PREC_F32);
  return y;
}

}  // namespace

BackendGraph::BackendGraph(size_t nodes, ggml_backend_dev_t device)
    : Graph(nodes), device_(device) {}

ggml_tensor* BackendGraph::linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                                  ggml_tensor*) {
  ggml_tensor* y = product(context(), weight, x);
  return bias == nullptr ? y : ggml_add(context(), y, bias);
}

ggml_tensor* BackendGraph::linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                                       ggml_tensor* bias) {
  return ggml_add(context(), linear(x, weight, bias, nullptr), residual);
}

ggml_tensor* BackendGraph::linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) {
  return ggml_gelu(context(), linear(x, weight, bias, nullptr));
}

ggml_tensor* BackendGraph::linear_gated_silu(ggml_tensor* x, ggml_tensor* weight) {
  return ggml_swiglu(context(), product(context(), weight, x));
}

ggml_tensor* BackendGraph::layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                                      float epsilon) {
  ggml_tensor* y = ggml_mul(context(), ggml_norm(context(), x, epsilon), weight);
  return ggml_add(context(), y, bias);
}

ggml_tensor* BackendGraph::rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) {
  return ggml_mul(context(), ggml_rms_norm(context(), x, epsilon), weight);
}

ggml_tensor* BackendGraph::attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                                     ggml_tensor* mask) {
  const float scale = 1.0f / std::sqrt(static_cast<float>(q->ne[0]));
  // Fused kernels round to f16, also what they add up: more than pictures bear.
  if (k->type != GGML_TYPE_F32) {
    ggml_tensor* y = ggml_flash_attn_ext(context(), q, k, v, mask, scale, 0.0f, 0.0f);
    ggml_prec_set_acc(y, GGML_PREC_F32);
    if (ggml_backend_dev_supports_op(device_, y)) return y;
  }
  return plain_attention(q, k, v, mask, scale);
}

ggml_tensor* BackendGraph::plain_attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                                           ggml_tensor* mask, float scale) {
  // Rows of blocks can be neither read across nor multiplied where there are gaps between them.
  if (ggml_is_quantized(k->type)) k = ggml_cast(context(), k, GGML_TYPE_F32);
  if (ggml_is_quantized(v->type)) v = ggml_cast(context(), v, GGML_TYPE_F32);
  ggml_tensor* scores = product(context(), k, q);  // [keys, queries, heads, n]
  scores = ggml_soft_max_ext(context(), scores, mask, scale, 0.0f);
  v = ggml_cont(context(), ggml_transpose(context(), v));  // [keys, head_dim, heads, n]
  ggml_tensor* y = product(context(), v, scores);  // [head_dim, queries, heads, n]
  return ggml_cont(context(), ggml_permute(context(), y, 0, 2, 1, 3));
}

ggml_tensor* BackendGraph::gelu_erf(ggml_tensor* x) {
  return ggml_gelu_erf(context(), x);
}

}  // namespace xgenmm
