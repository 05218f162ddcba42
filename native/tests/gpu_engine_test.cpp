// An engine with a GPU: requests are cancelled and it is stopped at any time, and nothing stays.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "engine/placement.h"
#include "harness.h"
#include "listener.h"
#include "pretend_gpus.h"

namespace xgenmm::test {
namespace {

LoadOptions on_gpu(int sequences = 2) {
  LoadOptions options = tiny(sequences);
  options.device = "pretend";
  return options;
}

TEST(gpu_requests_are_told_where_they_compute) {
  const PretendGpus gpus;
  Listener listener;
  Engine engine(on_gpu(), listener.sink());
  const auto loaded = std::get<event::Loaded>(listener.wait(0).body);
  CHECK_EQ(loaded.device, "Pretend0");
  CHECK_EQ(loaded.gpu_layers, engine.model()->text_config().layers);
  CHECK_EQ(loaded.vision_device, "Pretend0");
  const std::vector<double> fractions = listener.progress(0);
  CHECK(std::is_sorted(fractions.begin(), fractions.end()));
  CHECK_EQ(fractions.back(), 1.0);
}

TEST(gpu_requests_are_cancelled_and_stopped_at_any_time) {
  PretendGpus gpus({PretendGpus::kPlenty, PretendGpus::kPlenty});
  std::mt19937 random(7);
  for (int round = 0; round < 30; ++round) {
    Listener listener;
    constexpr RequestId kRequests = 6;
    {
      Engine engine(on_gpu(), listener.sink());
      if (round % 3 != 0) listener.wait(0);
      submit_some(engine, kRequests, random);
      if (round % 7 == 1) engine.cancel(0);
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
      engine.stop();
    }
    CHECK(listener.closed());
    for (RequestId id = 0; id <= kRequests; ++id) CHECK_EQ(listener.ends(id), 1);
    CHECK_EQ(gpus[0].used, size_t{0});
  }
}

TEST(gpu_requests_are_cancelled_while_a_model_loads) {
  PretendGpus gpus;
  int cancelled = 0;
  for (int progress = 0; progress < 40; ++progress) {
    LoadOptions options = on_gpu();
    int left = progress;
    struct Enough {};
    try {
      Model model(options, [&](double) {
        if (left-- == 0) throw Enough{};
      });
    } catch (const Enough&) {
      ++cancelled;
    }
    CHECK_EQ(gpus[0].used, size_t{0});
  }
  CHECK_EQ(cancelled, 40);
}

// What is guessed is computed beside an answer's own tokens, and each column by itself.
TEST(gpu_requests_speculate_exactly) {
  const PretendGpus gpus;
  std::vector<int32_t> expected;
  uint64_t plain_steps = 0;
  for (const Speculation speculation : {Speculation::kOff, Speculation::kAlways}) {
    LoadOptions options = on_gpu(1);
    options.speculation = speculation;
    Listener listener;
    Engine engine(options, listener.sink());
    const int vocabulary = std::get<event::Loaded>(listener.wait(0).body).vocab_size;
    std::vector<int32_t> prompt;
    for (int i = 0; i < 60; ++i) prompt.push_back(40 + 7 * i);
    GenerateRequest request = generate(prompt, 300);
    // Few tokens, so that many guesses come true and many do not.
    for (int32_t id = 0; id < vocabulary; ++id) {
      if (id < 40 || id > 45) request.sampling.logit_bias.emplace_back(id, -INFINITY);
    }
    engine.submit(1, request);
    const std::vector<int32_t> tokens = generated(listener, 1);
    CHECK_EQ(tokens.size(), size_t{300});
    const uint64_t steps = engine.model()->draft_policy().steps();
    if (speculation == Speculation::kOff) {
      expected = tokens;
      plain_steps = steps;
    } else {
      CHECK_EQ(tokens, expected);
      CHECK(steps < plain_steps);
    }
  }
}

}  // namespace
}  // namespace xgenmm::test
