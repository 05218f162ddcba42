#pragma once

#include "engine/text_task.h"

namespace xgenmm {

// A prompt -> the logits after its last positions.
class LogitsTask : public TextTask {
 public:
  LogitsTask(RequestId id, LogitsRequest request, EventSink sink)
      : TextTask(id, std::move(sink), std::move(request.prompt), request.last) {}

 protected:
  bool take_logits(const Model& model, const float* logits, int rows, double ms,
                   bool reading) override;

 private:
  std::vector<float> logits_;
};

}  // namespace xgenmm
