#include "engine/generate_task.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace xgenmm {

using event::FinishReason;

namespace {

// Whether it was the caller who banned all tokens.
void check_finite(const std::vector<float>& logits) {
  if (std::isfinite(logits[static_cast<size_t>(argmax(logits))])) return;
  throw Error(ErrorCode::kInvalidArgument,
              "the model computed no finite numbers: expected embeddings and weights that are "
              "numbers");
}

}  // namespace

void GenerateTask::prepare(const Model& model) {
  sampler_.check(model.text_config().vocab_size);
  TextTask::prepare(model);
}

bool GenerateTask::take_rows(const Model& model, const Rows& rows, double ms, bool reading) {
  (reading ? prefill_ms_ : generate_ms_) += ms;
  if (rows.count == 0) return false;
  if (!detokenizer_) {
    detokenizer_.emplace(model.tokenizer());
    if (!model.draft_policy().off()) drafter_.emplace(sequence_.prompt().ids());
  }
  // Behind a token that was not drafted no row counts.
  const float* row = rows.logits;
  do {
    if (take_row(model, row)) return true;
    row += model.text_config().vocab_size;
  } while (sequence_.confirm());
  return false;
}

bool GenerateTask::take_row(const Model& model, const float* logits) {
  const float* end = logits + model.text_config().vocab_size;
  const Choice choice = sampler_.sample({logits, end}, model.stop_tokens());
  if (choice.token < 0) check_finite({logits, end});
  if (choice.token < 0 || model.stop_tokens().count(choice.token) != 0) {
    finish(FinishReason::kStop);
    return true;
  }
  tokens_.push_back(choice.token);
  logprobs_.append(choice.logprobs);
  if (drafter_) drafter_->see(choice.token);
  sequence_.push(model, choice.token);
  show(stop_strings_.push(utf8_.push(detokenizer_->push(choice.token))));
  if (stop_strings_.stopped()) {
    finish(FinishReason::kStopString);
  } else if (static_cast<int>(tokens_.size()) >= max_tokens_) {
    finish(FinishReason::kLength);
  } else if (!sequence_.has_room(model)) {
    finish(FinishReason::kContext);
  } else {
    return false;
  }
  return true;
}

const Drafter* GenerateTask::guess(const Model& model) {
  if (!drafter_) return nullptr;
  // The last token that may come is not run.
  const int left = max_tokens_ - static_cast<int>(tokens_.size()) - 1;
  drafter_->guess(std::min(left, sequence_.most_drafted(model)));
  return &*drafter_;
}

void GenerateTask::show(const std::string& text) {
  if (text.empty()) return;
  text_ += text;
  send(event::Text{text});
}

void GenerateTask::finish(FinishReason reason) {
  if (!stop_strings_.stopped()) {
    // The rest of a character that was cut off by cancelling will not come, but it would have.
    if (reason != FinishReason::kCancelled) show(stop_strings_.push(utf8_.flush()));
    show(stop_strings_.flush());
  }
  const bool prepared = sequence_.stage() != Sequence::Stage::kNew;
  send(event::Generated{std::move(text_), std::move(tokens_), reason,
                        prepared ? sequence_.prompt().length() : 0, sequence_.cached_tokens(),
                        prefill_ms_, generate_ms_, std::move(logprobs_)});
}

void GenerateTask::finish_cancelled() {
  finish(FinishReason::kCancelled);
}

}  // namespace xgenmm
