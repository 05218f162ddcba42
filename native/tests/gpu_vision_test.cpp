// Pictures on GPUs become what they become on the CPU, whatever came before.
#include <limits>

#include "engine/model.h"
#include "fixture.h"
#include "harness.h"
#include "test_gpu.h"

namespace xgenmm::test {
namespace {

std::unique_ptr<Model> load(const std::string& file, const std::string& device) {
  LoadOptions options;
  options.device = device;
  options.text_path = model_path(file);
  options.threads = 1;
  return std::make_unique<Model>(options, [](double) {});
}

std::vector<float> encode(Model& model, const Picture& picture) {
  ImageEncoder& encoder = *model.vision();
  encoder.begin(picture, ImageMode::kAnyres);
  for (;;) {
    const auto progress = encoder.advance(std::numeric_limits<double>::infinity());
    CHECK(progress != ImageEncoder::Progress::kAborted);
    if (progress == ImageEncoder::Progress::kDone) return encoder.take().embeddings;
  }
}

TEST(gpu_pictures_of_changing_sizes) {
  const TestGpu gpu;
  struct Case {
    const char* file;
    double tolerance;
  };
  // Of the second and third the vision part is quantised, too.
  for (const Case& own :
       {Case{"tiny-f16.gguf", 1e-2}, Case{"wide-q8_0.gguf", 5e-2}, Case{kDemoModel, 5e-2}}) {
    const auto here = load(own.file, "cpu");
    const auto there = load(own.file, TestGpu::kind());
    CHECK(there->vision_device_name() != "CPU");
    const Picture square = formula_picture(300, 300), wide = formula_picture(300, 140),
                  wider = formula_picture(410, 120);
    std::vector<float> first;
    for (const Picture* picture :
         {&square, &square, &wide, &wide, &square, &wider, &wider, &wide, &square}) {
      const std::vector<float> embeddings = encode(*there, *picture);
      CHECK_NEAR(relative_l2(embeddings, encode(*here, *picture)), 0, own.tolerance);
      if (picture != &square) continue;
      if (first.empty()) first = embeddings;
      CHECK_NEAR(relative_l2(embeddings, first), 0, 1e-6);
    }
  }
}

}  // namespace
}  // namespace xgenmm::test
