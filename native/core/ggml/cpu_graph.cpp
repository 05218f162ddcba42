#include "ggml/cpu_graph.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/gelu.h"
#include "kernels/norm.h"
#include "kernels/packed_product.h"

namespace xgenmm {

namespace {

// Values of a row-wise operation that one thread takes at the least: sharing costs microseconds.
constexpr int64_t kLeastValues = 16384;
// The same in multiplications.
constexpr int64_t kLeastWork = 65536;

const float* floats(const ggml_tensor* tensor) {
  return tensor == nullptr ? nullptr : static_cast<const float*>(tensor->data);
}

// How many things of such a size are worth a thread's while.
int64_t grain(int64_t least, int64_t size) {
  return std::max<int64_t>(1, least / size);
}

// dst: [head size, heads, queries, n]; src: q, k, v as for Graph::attention(), scratch, mask if
// any.
Attention attention_of(const ggml_tensor* out) {
  const ggml_tensor* q = out->src[0];
  const ggml_tensor* k = out->src[1];
  const ggml_tensor* mask = out->src[4];
  const auto rows = [](const ggml_tensor* t) {
    return Attention::Rows{static_cast<const uint8_t*>(t->data), t->nb[1], t->nb[2], t->nb[3]};
  };
  Attention attention{};
  attention.queries = rows(q);
  attention.keys = rows(k);
  attention.values = rows(out->src[2]);
  attention.head_size = q->ne[0];
  attention.query_count = q->ne[1];
  attention.key_count = k->ne[1];
  attention.heads = q->ne[2];
  attention.batches = q->ne[3];
  attention.scale = 1.0f / std::sqrt(static_cast<float>(q->ne[0]));
  if (mask != nullptr) {
    attention.mask = static_cast<const ggml_fp16_t*>(mask->data);
    attention.mask_batches = mask->ne[3];
  }
  attention.out = static_cast<float*>(out->data);
  return attention;
}

}  // namespace

CpuGraph::CpuGraph(size_t nodes, ThreadPool& pool, ImportanceSums* importance)
    : Graph(nodes), pool_(pool), importance_(importance) {}

ggml_tensor* CpuGraph::node(ggml_type type, const int64_t (&shape)[4],
                            std::initializer_list<ggml_tensor*> sources, Work work) {
  std::vector<ggml_tensor*> inputs(sources);
  works_.push_back(std::move(work));
  return ggml_custom_4d(
      context(), type, shape[0], shape[1], shape[2], shape[3], inputs.data(),
      static_cast<int>(inputs.size()),
      [](ggml_tensor* out, int, int, void* data) { (*static_cast<const Work*>(data))(out); }, 1,
      &works_.back());
}

ggml_tensor* CpuGraph::linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                              ggml_tensor* mask) {
  return product(observed(x, weight, mask), weight, Epilogue::Curve::kNone, bias, nullptr);
}

ggml_tensor* CpuGraph::linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                                   ggml_tensor* bias) {
  return product(observed(x, weight, nullptr), weight, Epilogue::Curve::kNone, bias, residual);
}

ggml_tensor* CpuGraph::linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) {
  return product(observed(x, weight, nullptr), weight, Epilogue::Curve::kGelu, bias, nullptr);
}

ggml_tensor* CpuGraph::linear_gated_silu(ggml_tensor* x, ggml_tensor* weight) {
  return product(observed(x, weight, nullptr), weight, Epilogue::Curve::kGatedSilu, nullptr,
                 nullptr);
}

ggml_tensor* CpuGraph::observed(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* mask) {
  // A reshaped weight is the patch kernel, which is never quantised.
  if (importance_ == nullptr || weight->view_src != nullptr) return x;
  return importance_->observe(context(), x, weight, mask);
}

ggml_tensor* CpuGraph::product(ggml_tensor* x, ggml_tensor* weight, Epilogue::Curve curve,
                               ggml_tensor* bias, ggml_tensor* residual) {
  if (!ggml_is_contiguous(x) || !ggml_is_contiguous(weight))
    throw Error(ErrorCode::kInternal, "a matrix product's operand has gaps");
  if (residual != nullptr && !ggml_is_contiguous(residual))
    residual = ggml_cont(context(), residual);
  const auto* packed = static_cast<const PackedWeights*>(weight->extra);
  const bool gates_apart =
      curve == Epilogue::Curve::kGatedSilu && weight->ne[1] % (2 * kTileRows) != 0;
  if (packed != nullptr && !gates_apart) return packed_product(x, *packed, curve, bias, residual);
  return plain_product(x, weight, curve, bias, residual);
}

ggml_tensor* CpuGraph::packed_product(ggml_tensor* x, const PackedWeights& weights,
                                      Epilogue::Curve curve, ggml_tensor* bias,
                                      ggml_tensor* residual) {
  const int64_t rows = Epilogue{curve}.rows(weights.rows());
  const int64_t columns = ggml_nrows(x);
  return node(GGML_TYPE_F32, {rows, x->ne[1], x->ne[2], x->ne[3]},
              {pack_columns(x, weights), bias, residual}, [=, &weights](ggml_tensor* out) {
                const Epilogue epilogue{curve, floats(out->src[1]), floats(out->src[2])};
                const auto* panels = static_cast<const uint8_t*>(out->src[0]->data);
                const int64_t tile_work = kTileRows * weights.width() * columns;
                pool_.run((rows + kTileRows - 1) / kTileRows, grain(kLeastWork, tile_work),
                          [&](int64_t first, int64_t last, int) {
                            xgenmm::packed_product(weights, panels, columns, epilogue, first, last,
                                                   static_cast<float*>(out->data));
                          });
              });
}

