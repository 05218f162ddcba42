#include "engine/generate_task.h"

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
  if (!detokenizer_) detokenizer_.emplace(model.tokenizer());
  const float* end = rows.logits + model.text_config().vocab_size;
  const Choice choice = sampler_.sample({rows.logits, end}, model.stop_tokens());
  if (choice.token < 0) check_finite({rows.logits, end});
  if (choice.token < 0 || model.stop_tokens().count(choice.token) != 0) {
    finish(FinishReason::kStop);
    return true;
  }
  tokens_.push_back(choice.token);
  logprobs_.append(choice.logprobs);
  sequence_.push(choice.token);
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
