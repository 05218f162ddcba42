// Every stage against test/fixtures/cases and test/fixtures/wide: what the original computes.
#include <algorithm>
#include <cstring>
#include <limits>

#include "engine/model.h"
#include "fixture.h"
#include "harness.h"
#include "image/mask.h"
#include "sampling/sampler.h"
#include "test_gpu.h"
#include "without.h"

namespace xgenmm::test {
namespace {

// The tolerances of the fixtures: largest absolute errors, and relative errors in L2.
struct Tolerance {
  double vision;
  double vision_l2;
  double hidden;
  double logits;
  double logits_l2;
  bool same_greedy_ids;
};
constexpr double kUnchecked = std::numeric_limits<double>::infinity();
constexpr Tolerance kF32{5e-5, kUnchecked, 1e-4, 1e-3, kUnchecked, true};
constexpr Tolerance kF16{1e-2, 2e-3, kUnchecked, 0.15, 1e-2, true};
// Rounding this coarse may turn a close decision.
constexpr Tolerance kBf16{1e-1, 2e-2, kUnchecked, 1.0, 5e-2, false};

struct Errors {
  // NaN: nothing to compare with.
  double vit_out = NAN;
  double vision_tokens = NAN;
  double hidden = NAN;
  double logits = NAN;
};

double largest_difference(const std::vector<float>& actual, const std::vector<float>& expected) {
  CHECK_EQ(actual.size(), expected.size());
  double largest = 0;
  for (size_t i = 0; i < actual.size(); ++i) {
    const double difference = std::abs(double{actual[i]} - double{expected[i]});
    largest = difference <= largest ? largest : difference;  // NaN stays
  }
  return largest;
}

// One golden case on one model.
class GoldenCase {
 public:
  GoldenCase(const std::string& folder, Model& model, const Tolerance& tolerance, Errors& errors)
      : folder_(folder),
        json_(read_json(fixture_path(folder + "/case.json"))),
        reference_(read_safetensors(fixture_path(folder + "/expected.safetensors"))),
        model_(model),
        tolerance_(tolerance),
        errors_(errors) {}

  void run() {
    encode_images();
    build_prompt();
    check_language_model();
    if (!tolerance_.same_greedy_ids) return;
    check_greedy(1.0f, "greedy_ids");
    if (json_.contains("greedy_ids_with_penalty")) {
      check_greedy(json_["repetition_penalty"].get<float>(), "greedy_ids_with_penalty");
    }
  }

 private:
  bool has(const std::string& name) const { return reference_.count(name) != 0; }
  std::vector<float> floats(const std::string& name) const {
    return reference_.at(name).values<float>();
  }

  ImageMode mode() const {
    const std::string name = json_["image_mode"];
    return name == "anyres" ? ImageMode::kAnyres
           : name == "pad"  ? ImageMode::kPad
                            : ImageMode::kSquash;
  }

  Picture picture(size_t k) const {
    const auto& image = json_["images"][k];
    Picture picture{image["width"], image["height"], {}};
    const std::string decoded = "image_" + std::to_string(k) + "_rgb";
    if (has(decoded)) {
      picture.rgb = reference_.at(decoded).values<uint8_t>();
    } else {
      std::string name = folder_;
      std::replace(name.begin(), name.end(), '/', '-');
      const std::string ppm =
          read_bytes(model_path("pictures/" + name + "-image_" + std::to_string(k) + ".ppm"));
      const size_t header = ppm.find('\n') + 1;
      picture.rgb.assign(ppm.begin() + static_cast<std::ptrdiff_t>(header), ppm.end());
    }
    check_picture(picture);
    return picture;
  }

