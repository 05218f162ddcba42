#include "engine/generate_task.h"

#include "base/pace.h"

namespace xgenmm {

using event::FinishReason;

Task::Progress GenerateTask::step(Model& model, bool alone) {
  const Stopwatch stopwatch;
  switch (phase_) {
    case Phase::kPrepare:
      sequence_.prepare(model);
      detokenizer_.emplace(model.tokenizer());
      phase_ = Phase::kPrefill;
      return Progress::kMore;
    case Phase::kPrefill: {
      const int last = sequence_.prompt().length() - 1;
      const Sequence::Progress progress = sequence_.prefill(model, alone, last, logits_);
      if (progress == Sequence::Progress::kWaiting) return Progress::kWaiting;
      prefill_ms_ += stopwatch.ms();
      if (progress == Sequence::Progress::kMore) return Progress::kMore;
      phase_ = Phase::kDecode;
      return take_token(model) ? Progress::kDone : Progress::kMore;
    }
    case Phase::kDecode:
      if (!sequence_.decode(model, tokens_.back(), logits_)) return Progress::kMore;
      generate_ms_ += stopwatch.ms();
      return take_token(model) ? Progress::kDone : Progress::kMore;
  }
  return Progress::kDone;
}

bool GenerateTask::take_token(const Model& model) {
  const int32_t token = sampler_.sample(logits_);
  if (model.is_stop_token(token)) {
    finish(FinishReason::kStop);
    return true;
  }
  tokens_.push_back(token);
  show(stop_strings_.push(utf8_.push(detokenizer_->push(token))));
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
    show(stop_strings_.push(utf8_.flush()));
    show(stop_strings_.flush());
  }
  const int prompt_tokens = phase_ == Phase::kPrepare ? 0 : sequence_.prompt().length();
  send(event::Generated{std::move(text_), std::move(tokens_), reason, prompt_tokens,
                        sequence_.cached_tokens(), prefill_ms_, generate_ms_});
}

void GenerateTask::finish_cancelled() {
  finish(FinishReason::kCancelled);
}

}  // namespace xgenmm
