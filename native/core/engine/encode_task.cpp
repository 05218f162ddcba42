#include "engine/encode_task.h"

namespace xgenmm {

namespace {

constexpr double kStepMs = 200;

}  // namespace

Task::Progress EncodeTask::step(Model& model, bool) {
  ImageEncoder* encoder = model.vision();
  if (encoder == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected a model with a vision part, received a text-only model");
  }
  if (!begun_) {
    encoder->begin(request_.picture, request_.mode);
    request_.picture = Picture{};
    begun_ = true;
    return Progress::kMore;
  }
  if (encoder->advance(kStepMs) != ImageEncoder::Progress::kDone) return Progress::kMore;
  send(event::Encoded{encoder->take()});
  return Progress::kDone;
}

}  // namespace xgenmm
