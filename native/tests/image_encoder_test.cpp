// What lies on the letterbox bars alone costs no computing and changes nothing.
#include "vision/image_encoder.h"

#include <cstring>
#include <limits>

#include "engine/model.h"
#include "fixture.h"
#include "harness.h"

namespace xgenmm::test {
namespace {

constexpr double kNoBudget = 0;
constexpr double kAnyBudget = std::numeric_limits<double>::infinity();

// importance: a model that sums up importance computes everything anew.
std::unique_ptr<Model> load(bool importance) {
  LoadOptions options;
  options.device = "cpu";
  options.text_path = model_path("tiny-f32.gguf");
  options.threads = 1;
  options.importance = importance;
  return std::make_unique<Model>(options, [](double) {});
}

EncodedImage encode(ImageEncoder& encoder, int width, int height, uint8_t seed, double budget_ms) {
  Picture picture{width, height, {}};
  picture.rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (size_t i = 0; i < picture.rgb.size(); ++i)
    picture.rgb[i] = static_cast<uint8_t>(i * 37 + seed);
  encoder.begin(picture, ImageMode::kAnyres);
  double before = 0;
  for (;;) {
    const auto progress = encoder.advance(budget_ms);
    CHECK(progress != ImageEncoder::Progress::kAborted);
    CHECK(encoder.fraction() >= before && encoder.fraction() <= 1.0);
    before = encoder.fraction();
    if (progress == ImageEncoder::Progress::kDone) return encoder.take();
  }
}

}  // namespace

// So wide, or high, that one, two or all of the runs of the crops lie on the bars.
TEST(image_encoder_computes_unseen_runs_once) {
  constexpr int kSizes[][2] = {{400, 2}, {2, 400}, {400, 40}, {300, 50}, {40, 400}, {300, 200}};
  const std::unique_ptr<Model> all = load(true);
  for (const double budget : {kNoBudget, kAnyBudget}) {
    const std::unique_ptr<Model> model = load(false);
    for (const uint8_t seed : {1, 2}) {
      for (const auto& [width, height] : kSizes) {
        const EncodedImage image = encode(*model->vision(), width, height, seed, budget);
        CHECK(image.embeddings ==
              encode(*all->vision(), width, height, seed, kAnyBudget).embeddings);
      }
    }
  }
}

TEST(image_encoder_spares_the_tower_crops_of_which_nothing_is_seen) {
  auto file = std::make_shared<const GgufFile>(model_path("tiny-f32.gguf"));
  VisionConfig config = *read_vision_config(*file);
  const int tile = config.tower.tile;
  // A wide picture on it covers only the middle one of the crops.
  config.canvases = {{tile, 3 * tile}};
  CpuDevice device(1, true);
  ImageEncoder encoder(config, file, device);
  encoder.reserve();
  CHECK_EQ(encode(encoder, 400, 2, 1, kAnyBudget).tokens, 4 * config.resampler.latents);
  for (const ImportanceSums::Entry& entry : device.importance()->entries()) {
    if (entry.name == "v.blk.0.attn_q.weight") CHECK_EQ(entry.count, 2 * config.tower.patches());
    if (entry.name == "resampler.blk.0.attn_q.weight")
      CHECK_EQ(entry.count, 4 * config.resampler.latents);
  }
}

}  // namespace xgenmm::test
