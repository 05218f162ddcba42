#include "engine/logits_task.h"

namespace xgenmm {

Task::Progress LogitsTask::step(Model& model, bool alone) {
  if (!prepared_) {
    sequence_.prepare(model);
    prepared_ = true;
    return Progress::kMore;
  }
  const int length = sequence_.prompt().length();
  const int first = last_ > 0 && last_ < length ? length - last_ : 0;
  switch (sequence_.prefill(model, alone, first, logits_)) {
    case Sequence::Progress::kMore:
      return Progress::kMore;
    case Sequence::Progress::kWaiting:
      return Progress::kWaiting;
    case Sequence::Progress::kDone:
      break;
  }
  send(event::Logits{sequence_.prompt().ids(), std::move(logits_), model.text_config().vocab_size});
  return Progress::kDone;
}

}  // namespace xgenmm
