#pragma once

#include <deque>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "ggml/handles.h"
#include "ggml/importance_sums.h"
#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"

namespace xgenmm {

// Copies of named intermediates, for comparing with a reference: name -> values in row-major order
// of the reference.
using Taps = std::map<std::string, std::vector<float>>;

// One graph under construction with its inputs: whoever creates an input names the memory that
// fills it.
class Graph {
 public:
  // nodes: an upper bound of the operations (views included) that will be added.
  // invariant: results must not depend on how many columns are computed together (Device::compute).
  // threads: at most so many will compute. importance: sums up the inputs of linear(); nullptr:
  // nobody does.
  Graph(size_t nodes, int threads, ImportanceSums* importance, bool invariant = false);

  ggml_context* context() const { return context_.get(); }
  ggml_cgraph* cgraph() const { return cgraph_; }
  bool invariant() const { return invariant_; }
  // Multiplications of the matrix products, divided by the number of nodes: whether threads pay.
  double work_per_node() const;

  // data must stay alive until the graph has been computed; nullptr in a graph that is only
  // reserved.
  ggml_tensor* input(ggml_type type, std::initializer_list<int64_t> shape, const void* data);
  void expand(ggml_tensor* tensor) { ggml_build_forward_expand(cgraph_, tensor); }
  // The tensor keeps its memory until the end and can be read with read().
  ggml_tensor* output(ggml_tensor* tensor);
  // Marks an intermediate for collect_taps() when taps are wanted.
  void tap(const std::string& name, ggml_tensor* tensor, const Taps* taps);

  void fill_inputs();
  void collect_taps(Taps* taps) const;
  static std::vector<float> read(const ggml_tensor* tensor);

  // x: [in, columns…]; weight: [in, out]; bias may be nullptr. mask: what attention() is given,
  // where the columns are keys. Each of these four adds at most four nodes, and one more where
  // importance is summed up.
  ggml_tensor* linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias = nullptr,
                      ggml_tensor* mask = nullptr);
  // residual + linear(x, weight, bias)
  ggml_tensor* linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                           ggml_tensor* bias = nullptr);
  // 0.5 y (1 + tanh(sqrt(2/pi) (y + 0.044715 y^3))) of y = linear(x, weight, bias), in f32; ggml's
  // own goes through an f16 table on the CPU.
  ggml_tensor* linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias);
  // silu(first half of y) * second half of y = linear(x, weight)
  ggml_tensor* linear_gated_silu(ggml_tensor* x, ggml_tensor* weight);
  // Each at most three nodes.
  ggml_tensor* layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float epsilon);
  ggml_tensor* rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon);
  // softmax(q k^T / sqrt(head size) + mask) v, all f32 but for an f16 or q8_0 cache. At most two
  // nodes.
  // q: [head_dim, queries, heads, n]; k, v: [head_dim, keys, kv heads, n]; mask: F16 [keys,
  // queries, 1, n or 1] or nullptr
  // -> [head_dim, heads, queries, n]
  ggml_tensor* attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask);
  // Tensors side by side along `dimension`.
  ggml_tensor* concat(const std::vector<ggml_tensor*>& parts, int dimension) const;

 private:
  struct Input {
    ggml_tensor* tensor;
    const void* data;
  };
  // Columns in the form that PackedWeights multiply with.
  struct PackedColumns {
    ggml_tensor* x;
    PanelShape shape;
    ggml_tensor* panels;
  };
  struct PackedProduct {
    const PackedWeights* weights;
    Epilogue::Curve curve;
  };
  static void multiply_panels(ggml_tensor* out, int thread, int threads, void* product);
  // x after it has been observed.
  ggml_tensor* observed(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* mask);
  ggml_tensor* packed_product(ggml_tensor* x, const PackedWeights& weights, Epilogue::Curve curve,
                              ggml_tensor* bias, ggml_tensor* residual);
  ggml_tensor* pack_columns(ggml_tensor* x, const PackedWeights& weights);
  ggml_tensor* norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float epsilon);
  ggml_tensor* scratch(size_t values);
  ContextHandle context_;
  ggml_cgraph* cgraph_;
  int threads_;
  ImportanceSums* importance_;
  bool invariant_;
  double packed_work_ = 0;
  std::vector<Input> inputs_;
  std::deque<float> epsilons_;  // nodes point at them
  std::deque<PackedColumns> packed_columns_;  // nodes point at the shapes
  std::deque<PackedProduct> packed_products_;  // nodes point at them
  ggml_tensor* scratch_ = nullptr;  // shared by nodes, of which one is computed at a time
  std::vector<std::pair<std::string, ggml_tensor*>> tapped_;
};

}  // namespace xgenmm
