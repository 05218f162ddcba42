#pragma once

#include "gguf/config.h"
#include "text/ring_attention.h"

namespace xgenmm {

// RingAttention by ggml's own operations, over KvSlot::tensors().
class DeviceAttention : public RingAttention {
 public:
  // All must stay.
  DeviceAttention(const TextConfig& config, const Batch& batch, Graph& graph);

  // An upper bound of the graph's nodes for this in one layer.
  static size_t nodes(const Batch& batch) { return 12 * batch.spans.size() + 8; }

  bool prepare() override;
  ggml_tensor* rotate_and_store(ggml_tensor* qkv, int layer) override;
  ggml_tensor* attend(ggml_tensor* queries, int layer, bool wanted_only) override;

 private:
  // What a span's queries may see.
  struct Mask {
    std::vector<ggml_fp16_t> values;  // [columns, visible rows] of 0 and -inf
    ggml_tensor* input;
  };
  // How many of a slot's leading rows the span looks at: in steps, so that graphs of neighbouring
  // lengths are alike.
  static int visible_rows(const Span& span);
  std::vector<Mask> make_masks(const std::vector<Span>& spans);
  void fill(const Span& span, Mask& mask) const;

  const TextConfig& config_;
  const Batch& batch_;
  Graph& graph_;
  std::vector<int32_t> positions_;  // [columns]
  std::vector<int64_t> rows_;  // [columns]: where a slot keeps them
  ggml_tensor* positions_input_;
  std::vector<ggml_tensor*> rows_inputs_;  // of each span
  std::vector<Mask> masks_, output_masks_;  // likewise
};

}  // namespace xgenmm
