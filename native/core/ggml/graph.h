#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "ggml/handles.h"
#include "ggml/importance_sums.h"

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
  // importance: sums up the inputs of linear(); nullptr: nobody does.
  Graph(size_t nodes, ImportanceSums* importance, bool invariant = false);

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
  // where the columns are keys. One node, one more with a bias, and one more where importance is
  // summed up.
  ggml_tensor* linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias = nullptr,
                      ggml_tensor* mask = nullptr) const;
  ggml_tensor* layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                          float epsilon) const;
  ggml_tensor* rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) const;
  // softmax(q k^T / sqrt(head size) + mask) v, all f32 but for an f16 or q8_0 cache.
  // q: [head_dim, queries, heads, n]; k, v: [head_dim, keys, kv heads, n]; mask: F16 [keys,
  // queries, 1, n or 1] or nullptr
  // -> [head_dim, heads, queries, n]
  ggml_tensor* attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask) const;
  // Tensors side by side along `dimension`.
  ggml_tensor* concat(const std::vector<ggml_tensor*>& parts, int dimension) const;
  // 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) in f32; ggml's own goes through an f16 table on
  // the CPU.
  ggml_tensor* gelu_tanh(ggml_tensor* x) const;

 private:
  struct Input {
    ggml_tensor* tensor;
    const void* data;
  };
  ContextHandle context_;
  ggml_cgraph* cgraph_;
  ImportanceSums* importance_;
  bool invariant_;
  std::vector<Input> inputs_;
  std::vector<std::pair<std::string, ggml_tensor*>> tapped_;
};

}  // namespace xgenmm
