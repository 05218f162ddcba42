#pragma once

#include "engine/model.h"
#include "engine/task.h"

namespace xgenmm {

// A picture -> its embeddings.
class EncodeTask : public Task {
 public:
  EncodeTask(RequestId id, EncodeRequest request, EventSink sink)
      : Task(id, std::move(sink)), request_(request) {}

  // Computes for about budget_ms; true when the request has ended. When a graph was aborted it
  // returns false and changes nothing. Of several such tasks only one may be in work.
  bool step(Model& model, double budget_ms);

 private:
  // Whether the cache has what the tiles become, which then has been sent.
  bool send_known(ImageEncoder& encoder, EmbeddingCache& cache);

  EncodeRequest request_;
  bool begun_ = false;
};

}  // namespace xgenmm
