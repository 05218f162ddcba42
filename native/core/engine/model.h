#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>

#include "base/pace.h"
#include "engine/draft_policy.h"
#include "ggml/device.h"
#include "gguf/config.h"
#include "text/kv_cache.h"
#include "text/phi3.h"
#include "text/tokenizer.h"
#include "vision/embedding_cache.h"
#include "vision/image_encoder.h"

namespace xgenmm {

struct LoadOptions {
  std::string text_path;  // UTF-8
  std::string vision_path;  // empty: the vision part of text_path, if it has one
  int threads = 0;  // 0: Device's choice
  int context_size = 0;  // 0: the model's own, at most 4096
  int max_sequences = 2;
  std::string kv_type = "auto";  // f32, f16, q8_0; auto: f32 for an F32 file, else f16
  std::string tokenizer_style;  // slow, fast; empty: what the file says
  int sliding_window = -1;  // -1: what the file says; 0: none
  bool importance = false;  // sum up what meets each weight
  // Never where importance is summed up: guesses that do not come true would count.
  Speculation speculation = Speculation::kAuto;
};

// Everything of a loaded model. The parts other than the tokenizer belong to the engine's thread.
class Model {
 public:
  // progress: called with 0 .. 1; may throw to give up loading.
  Model(const LoadOptions& options, const std::function<void(double)>& progress);

  const ModelIdentity& identity() const { return identity_; }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const TextConfig& text_config() const { return text_->config(); }
  int context_size() const { return context_size_; }
  // nullptr unless asked for.
  const ImportanceSums* importance() const { return device_.importance(); }
  ggml_type kv_type() const { return kv_type_; }
  const std::unordered_set<int32_t>& stop_tokens() const { return stop_tokens_; }

  Device& device() { return device_; }
  const Device& device() const { return device_; }
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
  ModelIdentity identity_;
  Device device_;
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
