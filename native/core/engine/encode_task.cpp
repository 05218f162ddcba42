#include "engine/encode_task.h"

namespace xgenmm {

bool EncodeTask::step(Model& model, double budget_ms) {
  ImageEncoder* encoder = model.vision();
  if (encoder == nullptr) {
    throw Error(ErrorCode::kInvalidArgument,
                "expected a model with a vision part, received a text-only model");
  }
  EmbeddingCache& cache = model.embedding_cache();
  if (!begun_) {
    encoder->begin(request_.picture, request_.mode);
    begun_ = true;
  }
  const bool tiled = encoder->tiled();
  const ImageEncoder::Progress progress = encoder->advance(budget_ms);
  if (!tiled && encoder->tiled() && send_known(*encoder, cache)) return true;
  send(event::Progress{encoder->fraction()});
  if (progress != ImageEncoder::Progress::kDone) return false;
  EncodedImage image = encoder->take();
  cache.insert(encoder->key(), image);
  send(event::Encoded{std::move(image)});
  return true;
}

bool EncodeTask::send_known(ImageEncoder& encoder, EmbeddingCache& cache) {
  const EncodedImage* known = cache.find(encoder.key());
  if (known == nullptr) return false;
  EncodedImage image = *known;
  image.preprocess_ms = encoder.take().preprocess_ms;
  image.vision_ms = 0;
  image.resample_ms = 0;
  send(event::Encoded{std::move(image)});
  return true;
}

}  // namespace xgenmm
