#pragma once

#include "engine/task.h"

namespace xgenmm {

// A picture -> its embeddings.
class EncodeTask : public Task {
 public:
  EncodeTask(RequestId id, EncodeRequest request, EventSink sink)
      : Task(id, std::move(sink)), request_(std::move(request)) {}

  Progress step(Model& model, bool alone) override;
  bool encodes() const override { return true; }

 private:
  EncodeRequest request_;
  bool begun_ = false;
};

}  // namespace xgenmm
