// gpu-speed DEVICE TEXT.gguf VISION.gguf: how fast a model is on a device (auto, cpu, cuda, metal,
// vulkan): prefill and decode as llama-bench measures them, and a photograph. Prints a name and a
// number in each line, the median of the turns; times are of the clock and include everything.

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "engine/engine.h"

namespace {

using Clock = std::chrono::steady_clock;
using xgenmm::Event;
namespace event = xgenmm::event;

constexpr int kTurns = 5;
constexpr int kPrompt = 512, kAnswer = 128, kDepth = 1024, kQuestion = 32;
constexpr int kPhotographWidth = 1024, kPhotographHeight = 768;
// Ordinary pieces of phi-3's vocabulary.
constexpr int32_t kFirstToken = 1000, kLastToken = 31000;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// A model that is asked one thing after another.
class Speed {
 public:
  Speed(const std::string& device, std::string text, std::string vision)
      : engine_(options(device, std::move(text), std::move(vision)),
                [this](Event event) { take(std::move(event)); }) {
    const auto loaded = wait<event::Loaded>();
    std::printf("device %s\n", loaded.device.c_str());
  }

  void measure() {
    warm_up();
    std::vector<double> prefill, decode, deep;
    for (int turn = 0; turn < kTurns; ++turn) {
      prefill.push_back(kPrompt / answer({tokens(kPrompt), {}}, 1).seconds);
      decode.push_back(decode_speed(1));
      deep.push_back(decode_speed(kDepth));
    }
    std::printf("prefill %.2f\ndecode %.2f\ndecode_deep %.2f\n", median(prefill), median(decode),
                median(deep));
    measure_photograph();
  }

 private:
  struct Timed {
    event::Generated answer;
    double seconds;
  };

  static xgenmm::LoadOptions options(const std::string& device, std::string text,
                                     std::string vision) {
    xgenmm::LoadOptions options;
    options.text_path = std::move(text);
    options.vision_path = std::move(vision);
    options.device = device;
    options.max_sequences = 1;
    // Random weights repeat themselves, which llama-bench does not profit from.
    options.speculation = xgenmm::Speculation::kOff;
    return options;
  }

  // On the engine's thread. Progress and text are of no interest.
  void take(Event event) {
    if (std::holds_alternative<event::Progress>(event.body) ||
        std::holds_alternative<event::Text>(event.body) ||
        std::holds_alternative<event::Closed>(event.body)) {
      return;
    }
    const std::lock_guard<std::mutex> lock(mutex_);
    last_event_ = std::move(event);
    changed_.notify_one();
  }

  template <typename Wanted>
  Wanted wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return last_event_.has_value(); });
    Event event = *std::exchange(last_event_, std::nullopt);
    if (const auto* failed = std::get_if<event::Failed>(&event.body))
      throw std::runtime_error(failed->message);
    return std::get<Wanted>(std::move(event.body));
  }

  std::vector<int32_t> tokens(int count) {
    std::uniform_int_distribution<int32_t> any(kFirstToken, kLastToken);
    std::vector<int32_t> tokens(static_cast<size_t>(count));
    for (int32_t& token : tokens) token = any(random_);
    return tokens;
  }

  Timed answer(xgenmm::PromptData prompt, int length) {
    xgenmm::SamplingOptions sampling;
    sampling.min_tokens = length;
    const Clock::time_point start = Clock::now();
    engine_.submit(++request_, xgenmm::GenerateRequest{std::move(prompt), sampling, length, {}});
    auto generated = wait<event::Generated>();
    return {std::move(generated), seconds_since(start)};
  }

  // Tokens in a second after a prompt of so many, whose reading does not count.
  double decode_speed(int depth) {
    const Timed timed = answer({tokens(depth), {}}, kAnswer + 1);
    return kAnswer / (timed.seconds - timed.answer.prefill_ms / 1000);
  }

  // The first of each kind makes kernels and grows buffers.
  void warm_up() {
    answer({tokens(kPrompt), {}}, 2);
    encode();
  }

  std::pair<xgenmm::EncodedImage, double> encode() {
    // A picture that was seen before would come from the cache.
    for (uint8_t& value : photograph_) value = static_cast<uint8_t>(random_());
    const xgenmm::PictureView view{kPhotographWidth, kPhotographHeight, photograph_.data(),
                                   photograph_.size()};
    const Clock::time_point start = Clock::now();
    engine_.submit(++request_, xgenmm::EncodeRequest{view, xgenmm::ImageMode::kAnyres});
    auto encoded = wait<event::Encoded>();
    return {std::move(encoded.image), seconds_since(start)};
  }

  void measure_photograph() {
    std::vector<double> tower, resampler, picture, first;
    int positions = 0;
    for (int turn = 0; turn < kTurns; ++turn) {
      auto [image, seconds] = encode();
      tower.push_back(image.vision_ms);
      resampler.push_back(image.resample_ms);
      picture.push_back(1000 * seconds);
      std::vector<int32_t> question = tokens(kQuestion);
      question.insert(question.begin(), -1);
      const Timed timed = answer({std::move(question), {std::move(image.embeddings)}}, 1);
      first.push_back(1000 * (seconds + timed.seconds));
      positions = timed.answer.prompt_tokens;
    }
    std::printf("tower_ms %.1f\nresampler_ms %.1f\npicture_ms %.1f\n", median(tower),
                median(resampler), median(picture));
    std::printf("first_token_ms %.1f\nfirst_token_positions %d\n", median(first), positions);
  }

  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

  std::vector<uint8_t> photograph_ =
      std::vector<uint8_t>(size_t{3} * kPhotographWidth * kPhotographHeight);
  std::mt19937 random_{1};
  xgenmm::RequestId request_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::optional<Event> last_event_;  // of the request that is open
  xgenmm::Engine engine_;  // last: its thread uses what stands above
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: gpu-speed auto|cpu|cuda|metal|vulkan TEXT.gguf VISION.gguf\n");
    return 2;
  }
  try {
    Speed(argv[1], argv[2], argv[3]).measure();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gpu-speed: %s\n", error.what());
    return 1;
  }
}
