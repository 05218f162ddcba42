#pragma once

#include <deque>
#include <functional>
#include <initializer_list>
#include <vector>

#include "base/thread_pool.h"
#include "ggml/graph.h"
#include "ggml/importance_sums.h"
#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"
#include "kernels/plain_product.h"

namespace xgenmm {

// A graph whose heavy operations are our own kernels, in f32 but for what the weights' types round.
class CpuGraph : public Graph {
 public:
  // pool: computes; must outlive the graph. importance: sums up the inputs of linear(); nullptr:
  // nobody does.
  CpuGraph(size_t nodes, ThreadPool& pool, ImportanceSums* importance);

  using Work = std::function<void(ggml_tensor* out)>;
  // An operation of our own: `work` computes it, in a session of the pool. Sources may be nullptr.
  ggml_tensor* node(ggml_type type, const int64_t (&shape)[4],
                    std::initializer_list<ggml_tensor*> sources, Work work);
  // Memory for such work, the same for all of the graph.
  ggml_tensor* scratch(size_t bytes);

  // Each of these four adds at most two nodes, and one more where importance is summed up.
  ggml_tensor* linear(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                      ggml_tensor* mask) override;
  ggml_tensor* linear_onto(ggml_tensor* residual, ggml_tensor* x, ggml_tensor* weight,
                           ggml_tensor* bias) override;
  ggml_tensor* linear_gelu(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias) override;
  ggml_tensor* linear_gated_silu(ggml_tensor* x, ggml_tensor* weight) override;
  ggml_tensor* layer_norm(ggml_tensor* x, ggml_tensor* weight, ggml_tensor* bias,
                          float epsilon) override;
  ggml_tensor* rms_norm(ggml_tensor* x, ggml_tensor* weight, float epsilon) override;
  ggml_tensor* attention(ggml_tensor* q, ggml_tensor* k, ggml_tensor* v,
                         ggml_tensor* mask) override;
  ggml_tensor* gelu_erf(ggml_tensor* x) override;

 private:
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

  ThreadPool& pool_;
  ImportanceSums* importance_;
  std::deque<Work> works_;  // nodes point at them
  std::vector<RoundedColumns> rounded_columns_;
  ggml_tensor* scratch_ = nullptr;  // shared by nodes, of which one is computed at a time
};

}  // namespace xgenmm
