#pragma once

#include <memory>
#include <vector>

#include "ggml/device.h"
#include "ggml/weights.h"
#include "gguf/config.h"
#include "text/kv_cache.h"
#include "text/prompt.h"

namespace xgenmm {

struct Phi3Layer {
  ggml_tensor *attn_norm, *qkv, *output;
  ggml_tensor *ffn_norm, *up, *down;
};

// The language model: embeddings -> logits, with the keys and values of a slot.
class Phi3 {
 public:
  // The most positions, and the most of them with logits, that one forward() takes.
  static constexpr int kMaxChunk = 512;
  static constexpr int kMaxOutputs = 64;

  Phi3(const TextConfig& config, std::shared_ptr<const GgufFile> file, Device& device);

  const TextConfig& config() const { return config_; }
  // Whether the weights are F32, in which case everything is computed in f32.
  bool is_f32() const { return layers_.front().qkv->type == GGML_TYPE_F32; }
  // Reserves the largest graph on such a slot.
  void reserve(const KvSlot& slot) const;

  // Runs prompt positions slot.length() .. slot.length() + count - 1 and records them in the slot;
  // count <= kMaxChunk. outputs: of how many of the last of them logits are wanted (<=
  // kMaxOutputs). logits: receives [outputs, vocab_size]. False when it was aborted: the slot is as
  // before.
  bool forward(KvSlot& slot, const Prompt& prompt, int count, int outputs,
               std::vector<float>& logits, Taps* taps = nullptr) const;
  // The same for one generated token at position slot.length().
  bool forward(KvSlot& slot, int32_t token, std::vector<float>& logits) const;

 private:
  struct Chunk {
    int count;
    int outputs;
    const float* embeddings;  // [count, width]
    std::vector<int32_t> positions;  // [count]
    std::vector<int64_t> rows;  // [count]: where in the ring
    int visible_rows;  // of the ring, in the mask
    std::vector<ggml_fp16_t> mask;  // [count, visible_rows]
  };

  void embed(int32_t token, float* out) const;
  Chunk chunk(const KvSlot& slot, const float* embeddings, int count, int outputs) const;
  bool run(KvSlot& slot, const Chunk& chunk, std::vector<float>& logits, Taps* taps) const;
  size_t nodes() const { return 48 * layers_.size() + 64; }
  ggml_tensor* build(Graph& graph, const KvSlot& slot, const Chunk& chunk, const Taps* taps) const;
  ggml_tensor* attention(Graph& graph, ggml_tensor* x, const Phi3Layer& layer, ggml_tensor* keys,
                         ggml_tensor* values, ggml_tensor* positions, ggml_tensor* rows,
                         ggml_tensor* mask) const;

  TextConfig config_;
  Weights weights_;
  Device& device_;
  ggml_tensor* embedding_;
  std::vector<Phi3Layer> layers_;
  ggml_tensor *output_norm_, *output_, *output_bias_;
};

}  // namespace xgenmm
