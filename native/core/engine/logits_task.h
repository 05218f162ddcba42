#pragma once

#include "engine/sequence.h"
#include "engine/task.h"

namespace xgenmm {

// A prompt -> the logits after its last positions.
class LogitsTask : public Task {
 public:
  LogitsTask(RequestId id, LogitsRequest request, EventSink sink)
      : Task(id, std::move(sink)), sequence_(std::move(request.prompt)), last_(request.last) {}

  Progress step(Model& model, bool alone) override;

 private:
  Sequence sequence_;
  int last_;
  bool prepared_ = false;
  std::vector<float> logits_;
};

}  // namespace xgenmm
