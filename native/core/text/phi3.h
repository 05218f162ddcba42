#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ggml/cpu_device.h"
#include "ggml/weights.h"
#include "gguf/config.h"
#include "text/batch.h"
#include "text/ring_attention.h"

namespace xgenmm {

struct Phi3Layer {
  ggml_tensor *attn_norm, *qkv, *output;
  ggml_tensor *ffn_norm, *up, *down;
};

// The language model: embeddings -> logits, with the keys and values of slots.
class Phi3 {
 public:
  // The most positions, and the most of them with logits, of one part.
  static constexpr int kMaxChunk = 512;
  static constexpr int kMaxOutputs = 64;

  Phi3(const TextConfig& config, std::shared_ptr<const GgufFile> file, CpuDevice& cpu);

  const TextConfig& config() const { return config_; }
  // Whether the weights are F32, in which case everything is computed in f32.
  bool is_f32() const { return is_f32_; }

  // What is placed as a whole: each layer, and behind them the head, which makes logits.
  int units() const { return config_.layers + 1; }
  // Of a unit's weights.
  size_t weight_bytes(int unit) const { return weights_.bytes(tensor_names(unit)); }
  // Bytes of the largest matrix in f32, to which a backend may widen it to multiply with it.
  size_t widened_bytes() const;
  // Whether the device can compute all of a unit. cache: one whose layers are all there.
  bool supports(Device& device, int unit, const KvCache& cache) const;
  // What reserve() would take if the device computed all units.
  size_t measure(Device& device, const KvCache& cache) const;
  // Says where the units are computed, before anything else is: on the CPU unless told otherwise.
  // Copies the weights there, or repacks them for our own kernels (Weights). progress: called with
  // 0 .. 1; may throw to give up.
  void place(const std::vector<Device*>& units, const std::function<void(double)>& progress);
  // Of the layers.
  std::vector<Device*> layer_devices() const { return {units_.begin(), units_.end() - 1}; }

  // Reserves the largest graphs: a chunk in one slot while all others decode. GPUs compute theirs
  // once: only then have their backends taken all memory of their own, whose want ends the process.
  void reserve(const KvCache& cache) const;

  // Continues different slots in one pass and records the positions in them, except drafted ones,
  // whose keys and values are there and wait for KvSlot::append(). logits: receives [sum
  // of outputs, vocab_size] in the order of the parts; on the CPU each row is the same to the last
  // bit as if its part had run alone. hidden: receives, unless it is nullptr, the residual stream
  // of the same columns, [sum of outputs, layers + 1, width]: what enters the first layer, then
  // what each layer gives. It is not in what reserve() reserves. False when it was aborted: the
  // slots are as before.
  bool forward(const std::vector<Continuation>& parts, std::vector<float>& logits,
               Taps* taps = nullptr, std::vector<float>* hidden = nullptr);

 private:
  // A device's share of a step: neighbouring units in one graph.
  struct Segment {
    Device* device;
    int first, last;  // units
    std::unique_ptr<Graph> graph;
    std::unique_ptr<RingAttention> attention;
    std::vector<float> input;  // the residual stream, where another segment comes before
    ggml_tensor* out = nullptr;  // the residual stream, or the logits; nullptr: nobody wants them
    std::vector<ggml_tensor*> hidden;
  };
  // Graphs and what goes into them: they are computed again as long as batches are alike, which
  // those of an answer are.
  struct Step {
    Batch batch;
    std::vector<Segment> segments;
  };

  std::vector<std::string> tensor_names(int unit) const;
  void find_tensors();
  void embed(const Continuation& part, int index, float* out) const;
  Batch make_batch(const std::vector<Continuation>& parts) const;
  Batch largest_batch(const KvCache& cache) const;
  // Whether columns that are not wanted go no further than the last layer's keys and values: not
  // where somebody sums up what is multiplied.
  bool trims() const { return cpu_.importance() == nullptr; }

  std::unique_ptr<Step> make_step(Batch batch, const Taps* taps, bool hidden) const;
  // Whether its graphs still have their places.
  static bool is_planned(const Step& step);
  // Fills in what depends on the batch's positions; false when the graphs do not do for them.
  static bool prepare(Step& step);
  // A segment's graph. batch must stay. hidden: whether to keep what each layer gives.
  Segment make_segment(Device& device, int first, int last, const Batch& batch, const Taps* taps,
                       bool hidden) const;
  void build(Segment& segment, const Batch& batch, const Taps* taps, bool hidden) const;
  // False when it was aborted.
  static bool compute(Step& step, std::vector<float>& logits, Taps* taps,
                      std::vector<std::vector<float>>& hidden);

  TextConfig config_;
  Weights weights_;
  CpuDevice& cpu_;
  std::vector<Device*> units_;
  bool is_f32_;
  ggml_tensor* embedding_;  // in the file
  std::vector<Phi3Layer> layers_;
  ggml_tensor *output_norm_, *output_, *output_bias_;
  std::unique_ptr<Step> last_;
};

}  // namespace xgenmm