  void encode_images() {
    const VisionConfig& config = model_.vision()->config();
    std::vector<uint8_t> tiles, masks;
    Taps taps;
    for (size_t k = 0; k < json_["images"].size(); ++k) {
      const Picture image = picture(k);
      const Tiles made = make_tiles(image, mode(), config.tower.tile, config.canvases);
      tiles.insert(tiles.end(), made.pixels.begin(), made.pixels.end());
      if (made.columns > 0) {
        const auto mask =
            tile_masks(image.width, image.height, made.columns, made.rows, config.tower.grid());
        masks.insert(masks.end(), mask.begin(), mask.end());
      }
      ImageEncoder& encoder = *model_.vision();
      encoder.begin(image, mode());
      while (encoder.advance(kUnchecked, &taps) == ImageEncoder::Progress::kMore) {
      }
      const EncodedImage encoded = encoder.take();
      CHECK_EQ(encoded.tokens, encoder.count_tokens(image.width, image.height, mode()));
      images_.push_back(std::make_shared<const PromptImage>(encoded.embeddings, encoded.width));
    }
    if (images_.empty()) return;
    if (has("tiles_u8")) CHECK(tiles == reference_.at("tiles_u8").values<uint8_t>());
    if (has("resampler_mask")) CHECK(masks == reference_.at("resampler_mask").values<uint8_t>());
    const auto compare = [&](const std::string& tap, const std::string& name, double tolerance,
                             double& worst) {
      if (!has(name)) return;
      const double error = largest_difference(taps.at(tap), floats(name));
      worst = std::fmax(worst, error);
      CHECK_NEAR(error, 0, tolerance);
    };
    double other = 0;
    for (const char* name : {"vit_out", "vision_tokens"}) {
      if (has(name)) CHECK_NEAR(relative_l2(taps.at(name), floats(name)), 0, tolerance_.vision_l2);
    }
    compare("vit_out", "vit_out", tolerance_.vision, errors_.vit_out);
    compare("resampler_in", "resampler_in", tolerance_.vision, other);
    compare("vision_tokens", "vision_tokens", tolerance_.vision, errors_.vision_tokens);
    for (int i = 0; i <= config.tower.layers; ++i) {
      compare("vit." + std::to_string(i), "debug.vit." + std::to_string(i), tolerance_.vision,
              other);
    }
    for (int i = 0; i < config.resampler.layers; ++i) {
      compare("resampler." + std::to_string(i), "debug.resampler." + std::to_string(i),
              tolerance_.vision, other);
    }
  }

  void build_prompt() {
    const std::vector<int32_t> ids = model_.tokenizer().encode(
        {{Segment::Kind::kText, json_["prompt"].get<std::string>()}}, true, false);
    CHECK_EQ(ids, reference_.at("prompt_ids").values<int32_t>());
    // A raw prompt's <image> tokens become pictures, as the demos do; in style "span" the
    // placeholders behind go too.
    const bool span = json_["image_replaces"] == "span";
    std::vector<int32_t> tokens;
    size_t image = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == model_.tokenizer().vocabulary().image_id && image < images_.size()) {
        if (span) i += static_cast<size_t>(images_[image]->rows) - 1;
        tokens.push_back(-1 - static_cast<int32_t>(image++));
      } else {
        tokens.push_back(ids[i]);
      }
    }
    prompt_ = std::make_unique<Prompt>(tokens, images_, model_.text_config().vocab_size);
    CHECK_EQ(prompt_->ids(), reference_.at("merged_ids").values<int32_t>());
  }

