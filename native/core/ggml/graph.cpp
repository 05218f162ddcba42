#include "ggml/graph.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/gelu.h"
#include "kernels/norm.h"
#include "kernels/packed_product.h"

namespace xgenmm {

namespace {

const float* floats(const ggml_tensor* tensor) {
  return tensor == nullptr ? nullptr : static_cast<const float*>(tensor->data);
}

void gelu_rows(ggml_tensor* out, const ggml_tensor*, int thread, int threads, void*) {
  const int64_t rows = ggml_nrows(out);
  const int64_t first = rows * thread / threads;
  const int64_t last = rows * (thread + 1) / threads;
  float* data = static_cast<float*>(out->data) + first * out->ne[0];
  gelu_tanh(data, static_cast<size_t>((last - first) * out->ne[0]));
}

void pack_column_panels(ggml_tensor* panels, int thread, int threads, void* shape) {
  const ggml_tensor* x = panels->src[0];
  const int64_t columns = ggml_nrows(x);
  const auto border = [&](int64_t index) {
    const int64_t column = columns * index / threads / kPanelColumns * kPanelColumns;
    return index == threads ? columns : column;
  };
  pack_columns(*static_cast<const PanelShape*>(shape), floats(x), x->ne[0], columns, border(thread),
               border(thread + 1), static_cast<uint8_t*>(panels->data));
}

// Whether weights and rows lie as normalize() wants them.
bool fuses_norm(const ggml_tensor* x, const ggml_tensor* weight) {
  return has_normalize() && ggml_is_contiguous(x) && weight->type == GGML_TYPE_F32;
}

// out's sources: x, weight, bias if any.
void normalize_rows(ggml_tensor* out, int thread, int threads, void* epsilon) {
  const Norm norm{out->ne[0], floats(out->src[1]), floats(out->src[2]),
                  *static_cast<const float*>(epsilon)};
  const int64_t first = ggml_nrows(out) * thread / threads;
  const int64_t last = ggml_nrows(out) * (thread + 1) / threads;
  normalize(norm, floats(out->src[0]) + first * norm.width, last - first,
            static_cast<float*>(out->data) + first * norm.width);
}

// dst: [head size, heads, queries, n]; src: q, k, v as for Graph::attention(), scratch, mask if
// any.
Attention attention_of(const ggml_tensor* out) {
  const ggml_tensor* q = out->src[0];
  const ggml_tensor* k = out->src[1];
  const ggml_tensor* mask = out->src[4];
  const auto rows = [](const ggml_tensor* t) {
    return Attention::Rows{static_cast<const uint8_t*>(t->data), t->type, t->nb[1], t->nb[2],
                           t->nb[3]};
  };
  Attention attention{};
  attention.queries = rows(q);
  attention.keys = rows(k);
  attention.values = rows(out->src[2]);
  attention.head_size = q->ne[0];
  attention.query_count = q->ne[1];
  attention.key_count = k->ne[1];
  attention.heads = q->ne[2];
  attention.kv_heads = k->ne[2];
  attention.batches = q->ne[3];
  attention.scale = 1.0f / std::sqrt(static_cast<float>(q->ne[0]));
  if (mask != nullptr) {
    attention.mask = static_cast<const ggml_fp16_t*>(mask->data);
    attention.mask_batches = mask->ne[3];
  }
  attention.out = static_cast<float*>(out->data);
  return attention;
}

void attend_heads(ggml_tensor* out, int thread, int threads, void*) {
  const Attention attention = attention_of(out);
  const int64_t units = attention.units();
  const int64_t first = units * thread / threads;
  // Where there are fewer units than threads each has its own part of the scratch.
  const int64_t part = units < threads ? first : thread;
  attend(attention, first, units * (thread + 1) / threads,
         static_cast<float*>(out->src[3]->data) +
             static_cast<size_t>(part) * attention.scratch_size());
}

}  // namespace

// out's sources: the panels, bias and residual if any.
void Graph::multiply_panels(ggml_tensor* out, int thread, int threads, void* product) {
  const auto& [weights, curve] = *static_cast<const PackedProduct*>(product);
  const Epilogue epilogue{curve, floats(out->src[1]), floats(out->src[2])};
  const int64_t tiles = (out->ne[0] + kTileRows - 1) / kTileRows;
  xgenmm::packed_product(*weights, static_cast<const uint8_t*>(out->src[0]->data), ggml_nrows(out),
                         epilogue, tiles * thread / threads, tiles * (thread + 1) / threads,
                         static_cast<float*>(out->data));
}

Graph::Graph(size_t nodes, int threads, ImportanceSums* importance, bool invariant)
    : threads_(threads), importance_(importance), invariant_(invariant) {
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
    if (node->op == GGML_OP_MUL_MAT) {
      work += static_cast<double>(ggml_nelements(node)) * static_cast<double>(node->src[0]->ne[0]);
    }
  }
  return (work + packed_work_) / nodes;
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
                           ggml_tensor* mask) {
  x = observed(x, weight, mask);
  if (const auto* packed = static_cast<const PackedWeights*>(weight->extra))
    return packed_product(x, *packed, Epilogue::Curve::kNone, bias, nullptr);
  ggml_tensor* y = ggml_mul_mat(context(), weight, x);
  return bias == nullptr ? y : ggml_add_inplace(context(), y, bias);
}

