#include "ggml/graph.h"

#include <new>

namespace xgenmm {

Graph::Graph(size_t nodes) {
  const ggml_init_params params{
      ggml_tensor_overhead() * nodes + ggml_graph_overhead_custom(nodes, false), nullptr, true};
  context_.reset(ggml_init(params));
  if (!context_) throw std::bad_alloc();
  cgraph_ = ggml_new_graph_custom(context_.get(), nodes, false);
}

ggml_tensor* Graph::input(ggml_type type, std::initializer_list<int64_t> shape, const void* data) {
  ggml_tensor* tensor =
      ggml_new_tensor(context(), type, static_cast<int>(shape.size()), shape.begin());
  ggml_set_input(tensor);
  inputs_.push_back({tensor, data});
  return tensor;
}

ggml_tensor* Graph::output(ggml_tensor* tensor) {
  ggml_set_output(tensor);
  expand(tensor);
  return tensor;
}

void Graph::tap(const std::string& name, ggml_tensor* tensor, const Taps* taps) {
  if (taps != nullptr) tapped_.emplace_back(name, output(tensor));
}

void Graph::fill_inputs() {
  for (const Input& input : inputs_) {
    // What no operation reads has no memory.
    if (input.tensor->buffer == nullptr) continue;
    ggml_backend_tensor_set(input.tensor, input.data, 0, ggml_nbytes(input.tensor));
  }
}

void Graph::collect_taps(Taps* taps) const {
  for (const auto& [name, tensor] : tapped_) {
    std::vector<float>& values = (*taps)[name];
    const std::vector<float> more = read(tensor);
    values.insert(values.end(), more.begin(), more.end());
  }
}

std::vector<float> Graph::read(const ggml_tensor* tensor) {
  std::vector<float> values(static_cast<size_t>(ggml_nelements(tensor)));
  read(tensor, values.data());
  return values;
}

void Graph::read(const ggml_tensor* tensor, float* out) {
  ggml_backend_tensor_get(tensor, out, 0, ggml_nbytes(tensor));
}

}  // namespace xgenmm
