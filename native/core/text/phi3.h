#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "ggml/device.h"
#include "ggml/weights.h"
#include "gguf/config.h"
#include "kernels/cached_attention.h"
#include "text/kv_cache.h"
#include "text/prompt.h"

namespace xgenmm {

struct Phi3Layer {
  ggml_tensor *attn_norm, *qkv, *output;
  ggml_tensor *ffn_norm, *up, *down;
};

// What one sequence adds in a forward pass: the next `count` positions of its prompt, or one
// generated token and behind it count - 1 drafted ones.
struct Continuation {
  KvSlot* slot;
  const Prompt* prompt;  // nullptr: `token` follows
  int32_t token;
  int count;
  int outputs;  // of how many of the last of them logits are wanted
  const int32_t* draft = nullptr;  // [count - 1] behind `token`

  PromptPosition operator[](int index) const {
    if (prompt != nullptr) return (*prompt)[slot->length() + index];
    return {index == 0 ? token : draft[index - 1], -1, nullptr};
  }
  // How many of the positions are known to stand there.
  int sure() const { return prompt == nullptr ? 1 : count; }
};

// The language model: embeddings -> logits, with the keys and values of slots.
class Phi3 {
 public:
  // The most positions, and the most of them with logits, of one part.
  static constexpr int kMaxChunk = 512;
  static constexpr int kMaxOutputs = 64;

  Phi3(const TextConfig& config, std::shared_ptr<const GgufFile> file, Device& device);

  const TextConfig& config() const { return config_; }
  // Whether the weights are F32, in which case everything is computed in f32.
  bool is_f32() const { return layers_.front().qkv->type == GGML_TYPE_F32; }
  // Repacks the weights for our own kernels (Weights::pack), before anything else is called.
  void pack(const std::function<void(double)>& progress);
  // Reserves the largest graph: a chunk in one slot while all others decode.
  void reserve(const KvCache& cache) const;

  // Continues different slots in one graph and records the positions in them, except drafted ones,
  // whose keys and values are there and wait for KvSlot::append(). logits: receives [sum
  // of outputs, vocab_size] in the order of the parts, each row the same to the last bit as if its
  // part had run alone. hidden: receives, unless it is nullptr, the residual stream of the same
  // columns, [sum of outputs, layers + 1, width]: what enters the first layer, then what each layer
  // gives. It is not in what reserve() reserves. False when it was aborted: the slots are as
  // before.
  bool forward(const std::vector<Continuation>& parts, std::vector<float>& logits,
               Taps* taps = nullptr, std::vector<float>* hidden = nullptr);

 private:
  // Neighbouring columns of the batch that continue one sequence.
  struct Span {
    const KvSlot* slot;
    int first_column;
    int first_position;
    int count;
  };
  // All parts side by side.
  struct Batch {
    int count = 0;
    std::vector<float> embeddings;  // [count, width]
    std::vector<float> angles;  // [count, head_dim]: the cosines of a position, then the sines
    std::vector<int32_t> outputs;  // columns whose logits are wanted
    std::vector<Span> spans;
    std::vector<Span> output_spans;  // the same without the columns that are not wanted

    // Whether the same graph does for both.
    bool is_like(const Batch& other) const;
    // Takes over the other's tokens and positions, where these are.
    void take(const Batch& other);
  };
  // A graph and what goes into it: it is computed again as long as batches are alike, which those
  // of an answer are.
  struct Step {
    Batch batch;
    Graph graph;
    ggml_tensor* logits = nullptr;
    std::vector<ggml_tensor*> hidden;

    Step(Batch batch, size_t nodes, Device& device)
        : batch(std::move(batch)), graph(nodes, device.pool(), device.importance()) {}
  };

  void embed(const Continuation& part, int index, float* out) const;
  void add_angles(int position, std::vector<float>& angles) const;
  Batch make_batch(const std::vector<Continuation>& parts) const;
  size_t nodes() const { return 24 * layers_.size() + 64; }
  // -> the logits, nullptr without outputs. hidden: receives what each layer gives for the outputs
  // unless it is nullptr, [width, outputs] each.
  ggml_tensor* build(Graph& graph, const Batch& batch, const Taps* taps,
                     std::vector<ggml_tensor*>* hidden) const;
  // Stores the new keys and values, -> the queries, [width, columns]. The spans must stay.
  ggml_tensor* rotate_and_store(Graph& graph, ggml_tensor* x, int layer, ggml_tensor* angles,
                                const std::vector<Span>& spans) const;
  // Turns the keys in place.
  void rotate_and_store(float* qkv, const float* angles, const Span& span, int layer,
                        float* queries) const;
  // queries: of the columns of the spans, which must stay. -> [width, columns]
  ggml_tensor* attend(Graph& graph, ggml_tensor* queries, int layer,
                      const std::vector<Span>& spans) const;
  CachedAttention attention_of(const Span& span, int layer) const;

  TextConfig config_;
  Weights weights_;
  Device& device_;
  ggml_tensor* embedding_;
  std::vector<Phi3Layer> layers_;
  std::vector<float> frequencies_;  // [head_dim / 2]: radians from a position to the next
  ggml_tensor *output_norm_, *output_, *output_bias_;
  std::unique_ptr<Step> last_;
};

}  // namespace xgenmm
