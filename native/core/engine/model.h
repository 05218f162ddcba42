#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "base/pace.h"
#include "engine/draft_policy.h"
#include "engine/load_options.h"
#include "ggml/cpu_device.h"
#include "ggml/gpu.h"
#include "gguf/config.h"
#include "text/kv_cache.h"
#include "text/phi3.h"
#include "text/tokenizer.h"
#include "vision/embedding_cache.h"
#include "vision/image_encoder.h"

namespace xgenmm {

// Everything of a loaded model. The parts other than the tokenizer belong to the engine's thread.
class Model {
 public:
  // progress: called with 0 .. 1; may throw to give up loading. Throws what reading the files
  // throws, kDeviceUnavailable, and kOutOfMemory.
  Model(const LoadOptions& options, const std::function<void(double)>& progress);

  const ModelIdentity& identity() const { return identity_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TextConfig& text_config() const { return text_->config(); }
  int context_size() const { return context_size_; }
  // nullptr unless asked for.
  const ImportanceSums* importance() const { return cpu_.importance(); }
  ggml_type kv_type() const { return kv_type_; }
  const std::unordered_set<int32_t>& stop_tokens() const { return stop_tokens_; }

  // Where layers are computed, and the vision part, by their names: "CPU", "CUDA0, CUDA1".
  std::string device_name() const;
  std::string vision_device_name() const;
  // Of the language model's layers, how many are computed on GPUs.
  int gpu_layers() const;
  // Called between parts of what is computed, which stops early when it returns true.
  void set_abort(const std::function<bool()>& abort);
  CpuDevice& cpu() { return cpu_; }
  const CpuDevice& cpu() const { return cpu_; }
  Phi3& text() { return *text_; }
  KvCache& kv_cache() { return *kv_cache_; }
  // Unit: one position of a prompt.
  Pace& prefill_pace() { return prefill_pace_; }
  DraftPolicy& draft_policy() { return draft_policy_; }
  const DraftPolicy& draft_policy() const { return draft_policy_; }
  // nullptr for a text-only model.
  ImageEncoder* vision() { return vision_.get(); }
  const ImageEncoder* vision() const { return vision_.get(); }
  EmbeddingCache& embedding_cache() { return embedding_cache_; }

 private:
  // Brings everything to where it is computed.
  void place(const LoadOptions& options, const std::function<void(double)>& progress);

  ModelIdentity identity_;
  CpuDevice cpu_;
  std::vector<std::unique_ptr<Gpu>> gpus_;
  std::unique_ptr<Tokenizer> tokenizer_;
  std::unordered_set<int32_t> stop_tokens_;
  std::unique_ptr<Phi3> text_;
  std::unique_ptr<ImageEncoder> vision_;
  EmbeddingCache embedding_cache_;
  std::unique_ptr<KvCache> kv_cache_;
  Pace prefill_pace_;
  DraftPolicy draft_policy_;
  int context_size_;
  ggml_type kv_type_;
};

}  // namespace xgenmm
