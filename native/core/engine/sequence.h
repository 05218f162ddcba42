#pragma once

#include <memory>
#include <optional>

#include "engine/model.h"
#include "engine/request.h"

namespace xgenmm {

// A prompt on its way through a KV slot, which it holds until it is destroyed.
class Sequence {
 public:
  enum class Progress { kMore, kWaiting, kDone };

  explicit Sequence(PromptData data) : data_(std::move(data)) {}
  ~Sequence();
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  // Prefills the next chunk. keep: from which position of the prompt on the logits are wanted; they
  // are appended to `logits`, [rows, vocab_size]. Throws kContextOverflow when the prompt leaves no
  // room in the context. alone: no other task wants a turn, so that the chunk may be as large as it
  // can.
  Progress prefill(Model& model, bool alone, int keep, std::vector<float>& logits);
  // Runs a generated token; logits: [vocab_size]. False when aborted.
  bool decode(Model& model, int32_t token, std::vector<float>& logits);

  // Valid from the first prefill() on.
  const Prompt& prompt() const { return *prompt_; }
  int cached_tokens() const { return cached_tokens_; }
  // Whether one more token fits the context.
  bool has_room(const Model& model) const { return slot_->length() < model.context_size(); }

  // Checks the data and makes it a prompt. Throws kInvalidArgument, kContextOverflow.
  void prepare(const Model& model);

 private:
  bool take_slot(Model& model, int keep);

  PromptData data_;
  std::optional<Prompt> prompt_;
  KvCache* cache_ = nullptr;
  KvSlot* slot_ = nullptr;
  int cached_tokens_ = 0;
};

}  // namespace xgenmm
