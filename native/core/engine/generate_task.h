#pragma once

#include "base/utf8.h"
#include "engine/text_task.h"
#include "sampling/sampler.h"
#include "sampling/stop_strings.h"
#include "text/tokenizer.h"

namespace xgenmm {

// A prompt -> an answer, streamed.
class GenerateTask : public TextTask {
 public:
  GenerateTask(RequestId id, GenerateRequest request, EventSink sink)
      : TextTask(id, std::move(sink), std::move(request.prompt), 1),
        sampler_(std::move(request.sampling)),
        stop_strings_(std::move(request.stop)),
        max_tokens_(request.max_tokens) {}

  // Also kInvalidArgument for a bias on a token that does not exist.
  void prepare(const Model& model) override;
  void finish_cancelled() override;
  const Drafter* guess(const Model& model) override;

 protected:
  bool take_rows(const Model& model, const Rows& rows, double ms, bool reading) override;

 private:
  // The next token's logits; true when the answer has ended.
  bool take_row(const Model& model, const float* logits);
  void show(const std::string& text);
  void finish(event::FinishReason reason);

  Sampler sampler_;
  StopStrings stop_strings_;
  int max_tokens_;
  std::optional<Detokenizer> detokenizer_;
  std::optional<Drafter> drafter_;  // with speculation
  Utf8Stream utf8_;
  std::vector<int32_t> tokens_;
  Logprobs logprobs_;  // of tokens_, if they were asked for
  std::string text_;
  double prefill_ms_ = 0;
  double generate_ms_ = 0;
};

}  // namespace xgenmm
