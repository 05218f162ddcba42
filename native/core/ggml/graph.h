#pragma once

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "ggml/handles.h"

namespace xgenmm {

// Copies of named intermediates, for comparing with a reference: name -> values in row-major order
// of the reference.
using Taps = std::map<std::string, std::vector<float>>;

// One graph under construction with its inputs: whoever creates an input names the memory that
// fills it. Layers are written against it once; a device makes graphs of the operations that it
// computes with (Device::graph).
class Graph {
 public:
  virtual ~Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  ggml_context* context() const { return context_.get(); }
  ggml_cgraph* cgraph() const { return cgraph_; }

  // data must stay where it is as long as the graph is computed; nullptr in a graph that is only
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
  // out: as many values as the tensor has.
  static void read(const ggml_tensor* tensor, float* out);

  // x: [in, columns…]; weight: [in, out]; bias may be nullptr. mask: what attention() is given,
  // where the columns are keys.
  virtual ggml_tensor* linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias = nullptr,
                              ggml_tensor* mask = nullptr) = 0;
  // residual + linear(x, weight, bias)
  virtual ggml_tensor* linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                                   ggml_tensor* bias = nullptr) = 0;
  // 0.5 y (1 + tanh(sqrt(2/pi) (y + 0.044715 y^3))) of y = linear(x, weight, bias), in f32
  virtual ggml_tensor* linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) = 0;
  // silu(first half of y) * second half of y = linear(x, weight)
  virtual ggml_tensor* linear_gated_silu(ggml_tensor* x, ggml_tensor* weight) = 0;
  // Weights and bias must be F32.
  virtual ggml_tensor* layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                                  float epsilon) = 0;
  virtual ggml_tensor* rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) = 0;
  // softmax(q k^T / sqrt(head size) + mask) v
  // q: [head_dim, queries, heads, n]; k, v: [head_dim, keys, heads, n]; mask: F16 [keys,
  // queries, 1, n or 1] or nullptr
  // -> [head_dim, heads, queries, n]
  virtual ggml_tensor* attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                                 ggml_tensor* mask) = 0;
  // 0.5 x (1 + erf(x / sqrt(2)))
  virtual ggml_tensor* gelu_erf(ggml_tensor* x) = 0;

 protected:
  // nodes: an upper bound of the operations (views included) that will be added.
  explicit Graph(size_t nodes);

 private:
  struct Input {
    ggml_tensor* tensor;
    const void* data;
  };
  ContextHandle context_;
  ggml_cgraph* cgraph_;
  std::vector<Input> inputs_;
  std::vector<std::pair<std::string, ggml_tensor*>> tapped_;
};

}  // namespace xgenmm
