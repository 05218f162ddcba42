#include "engine/task.h"

#include "engine/encode_task.h"
#include "engine/generate_task.h"
#include "engine/logits_task.h"

namespace xgenmm {

std::shared_ptr<Task> make_task(RequestId id, Request request, EventSink sink) {
  if (auto* encode = std::get_if<EncodeRequest>(&request)) {
    return std::make_shared<EncodeTask>(id, std::move(*encode), std::move(sink));
  }
  if (auto* generate = std::get_if<GenerateRequest>(&request)) {
    return std::make_shared<GenerateTask>(id, std::move(*generate), std::move(sink));
  }
  return std::make_shared<LogitsTask>(id, std::get<LogitsRequest>(std::move(request)),
                                      std::move(sink));
}

}  // namespace xgenmm