  void check_language_model() {
    const int vocab = model_.text_config().vocab_size;
    const int width = model_.text_config().width;
    KvSlot& slot = fresh_slot();
    std::vector<float> logits, streams;
    Taps taps;
    while (slot.length() < prompt_->length()) {
      const int count = std::min(Phi3::kMaxOutputs, prompt_->length() - slot.length());
      std::vector<float> rows, more;
      CHECK(model_.text().forward({{&slot, &*prompt_, -1, count, count}}, rows, &taps, &more));
      logits.insert(logits.end(), rows.begin(), rows.end());
      streams.insert(streams.end(), more.begin(), more.end());
    }
    const auto tail = [](const std::vector<float>& values, size_t count) {
      return std::vector<float>(values.end() - static_cast<std::ptrdiff_t>(count), values.end());
    };
    const std::vector<float> hidden = floats("hidden_last");
    const double hidden_error = largest_difference(tail(taps.at("hidden"), hidden.size()), hidden);
    errors_.hidden = std::fmax(errors_.hidden, hidden_error);
    CHECK_NEAR(hidden_error, 0, tolerance_.hidden);
    const std::vector<float> last = floats("logits_last");
    const double logits_error = largest_difference(tail(logits, last.size()), last);
    errors_.logits = std::fmax(errors_.logits, logits_error);
    CHECK_NEAR(logits_error, 0, tolerance_.logits);
    CHECK_NEAR(relative_l2(tail(logits, last.size()), last), 0, tolerance_.logits_l2);
    if (has("logits_sampled")) {
      std::vector<float> sampled;
      for (const int32_t position : reference_.at("logits_sampled_pos").values<int32_t>()) {
        const auto row = logits.begin() + std::ptrdiff_t{position} * vocab;
        sampled.insert(sampled.end(), row, row + vocab);
      }
      CHECK_NEAR(largest_difference(sampled, floats("logits_sampled")), 0, tolerance_.logits);
    }
    const auto best = reference_.at("argmax_all").values<int32_t>();
    const auto gaps = floats("argmax_gap");
    for (size_t i = 0; i < best.size(); ++i) {
      if (gaps[i] <= 2 * tolerance_.logits) continue;
      const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i) * vocab;
      CHECK_EQ(argmax({row, row + vocab}), best[i]);
    }
    if (!has("debug.llm.0") || tolerance_.hidden == kUnchecked) return;
    const int layers = model_.text_config().layers + 1;
    CHECK_EQ(streams.size(), static_cast<size_t>(prompt_->length() * layers * width));
    for (int i = 0; i < layers; ++i) {
      std::vector<float> layer;
      for (int position = 0; position < prompt_->length(); ++position) {
        const auto row = streams.begin() + std::ptrdiff_t{position * layers + i} * width;
        layer.insert(layer.end(), row, row + width);
      }
      CHECK_NEAR(largest_difference(layer, floats("debug.llm." + std::to_string(i))), 0,
                 tolerance_.hidden);
    }
    CHECK_EQ(taps.at("hidden").size(),
             static_cast<size_t>(prompt_->length()) * static_cast<size_t>(width));
    CHECK_NEAR(largest_difference(taps.at("hidden"), floats("debug.final_hidden")), 0,
               tolerance_.hidden);
  }

  void check_greedy(float penalty, const std::string& key) {
    const auto expected = json_[key].get<std::vector<int32_t>>();
    KvSlot& slot = fresh_slot();
    SamplingOptions options;
    options.repetition_penalty = penalty;
    Sampler sampler(options);
    std::vector<int32_t> ids;
    std::vector<float> logits;
    CHECK(prompt_->length() <= Phi3::kMaxChunk);
    CHECK(model_.text().forward({{&slot, &*prompt_, -1, prompt_->length(), 1}}, logits));
    while (true) {
      ids.push_back(sampler.sample(logits, {}).token);
      if (ids.size() == expected.size()) break;
      CHECK(model_.text().forward({{&slot, nullptr, ids.back(), 1, 1}}, logits));
    }
    CHECK_EQ(ids, expected);
  }

  KvSlot& fresh_slot() {
    KvSlot& slot = model_.kv_cache().slot(0);
    slot.truncate(0);
    return slot;
  }

  std::string folder_;
  nlohmann::json json_;
  std::map<std::string, Tensor> reference_;
  Model& model_;
  Tolerance tolerance_;
  Errors& errors_;
  std::vector<std::shared_ptr<const PromptImage>> images_;
  std::unique_ptr<Prompt> prompt_;
};

std::unique_ptr<Model> load(const std::string& file, const std::string& style,
                            const std::string& device) {
  LoadOptions options;
  options.device = device;
  options.text_path = model_path(file);
  options.tokenizer_style = style;
  options.threads = 1;
  return std::make_unique<Model>(options, [](double) {});
}

// Runs every case of a folder and reports the largest errors on stderr.
void run_cases(const std::string& folder, const std::string& file, const Tolerance& tolerance,
               const std::string& device = "cpu") {
  const auto slow = load(file, "slow", device);
  const auto fast = load(file, "fast", device);
  Errors errors;
  for (const std::string& name : fixture_folders(folder)) {
    const std::string path = folder + "/" + name;
    const bool is_fast = read_json(fixture_path(path + "/case.json"))["tokenizer_style"] == "fast";
    try {
      GoldenCase(path, is_fast ? *fast : *slow, tolerance, errors).run();
    } catch (const std::runtime_error& failure) {
      throw std::runtime_error(path + " on " + file + ": " + failure.what());
    }
  }
  std::fprintf(stderr, "%-20s %-9s vit_out %.1e  vision_tokens %.1e  hidden %.1e  logits %.1e\n",
               file.c_str(), slow->device_name().c_str(), errors.vit_out, errors.vision_tokens,
               errors.hidden, errors.logits);
}

