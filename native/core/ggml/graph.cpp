#include "ggml/graph.h"

#include <cmath>
#include <new>

#include "kernels/gelu.h"

namespace xgenmm {

namespace {

void gelu_rows(ggml_tensor* out, const ggml_tensor*, int thread, int threads, void*) {
  const int64_t rows = ggml_nrows(out);
  const int64_t first = rows * thread / threads;
  const int64_t last = rows * (thread + 1) / threads;
  float* data = static_cast<float*>(out->data) + first * out->ne[0];
  gelu_tanh(data, static_cast<size_t>((last - first) * out->ne[0]));
}

}  // namespace

Graph::Graph(size_t nodes, ImportanceSums* importance, bool invariant)
    : importance_(importance), invariant_(invariant) {
  const ggml_init_params params{
      ggml_tensor_overhead() * nodes + ggml_graph_overhead_custom(nodes, false), nullptr, true};
  context_.reset(ggml_init(params));
  if (!context_) throw std::bad_alloc();
  cgraph_ = ggml_new_graph_custom(context_.get(), nodes, false);
}

double Graph::work_per_node() const {
  const int nodes = ggml_graph_n_nodes(cgraph_);
  double work = 0;
  for (int i = 0; i < nodes; ++i) {
    const ggml_tensor* node = ggml_graph_node(cgraph_, i);
    if (node->op != GGML_OP_MUL_MAT) continue;
    work += static_cast<double>(ggml_nelements(node)) * static_cast<double>(node->src[0]->ne[0]);
  }
  return work / nodes;
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
  ggml_backend_tensor_get(tensor, values.data(), 0, ggml_nbytes(tensor));
  return values;
}

ggml_tensor* Graph::linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                           ggml_tensor* mask) const {
  // A reshaped weight is the patch kernel, which is never quantised.
  if (importance_ != nullptr && weight->view_src == nullptr)
    x = importance_->observe(context(), x, weight, mask);
  ggml_tensor* y = ggml_mul_mat(context(), weight, x);
  return bias == nullptr ? y : ggml_add_inplace(context(), y, bias);
}

ggml_tensor* Graph::layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                               float epsilon) const {
  ggml_tensor* y = ggml_norm(context(), x, epsilon);
  return ggml_add_inplace(context(), ggml_mul_inplace(context(), y, weight), bias);
}

ggml_tensor* Graph::rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) const {
  return ggml_mul_inplace(context(), ggml_rms_norm(context(), x, epsilon), weight);
}

ggml_tensor* Graph::attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                              ggml_tensor* mask) const {
  const float scale = 1.0f / std::sqrt(static_cast<float>(q->ne[0]));
  ggml_tensor* y = ggml_flash_attn_ext(context(), q, k, v, mask, scale, 0.0f, 0.0f);
  ggml_prec_set_acc(y, GGML_PREC_F32);
  return y;
}

ggml_tensor* Graph::concat(const std::vector<ggml_tensor*>& parts, int dimension) const {
  // In pairs: one after the other would copy the first as often as there are parts.
  std::vector<ggml_tensor*> level = parts;
  while (level.size() > 1) {
    std::vector<ggml_tensor*> next;
    for (size_t i = 0; i + 1 < level.size(); i += 2) {
      next.push_back(ggml_concat(context(), level[i], level[i + 1], dimension));
    }
    if (level.size() % 2 == 1) next.push_back(level.back());
    level = std::move(next);
  }
  return level.front();
}

ggml_tensor* Graph::gelu_tanh(ggml_tensor* x) const {
  return ggml_map_custom1_inplace(context(), x, gelu_rows, GGML_N_TASKS_MAX, nullptr);
}

}  // namespace xgenmm
