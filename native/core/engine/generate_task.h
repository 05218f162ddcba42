#pragma once

#include "base/utf8.h"
#include "engine/sequence.h"
#include "engine/task.h"
#include "sampling/stop_strings.h"
#include "text/tokenizer.h"

namespace xgenmm {

// A prompt -> an answer, streamed.
class GenerateTask : public Task {
 public:
  GenerateTask(RequestId id, GenerateRequest request, EventSink sink)
      : Task(id, std::move(sink)),
        sequence_(std::move(request.prompt)),
        sampler_(request.sampling),
        stop_strings_(std::move(request.stop)),
        max_tokens_(request.max_tokens) {}

  Progress step(Model& model, bool alone) override;
  void finish_cancelled() override;

 private:
  enum class Phase { kPrepare, kPrefill, kDecode };

  // Chooses a token from logits_; true when the answer has ended.
  bool take_token(const Model& model);
  void show(const std::string& text);
  void finish(event::FinishReason reason);

  Sequence sequence_;
  Sampler sampler_;
  StopStrings stop_strings_;
  int max_tokens_;
  Phase phase_ = Phase::kPrepare;
  std::optional<Detokenizer> detokenizer_;
  Utf8Stream utf8_;
  std::vector<float> logits_;
  std::vector<int32_t> tokens_;
  std::string text_;
  double prefill_ms_ = 0;
  double generate_ms_ = 0;
};

}  // namespace xgenmm
