#include "engine/logits_task.h"

namespace xgenmm {

bool LogitsTask::take_logits(const Model& model, const float* logits, int rows, double, bool) {
  const int vocab_size = model.text_config().vocab_size;
  logits_.insert(logits_.end(), logits, logits + std::ptrdiff_t{rows} * vocab_size);
  if (sequence_.stage() == Sequence::Stage::kPrefill) return false;
  send(event::Logits{sequence_.prompt().ids(), std::move(logits_), vocab_size});
  return true;
}

}  // namespace xgenmm
