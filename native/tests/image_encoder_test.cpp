// What lies on the letterbox bars alone costs no computing and changes nothing; neither does it
// that graphs are kept.
#include "vision/image_encoder.h"

#include <cstring>
#include <limits>
#include <new>

#include "engine/model.h"
#include "fixture.h"
#include "ggml/gpu.h"
#include "harness.h"
#include "pretend_gpus.h"

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

Picture make_picture(int width, int height, uint8_t seed) {
  Picture picture{width, height, {}};
  picture.rgb.resize(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
  for (size_t i = 0; i < picture.rgb.size(); ++i)
    picture.rgb[i] = static_cast<uint8_t>(i * 37 + seed);
  return picture;
}

EncodedImage encode(ImageEncoder& encoder, int width, int height, uint8_t seed, double budget_ms,
                    ImageMode mode = ImageMode::kAnyres) {
  const Picture picture = make_picture(width, height, seed);
  encoder.begin(picture, mode);
  double before = 0;
  for (;;) {
    const auto progress = encoder.advance(budget_ms);
    CHECK(progress != ImageEncoder::Progress::kAborted);
    CHECK(encoder.fraction() >= before && encoder.fraction() <= 1.0);
    before = encoder.fraction();
    if (progress == ImageEncoder::Progress::kDone) return encoder.take();
  }
}

// Counts the graphs that are built for it.
template <typename Base>
class Counting : public Base {
 public:
  using Base::Base;
  std::unique_ptr<Graph> graph(size_t nodes) override {
    ++graphs_;
    return Base::graph(nodes);
  }
  int graphs() const { return graphs_; }

 private:
  int graphs_ = 0;
};

ImageEncoder make_encoder(CpuDevice& cpu) {
  auto file = std::make_shared<const GgufFile>(model_path("tiny-f32.gguf"));
  const VisionConfig config = *read_vision_config(*file);
  return ImageEncoder(config, std::move(file), cpu);
}

struct OnCpu {
  OnCpu() { encoder.reserve(); }
  Counting<CpuDevice> device{1};
  ImageEncoder encoder = make_encoder(device);
};

struct OnGpu {
  OnGpu() {
    encoder.place(device, [](double) {});
    encoder.reserve();
  }
  PretendGpus gpus;
  CpuDevice cpu{1};
  Counting<Gpu> device{ggml_backend_dev_by_name("Pretend0")};
  ImageEncoder encoder = make_encoder(cpu);
};

struct Shot {
  int width, height;
  uint8_t seed;
  ImageMode mode = ImageMode::kAnyres;
};

// Of all tiles something is seen.
constexpr Shot kFull{300, 200, 1};

EncodedImage encode(ImageEncoder& encoder, const Shot& shot, double budget_ms) {
  return encode(encoder, shot.width, shot.height, shot.seed, budget_ms, shot.mode);
}

// By an encoder that has encoded nothing before.
template <typename Place>
std::vector<float> encode_afresh(const Shot& shot, double budget_ms) {
  Place place;
  return encode(place.encoder, shot, budget_ms).embeddings;
}

template <typename Place>
void check_keeps_graphs(double budget_ms) {
  Place place;
  // -> the graphs that were built
  const auto check = [&](const Shot& shot) {
    const int before = place.device.graphs();
    CHECK(encode(place.encoder, shot, budget_ms).embeddings ==
          encode_afresh<Place>(shot, budget_ms));
    return place.device.graphs() - before;
  };
  CHECK(check(kFull) > 0);
  Shot other = kFull;
  other.seed = 2;
  CHECK_EQ(check(other), 0);
  // One tile, without a mask.
  other.mode = ImageMode::kSquash;
  CHECK(check(other) > 0);
  CHECK_EQ(check({200, 300, 3, ImageMode::kPad}), 0);
  // Fewer tiles: if each is computed by itself, those of the first picture.
  CHECK_EQ(check({40, 300, 4}) > 0, budget_ms > 0);
  CHECK_EQ(check({44, 300, 5}), 0);
  CHECK_EQ(check(kFull), 0);
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

TEST(image_encoder_keeps_graphs) {
  check_keeps_graphs<OnCpu>(kNoBudget);
  check_keeps_graphs<OnCpu>(kAnyBudget);
}

TEST(gpu_image_encoder_keeps_graphs) {
  check_keeps_graphs<OnGpu>(kNoBudget);
  check_keeps_graphs<OnGpu>(kAnyBudget);
}

TEST(image_encoder_keeps_graphs_of_all_lengths) {
  OnCpu place;
  for (const uint8_t seed : {1, 2, 3}) {
    for (const Shot& shot : {Shot{300, 200, seed}, Shot{400, 2, seed}, Shot{40, 400, seed}}) {
      const std::vector<float> expected = encode_afresh<OnCpu>(shot, kAnyBudget);
      // Steps of one tile each, of some blocks as it comes, and as long as can be.
      for (const double budget : {kNoBudget, 0.3, kAnyBudget, 3.0})
        CHECK(encode(place.encoder, shot, budget).embeddings == expected);
    }
  }
}

TEST(image_encoder_builds_graphs_anew_that_have_lost_their_places) {
  OnCpu place;
  const std::vector<float> expected = encode(place.encoder, kFull, kAnyBudget).embeddings;
  const auto bytes = static_cast<int64_t>(place.device.activation_bytes());
  const std::unique_ptr<Graph> large = place.device.graph(1);
  large->expand(large->input(GGML_TYPE_I8, {bytes + 1}, nullptr));
  place.device.reserve(*large);
  int before = place.device.graphs();
  CHECK(encode(place.encoder, kFull, kAnyBudget).embeddings == expected);
  CHECK(place.device.graphs() > before);
  before = place.device.graphs();
  CHECK(encode(place.encoder, kFull, kAnyBudget).embeddings == expected);
  CHECK_EQ(place.device.graphs(), before);
}

TEST(image_encoder_taps_whatever_is_kept) {
  const auto tapped = [](OnCpu& place) {
    const Picture picture = make_picture(kFull.width, kFull.height, kFull.seed);
    place.encoder.begin(picture, kFull.mode);
    Taps taps;
    while (place.encoder.advance(kAnyBudget, &taps) == ImageEncoder::Progress::kMore) {
    }
    return taps;
  };
  OnCpu fresh;
  const Taps expected = tapped(fresh);
  for (const char* name : {"vit.0", "vit_out", "resampler.0", "vision_tokens"})
    CHECK_EQ(expected.count(name), size_t{1});
  OnCpu place;
  const std::vector<float> embeddings = encode(place.encoder, kFull, kAnyBudget).embeddings;
  CHECK(tapped(place) == expected);
  CHECK(tapped(place) == expected);
  CHECK(encode(place.encoder, kFull, kAnyBudget).embeddings == embeddings);
}

TEST(image_encoder_leaves_graphs_behind_when_it_moves) {
  const std::vector<float> expected = encode_afresh<OnGpu>(kFull, kAnyBudget);
  OnGpu there;
  OnCpu here;
  const std::vector<float> before = encode(here.encoder, kFull, kAnyBudget).embeddings;
  // The state is elsewhere then.
  here.encoder.reserve();
  CHECK(encode(here.encoder, kFull, kAnyBudget).embeddings == before);
  here.encoder.place(there.device, [](double) {});
  here.encoder.reserve();
  CHECK(encode(here.encoder, kFull, kAnyBudget).embeddings == expected);
}

TEST(image_encoder_goes_on_with_graphs_that_were_aborted) {
  const std::vector<float> expected = encode_afresh<OnCpu>(kFull, kNoBudget);
  OnCpu place;
  const Picture picture = make_picture(400, 300, 7);
  for (const int last : {0, 1, 100, 400}) {
    int left = last;
    place.device.set_abort([&] { return left-- <= 0; });
    place.encoder.begin(picture, ImageMode::kAnyres);
    auto progress = ImageEncoder::Progress::kMore;
    while (progress == ImageEncoder::Progress::kMore) progress = place.encoder.advance(kNoBudget);
    CHECK(progress == ImageEncoder::Progress::kAborted);
    place.device.set_abort({});
    CHECK(encode(place.encoder, kFull, kNoBudget).embeddings == expected);
  }
}

// Vectors of so many zeros would end the process on systems that promise more memory than they
// have.
TEST(picture_inputs_take_no_more_memory_than_there_is) {
  const GgufFile file(model_path("tiny-f32.gguf"));
  VisionConfig config = *read_vision_config(file);
  const size_t free = size_t{64} << 20;
  CHECK_EQ(PictureInputs(config, free).is_masked(), false);
  config.resampler.latents = 1 << 14;
  bool refused = false;
  try {
    const PictureInputs inputs(config, free);
  } catch (const std::bad_alloc&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace xgenmm::test
