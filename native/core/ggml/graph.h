#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "ggml/handles.h"
#include "ggml/importance_sums.h"
#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"
#include "kernels/plain_product.h"

namespace xgenmm {

// Copies of named intermediates, for comparing with a reference: name -> values in row-major order
// of the reference.
using Taps = std::map<std::string, std::vector<float>>;

// One graph under construction with its inputs: whoever creates an input names the memory that
// fills it.
class Graph {
 public:
  // nodes: an upper bound of the operations (views included) that will be added.
  // pool: computes; must outlive the graph. importance: sums up the inputs of linear(); nullptr:
  // nobody does.
  Graph(size_t nodes, ThreadPool& pool, ImportanceSums* importance);

  ggml_context* context() const { return context_.get(); }
  ggml_cgraph* cgraph() const { return cgraph_; }

  // data must stay alive until the graph has been computed; nullptr in a graph that is only
  // reserved.
  ggml_tensor* input(ggml_type type, std::initializer_list<int64_t> shape, const void* data);
  void expand(ggml_tensor* tensor) { ggml_build_forward_expand(cgraph_, tensor); }
  // The tensor keeps its memory until the end and can be read with read().
  ggml_tensor* output(ggml_tensor* tensor);
  // Marks an intermediate for collect_taps() when taps are wanted.
  void tap(const std::string& name, ggml_tensor* tensor, const Taps* taps);

  // Which of a device's buffers the tensors are in; 0: none yet.
  uint64_t plan = 0;

  void fill_inputs();
  void collect_taps(Taps* taps) const;
  static std::vector<float> read(const ggml_tensor* tensor);

  using Work = std::function<void(ggml_tensor* out)>;
  // An operation of our own: `work` computes it, in a session of the pool. Sources may be nullptr.
  ggml_tensor* node(ggml_type type, const int64_t (&shape)[4],
                    std::initializer_list<ggml_tensor*> sources, Work work);
  // Memory for such work, the same for all of the graph.
  ggml_tensor* scratch(size_t bytes);

  // x: [in, columns…]; weight: [in, out]; bias may be nullptr. mask: what attention() is given,
  // where the columns are keys. Each of these four adds at most two nodes, and one more where
  // importance is summed up.
  ggml_tensor* linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias = nullptr,
                      ggml_tensor* mask = nullptr);
  // residual + linear(x, weight, bias)
  ggml_tensor* linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                           ggml_tensor* bias = nullptr);
  // 0.5 y (1 + tanh(sqrt(2/pi) (y + 0.044715 y^3))) of y = linear(x, weight, bias), in f32
  ggml_tensor* linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias);
  // silu(first half of y) * second half of y = linear(x, weight)
  ggml_tensor* linear_gated_silu(ggml_tensor* x, ggml_tensor* weight);
  // Weights and bias must be F32.
  ggml_tensor* layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float epsilon);
  ggml_tensor* rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon);
  // softmax(q k^T / sqrt(head size) + mask) v in f32
  // q: [head_dim, queries, heads, n]; k, v: [head_dim, keys, heads, n]; mask: F16 [keys,
  // queries, 1, n or 1] or nullptr
  // -> [head_dim, heads, queries, n]
  ggml_tensor* attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask);
  // 0.5 x (1 + erf(x / sqrt(2)))
  ggml_tensor* gelu_erf(ggml_tensor* x);

 private:
  struct Input {
    ggml_tensor* tensor;
    const void* data;
  };
  // Columns in the form that a product wants.
  struct RoundedColumns {
    const ggml_tensor* x;
    ggml_type packed;  // weights that are packed, or COUNT
    ggml_type plain;  // weights that are not, or COUNT
    ggml_tensor* columns;
  };
  // x after it has been observed.
  ggml_tensor* observed(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* mask);
  ggml_tensor* product(ggml_tensor* x, ggml_tensor* weight, Epilogue::Curve curve,
                       ggml_tensor* bias, ggml_tensor* residual);
  ggml_tensor* packed_product(ggml_tensor* x, const PackedWeights& weights, Epilogue::Curve curve,
                              ggml_tensor* bias, ggml_tensor* residual);
  ggml_tensor* plain_product(ggml_tensor* x, const ggml_tensor* weight, Epilogue::Curve curve,
                             ggml_tensor* bias, ggml_tensor* residual);
  ggml_tensor* pack_columns(ggml_tensor* x, const PackedWeights& weights);
  ggml_tensor* round_columns(ggml_tensor* x, const PlainWeights& weights);
  ggml_tensor* norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float epsilon);
  ContextHandle context_;
  ggml_cgraph* cgraph_;
  ThreadPool& pool_;
  ImportanceSums* importance_;
  std::vector<Input> inputs_;
  std::deque<Work> works_;  // nodes point at them
  std::vector<RoundedColumns> rounded_columns_;
  ggml_tensor* scratch_ = nullptr;  // shared by nodes, of which one is computed at a time
  std::vector<std::pair<std::string, ggml_tensor*>> tapped_;
};

}  // namespace xgenmm