ggml_tensor* CpuGraph::plain_product(ggml_tensor* x, const ggml_tensor* weight,
                                     Epilogue::Curve curve, ggml_tensor* bias,
                                     ggml_tensor* residual) {
  const PlainWeights weights{weight->type, weight->ne[0], weight->ne[1],
                             static_cast<const uint8_t*>(weight->data)};
  const int64_t rows = Epilogue{curve}.rows(weights.rows);
  const int64_t columns = ggml_nrows(x);
  return node(GGML_TYPE_F32, {rows, x->ne[1], x->ne[2], x->ne[3]},
              {round_columns(x, weights), bias, residual}, [=](ggml_tensor* out) {
                const Epilogue epilogue{curve, floats(out->src[1]), floats(out->src[2])};
                const auto* rounded = static_cast<const uint8_t*>(out->src[0]->data);
                pool_.run(rows, grain(kLeastWork, weights.width * columns),
                          [&](int64_t first, int64_t last, int) {
                            xgenmm::plain_product(weights, rounded, columns, epilogue, first, last,
                                                  static_cast<float*>(out->data));
                          });
              });
}

ggml_tensor* CpuGraph::pack_columns(ggml_tensor* x, const PackedWeights& weights) {
  for (const RoundedColumns& rounded : rounded_columns_) {
    if (rounded.x == x && rounded.packed == weights.type()) return rounded.columns;
  }
  const PanelShape shape(weights.type(), weights.width());
  const int64_t columns = ggml_nrows(x);
  const auto bytes = static_cast<int64_t>(shape.bytes_per_column()) * columns;
  ggml_tensor* panels = node(GGML_TYPE_I8, {bytes, 1, 1, 1}, {x}, [=](ggml_tensor* out) {
    // A panel is whole.
    const int64_t least = (grain(kLeastValues, shape.width) + kPanelColumns - 1) / kPanelColumns;
    pool_.run(columns, least * kPanelColumns, [&](int64_t first, int64_t last, int) {
      xgenmm::pack_columns(shape, floats(out->src[0]), shape.width, columns, first, last,
                           static_cast<uint8_t*>(out->data));
    });
  });
  rounded_columns_.push_back({x, weights.type(), GGML_TYPE_COUNT, panels});
  return panels;
}

ggml_tensor* CpuGraph::round_columns(ggml_tensor* x, const PlainWeights& weights) {
  for (const RoundedColumns& rounded : rounded_columns_) {
    if (rounded.x == x && rounded.plain == weights.type) return rounded.columns;
  }
  const int64_t columns = ggml_nrows(x);
  const auto bytes = static_cast<int64_t>(plain_column_bytes(weights)) * columns;
  ggml_tensor* rounded = node(GGML_TYPE_I8, {bytes, 1, 1, 1}, {x}, [=](ggml_tensor* out) {
    pool_.run(columns, grain(kLeastValues, weights.width), [&](int64_t first, int64_t last, int) {
      xgenmm::round_columns(weights, floats(out->src[0]), first, last,
                            static_cast<uint8_t*>(out->data));
    });
  });
  rounded_columns_.push_back({x, GGML_TYPE_COUNT, weights.type, rounded});
  return rounded;
}

ggml_tensor* CpuGraph::layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                                  float epsilon) {
  return norm(x, weight, bias, epsilon);
}

ggml_tensor* CpuGraph::rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) {
  return norm(x, weight, nullptr, epsilon);
}

ggml_tensor* CpuGraph::norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias, float epsilon) {
  return node(GGML_TYPE_F32, {x->ne[0], x->ne[1], x->ne[2], x->ne[3]}, {x, weight, bias},
              [=](ggml_tensor* out) {
                const Norm norm{out->ne[0], floats(out->src[1]), floats(out->src[2]), epsilon};
                pool_.run(ggml_nrows(out), grain(kLeastValues, norm.width),
                          [&](int64_t first, int64_t last, int) {
                            normalize(norm, floats(out->src[0]) + first * norm.width, last - first,
                                      static_cast<float*>(out->data) + first * norm.width);
                          });
              });
}

ggml_tensor* CpuGraph::attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                                 ggml_tensor* mask) {
  ggml_tensor* out =
      node(GGML_TYPE_F32, {q->ne[0], q->ne[2], q->ne[1], q->ne[3]}, {q, k, v, nullptr, mask},
           [this](ggml_tensor* out) {
             const Attention attention = attention_of(out);
             auto* scratch = static_cast<float*>(out->src[3]->data);
             const auto part = static_cast<int64_t>(attention.scratch_size());
             pool_.run(attention.units(), 1, [&](int64_t first, int64_t last, int thread) {
               attend(attention, first, last, scratch + part * thread);
             });
           });
  out->src[3] = scratch(attention_of(out).scratch_size() * sizeof(float) *
                        static_cast<size_t>(pool_.threads()));
  return out;
}

ggml_tensor* CpuGraph::scratch(size_t bytes) {
  if (scratch_ == nullptr || ggml_nbytes(scratch_) < bytes) {
    scratch_ = ggml_new_tensor_1d(context(), GGML_TYPE_I8, static_cast<int64_t>(bytes));
    ggml_set_input(scratch_);
  }
  return scratch_;
}

ggml_tensor* CpuGraph::gelu_erf(ggml_tensor* x) {
  return node(
      GGML_TYPE_F32, {x->ne[0], x->ne[1], x->ne[2], x->ne[3]}, {x}, [this](ggml_tensor* out) {
        pool_.run(ggml_nelements(out), kLeastValues / 8, [&](int64_t first, int64_t last, int) {
          xgenmm::gelu_erf(floats(out->src[0]) + first, static_cast<size_t>(last - first),
                           static_cast<float*>(out->data) + first);
        });
      });
}

}  // namespace xgenmm