TEST(golden_tiny_f32) {
  run_cases("cases", "tiny-f32.gguf", kF32);
}
TEST(golden_tiny_f16) {
  run_cases("cases", "tiny-f16.gguf", kF16);
}
TEST(golden_tiny_bf16) {
  run_cases("cases", "tiny-bf16.gguf", kBf16);
}
TEST(golden_tiny_f32_checkpoint_f32) {
  run_cases("cases", "tiny_f32-f32.gguf", kF32);
}
TEST(golden_tiny_f32_checkpoint_f16) {
  run_cases("cases", "tiny_f32-f16.gguf", kF16);
}
TEST(golden_tokenizer_json_f32) {
  run_cases("cases", "tiny_json-f32.gguf", kF32);
}
TEST(golden_wide_f32) {
  run_cases("wide/cases/wide", "wide-f32.gguf", kF32);
}
TEST(golden_wide_f16) {
  run_cases("wide/cases/wide", "wide-f16.gguf", kF16);
}
TEST(golden_wide_bf16) {
  run_cases("wide/cases/wide", "wide-bf16.gguf", kBf16);
}
TEST(golden_wide_gqa_f32) {
  run_cases("wide/cases/wide-gqa", "wide-gqa-f32.gguf", kF32);
}
TEST(golden_wide_gqa_f16) {
  run_cases("wide/cases/wide-gqa", "wide-gqa-f16.gguf", kF16);
}

// All of the model on a GPU. Real ones round f32 on their way.
void run_on_gpu(const std::string& folder, const std::string& file, const Tolerance& tolerance) {
  const TestGpu gpu;
  const bool rounds = TestGpu::is_real() && tolerance.vision == kF32.vision;
  const auto model = load(file, "", TestGpu::kind());
  CHECK_EQ(model->gpu_layers(), model->text_config().layers);
  CHECK(model->vision_device_name() != "CPU");
  run_cases(folder, file, rounds ? kF16 : tolerance, TestGpu::kind());
}

TEST(gpu_golden_tiny_f32) {
  run_on_gpu("cases", "tiny-f32.gguf", kF32);
}
TEST(gpu_golden_tiny_f16) {
  run_on_gpu("cases", "tiny-f16.gguf", kF16);
}
TEST(gpu_golden_tiny_bf16) {
  run_on_gpu("cases", "tiny-bf16.gguf", kBf16);
}
TEST(gpu_golden_tiny_f32_checkpoint_f32) {
  run_on_gpu("cases", "tiny_f32-f32.gguf", kF32);
}
TEST(gpu_golden_tiny_f32_checkpoint_f16) {
  run_on_gpu("cases", "tiny_f32-f16.gguf", kF16);
}
TEST(gpu_golden_tokenizer_json_f32) {
  run_on_gpu("cases", "tiny_json-f32.gguf", kF32);
}
TEST(gpu_golden_wide_f32) {
  run_on_gpu("wide/cases/wide", "wide-f32.gguf", kF32);
}
TEST(gpu_golden_wide_f16) {
  run_on_gpu("wide/cases/wide", "wide-f16.gguf", kF16);
}
TEST(gpu_golden_wide_bf16) {
  run_on_gpu("wide/cases/wide", "wide-bf16.gguf", kBf16);
}
TEST(gpu_golden_wide_gqa_f32) {
  run_on_gpu("wide/cases/wide-gqa", "wide-gqa-f32.gguf", kF32);
}
TEST(gpu_golden_wide_gqa_f16) {
  run_on_gpu("wide/cases/wide-gqa", "wide-gqa-f16.gguf", kF16);
}

void run_some_cases() {
  run_cases("cases", "tiny-f32.gguf", kF32);
  run_cases("cases", "tiny-bf16.gguf", kBf16);
  run_cases("wide/cases/wide", "wide-f32.gguf", kF32);
  run_cases("wide/cases/wide-gqa", "wide-gqa-f16.gguf", kF16);
}

#ifdef __x86_64__
TEST(golden_with_kernels_for_sse42) {
  const Without without("avx2");
  run_some_cases();
}
#endif

// What processors without our own kernels get: ggml's.
TEST(golden_with_ggmls_kernels) {
  const Without without("sse42,neon");
  run_some_cases();
}

}  // namespace
}  // namespace xgenmm::test