ggml_tensor* Graph::linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                                ggml_tensor* bias) {
  const auto* packed = static_cast<const PackedWeights*>(weight->extra);
  if (packed == nullptr || !ggml_is_contiguous(residual))
    return ggml_add(context(), residual, linear(x, weight, bias));
  return packed_product(observed(x, weight, nullptr), *packed, Epilogue::Curve::kNone, bias,
                        residual);
}

ggml_tensor* Graph::linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) {
  if (const auto* packed = static_cast<const PackedWeights*>(weight->extra)) {
    return packed_product(observed(x, weight, nullptr), *packed, Epilogue::Curve::kGelu, bias,
                          nullptr);
  }
  return ggml_map_custom1_inplace(context(), linear(x, weight, bias), gelu_rows, GGML_N_TASKS_MAX,
                                  nullptr);
}

ggml_tensor* Graph::linear_gated_silu(ggml_tensor* x, ggml_tensor* weight) {
  const auto* packed = static_cast<const PackedWeights*>(weight->extra);
  if (packed == nullptr || weight->ne[1] % (2 * kTileRows) != 0)
    return ggml_swiglu(context(), linear(x, weight));
  return packed_product(observed(x, weight, nullptr), *packed, Epilogue::Curve::kGatedSilu, nullptr,
                        nullptr);
}

ggml_tensor* Graph::observed(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* mask) {
  // A reshaped weight is the patch kernel, which is never quantised.
  if (importance_ == nullptr || weight->view_src != nullptr) return x;
  return importance_->observe(context(), x, weight, mask);
}

ggml_tensor* Graph::packed_product(ggml_tensor* x, const PackedWeights& weights,
                                   Epilogue::Curve curve, ggml_tensor* bias,
                                   ggml_tensor* residual) {
  ggml_tensor* inputs[] = {pack_columns(x, weights), bias, residual};
  packed_work_ += static_cast<double>(ggml_nelements(x)) * static_cast<double>(weights.rows());
  packed_products_.push_back({&weights, curve});
  const int64_t rows = Epilogue{curve}.rows(weights.rows());
  return ggml_custom_4d(context(), GGML_TYPE_F32, rows, x->ne[1], x->ne[2], x->ne[3], inputs, 3,
                        multiply_panels, GGML_N_TASKS_MAX, &packed_products_.back());
}

ggml_tensor* Graph::pack_columns(ggml_tensor* x, const PackedWeights& weights) {
  if (!ggml_is_contiguous(x)) throw Error(ErrorCode::kInternal, "columns have gaps");
  for (const PackedColumns& packed : packed_columns_) {
    if (packed.x == x && packed.shape.weights == weights.type()) return packed.panels;
  }
  packed_columns_.push_back({x, PanelShape(weights.type(), weights.width()), nullptr});
  PackedColumns& packed = packed_columns_.back();
  const size_t bytes = packed.shape.bytes_per_column() * static_cast<size_t>(ggml_nrows(x));
  packed.panels = ggml_custom_4d(context(), GGML_TYPE_I8, static_cast<int64_t>(bytes), 1, 1, 1, &x,
                                 1, pack_column_panels, GGML_N_TASKS_MAX, &packed.shape);
  return packed.panels;
}

ggml_tensor* Graph::layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                               float epsilon) {
  if (fuses_norm(x, weight)) return norm(x, weight, bias, epsilon);
  ggml_tensor* y = ggml_norm(context(), x, epsilon);
  return ggml_add_inplace(context(), ggml_mul_inplace(context(), y, weight), bias);
}

ggml_tensor* Graph::rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) {
  if (fuses_norm(x, weight)) return norm(x, weight, nullptr, epsilon);
  return ggml_mul_inplace(context(), ggml_rms_norm(context(), x, epsilon), weight);
}

ggml_tensor* Graph::norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float epsilon) {
  ggml_tensor* inputs[] = {x, weight, bias};
  return ggml_custom_4d(context(), GGML_TYPE_F32, x->ne[0], x->ne[1], x->ne[2], x->ne[3], inputs, 3,
                        normalize_rows, GGML_N_TASKS_MAX, &epsilons_.emplace_back(epsilon));
}

ggml_tensor* Graph::attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v, ggml_tensor* mask) {
  if (has_attention()) {
    ggml_tensor* inputs[] = {q, k, v, nullptr, mask};
    ggml_tensor* out = ggml_custom_4d(context(), GGML_TYPE_F32, q->ne[0], q->ne[2], q->ne[1],
                                      q->ne[3], inputs, 3, attend_heads, GGML_N_TASKS_MAX, nullptr);
    const Attention attention = attention_of(out);
    out->src[3] = scratch(attention.scratch_size() *
                          static_cast<size_t>(std::min<int64_t>(threads_, attention.units())));
    out->src[4] = mask;
    return out;
  }
  const float scale = 1.0f / std::sqrt(static_cast<float>(q->ne[0]));
  ggml_tensor* y = ggml_flash_attn_ext(context(), q, k, v, mask, scale, 0.0f, 0.0f);
  ggml_prec_set_acc(y, GGML_PREC_F32);
  return y;
}

ggml_tensor* Graph::scratch(size_t values) {
  if (scratch_ == nullptr || ggml_nelements(scratch_) < static_cast<int64_t>(values)) {
    scratch_ = ggml_new_tensor_1d(context(), GGML_TYPE_F32, static_cast<int64_t>(values));
    ggml_set_input(scratch_);
  }
  return scratch_;
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

}  // namespace xgenmm
