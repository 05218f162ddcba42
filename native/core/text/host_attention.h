#pragma once

#include "ggml/cpu_device.h"
#include "gguf/config.h"
#include "kernels/cached_attention.h"
#include "text/ring_attention.h"

namespace xgenmm {

// RingAttention by our own kernels, over KvSlot::rows().
class HostAttention : public RingAttention {
 public:
  // All must stay; graph is one of the device's.
  HostAttention(const TextConfig& config, CpuDevice& device, const Batch& batch, CpuGraph& graph);

  bool prepare() override;
  ggml_tensor* rotate_and_store(ggml_tensor* qkv, int layer) override;
  ggml_tensor* attend(ggml_tensor* queries, int layer, bool wanted_only) override;

 private:
  // Turns the keys in place.
  void rotate_and_store(float* qkv, const float* angles, const Span& span, int layer,
                        float* queries) const;
  CachedAttention attention_of(const Span& span, int layer) const;

  const TextConfig& config_;
  CpuDevice& device_;
  const Batch& batch_;
  CpuGraph& graph_;
  std::vector<float> frequencies_;  // [head_dim / 2]: radians from a position to the next
  std::vector<float> angles_;  // [columns, head_dim]: the cosines of a position, then the sines
  ggml_tensor* angles_input_;
};

}  // namespace xgenmm
