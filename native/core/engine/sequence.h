#pragma once

#include <memory>
#include <optional>

#include "engine/model.h"
#include "engine/request.h"

namespace xgenmm {

// A prompt and its answer on their way through a KV slot, which is held until destruction.
class Sequence {
 public:
  enum class Stage { kNew, kWaiting, kPrefill, kDecode };
  static constexpr int kMostDrafted = 15;

  explicit Sequence(PromptData data) : data_(std::move(data)) {}
  ~Sequence();
  Sequence(const Sequence&) = delete;
  Sequence& operator=(const Sequence&) = delete;

  Stage stage() const { return stage_; }

  // kNew -> kWaiting, one picture a call: checks the data and makes it a prompt. keep: how many of
  // the last positions' logits are wanted, 0 for all. Throws kInvalidArgument, kContextOverflow.
  void prepare(const Model& model, int keep);
  // kWaiting -> kPrefill if there is a slot.
  void take_slot(Model& model);
  // kPrefill: the next chunk, of at most `most` positions. kDecode: the token that was pushed,
  // and what was drafted, with logits for each.
  Continuation next_part(int most) const;
  // Says that the part has been run; kPrefill -> kDecode at the prompt's end.
  void advance();
  // kDecode: what follows.
  void push(const Model& model, int32_t token);
  // kDecode: what may follow the token that was pushed, at most most_drafted() tokens. They are in
  // the next part, until confirm() says no.
  void draft(const std::vector<int32_t>& tokens, int count);
  // Whether the token that was pushed last is the drafted one that has been run, whose logits are
  // the next row.
  bool confirm();
  int most_drafted(const Model& model) const;

  // Valid from kWaiting on.
  const Prompt& prompt() const { return *prompt_; }
  // The rest is valid from take_slot() on.
  int cached_tokens() const { return cached_tokens_; }
  // How much of what was not cached is there, 0 .. 1.
  double prefilled() const;
  // Whether one more token fits the context.
  bool has_room(const Model& model) const { return slot_->length() < model.context_size(); }

 private:
  // Of the prompt, before it is made.
  void check_length(const Model& model) const;

  Stage stage_ = Stage::kNew;
  PromptData data_;
  std::vector<std::shared_ptr<const PromptImage>> images_;  // those of data_ that are ready
  std::optional<Prompt> prompt_;
  int first_wanted_ = 0;  // from which position of the prompt on logits are wanted
  KvCache* cache_ = nullptr;
  KvSlot* slot_ = nullptr;
  int cached_tokens_ = 0;
  int32_t token_ = -1;
  std::vector<int32_t> draft_;
  size_t confirmed_ = 0;  // of draft_
};

}  // namespace xgenmm
