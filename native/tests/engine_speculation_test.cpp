// What an engine does with answers whose tokens are guessed: the steps it saves, the slot it
// leaves, and cancelling.
#include <random>
#include <thread>

#include "harness.h"
#include "speculation.h"

namespace xgenmm::test {
namespace {

TEST(engine_speculation_saves_steps_where_an_answer_copies) {
  uint64_t steps[2];
  for (const Speculation speculation : {Speculation::kOff, Speculation::kAlways}) {
    Listener listener;
    Engine engine(options(model_path("tiny-f32.gguf"), speculation), listener.sink());
    std::vector<int32_t> prompt = {5, 6, 7};
    for (const int32_t token : passage(60)) prompt.push_back(token);
    GenerateRequest request = generate(prompt, 60);
    force(request.sampling, passage(60));
    engine.submit(1, request);
    CHECK_EQ(generated(listener, 1), passage(60));
    steps[speculation == Speculation::kAlways] = engine.model()->draft_policy().steps();
  }
  // The first token comes with the prompt.
  CHECK_EQ(steps[0], uint64_t{59});
  CHECK(steps[1] <= 6);
}

TEST(engine_speculation_leaves_the_slot_as_it_would_be) {
  std::vector<int32_t> prompt = {5, 6, 7};
  for (const int32_t token : passage(40)) prompt.push_back(token);
  for (const int most : {2, 3, 10, 17, 18, 19, 30}) {
    Listener listener;
    Engine engine(options(model_path("tiny-f32.gguf"), Speculation::kAlways), listener.sink());
    GenerateRequest request = generate(prompt, most);
    force(request.sampling, passage(40));
    engine.submit(1, request);
    std::vector<int32_t> next = prompt;
    for (const int32_t token : generated(listener, 1)) next.push_back(token);
    // What was drafted and not said would fit here.
    for (const int32_t token : passage(40)) next.push_back(token);
    engine.submit(2, generate(next, 1));
    // All but the last token, which was never run.
    CHECK_EQ(std::get<event::Generated>(listener.wait(2).body).cached_tokens, 43 + most - 1);
  }
}

TEST(engine_speculation_may_be_cancelled_at_any_time) {
  std::mt19937 random(4);
  std::vector<int32_t> prompt = passage(40);
  GenerateRequest request = generate(prompt, 5000);
  narrow(request.sampling, 40, 3, 615);
  request.sampling.temperature = 0.7f;
  const event::Generated whole =
      answers(options(model_path("tiny-f32.gguf"), Speculation::kOff), {request})[0];
  for (int round = 0; round < 30; ++round) {
    Listener listener;
    Engine engine(options(model_path("tiny-f32.gguf"), Speculation::kAlways, 3), listener.sink());
    for (RequestId id = 1; id <= 4; ++id) engine.submit(id, request);
    listener.wait(0);
    for (RequestId id = 1; id <= 3; ++id) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 15000));
      engine.cancel(id);
    }
    engine.submit(5, generate(prompt, 3));
    for (RequestId id = 1; id <= 3; ++id) {
      const auto answer = std::get<event::Generated>(listener.wait(id).body);
      CHECK(answer.tokens.size() <= whole.tokens.size());
      CHECK(std::equal(answer.tokens.begin(), answer.tokens.end(), whole.tokens.begin()));
      CHECK_EQ(answer.text, whole.text.substr(0, answer.text.size()));
    }
    CHECK_EQ(generated(listener, 5).size(), size_t{3});
    engine.cancel(4);
    listener.wait(4);
  }
}

TEST(engine_speculation_is_off_where_importance_is_summed_up) {
  Listener listener;
  LoadOptions summing = options(model_path("tiny-f32.gguf"), Speculation::kAlways);
  summing.importance = true;
  Engine engine(summing, listener.sink());
  listener.wait(0);
  CHECK(engine.model()->draft_policy().off());
}

}  // namespace
}  // namespace xgenmm::test
