// Requests that are computed together: nobody notices the others.
#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>
#include <thread>

#include "harness.h"
#include "listener.h"

namespace xgenmm::test {
namespace {

TEST(engine_answers_together_as_alone) {
  const std::vector<std::vector<int32_t>> prompts = {
      {5, 6, 7}, {300, 20, 9, 41, 77}, {100}, {5, 6, 8}, {610, 33}};
  std::vector<std::vector<int32_t>> alone;
  for (const auto& prompt : prompts) {
    Listener listener;
    Engine engine(tiny(), listener.sink());
    engine.submit(1, generate(prompt, 30));
    alone.push_back(generated(listener, 1));
  }
  Listener listener;
  Engine engine(tiny(), listener.sink());
  // Twice: the second time over warm slots.
  for (const RequestId base : {1u, 100u}) {
    for (size_t i = 0; i < prompts.size(); ++i)
      engine.submit(base + static_cast<RequestId>(i), generate(prompts[i], 30));
    engine.submit(base + 50, EncodeRequest{picture(100, 60), ImageMode::kAnyres});
    for (size_t i = 0; i < prompts.size(); ++i)
      CHECK_EQ(generated(listener, base + static_cast<RequestId>(i)), alone[i]);
    CHECK_EQ(std::get<event::Encoded>(listener.wait(base + 50).body).image.tokens, 24);
  }
}

TEST(engine_ends_none_but_the_answer_that_has_no_numbers) {
  Listener listener;
  Engine engine(tiny(), listener.sink());
  engine.submit(1, generate({5, 6, 7}, 200));
  const std::vector<int32_t> alone = generated(listener, 1);
  const int width = engine.model()->text_config().width;
  for (RequestId base = 10; base < 20; base += 2) {
    GenerateRequest odd = generate({5, -1, 7}, 20);
    odd.prompt.images = {std::vector<float>(static_cast<size_t>(width), NAN)};
    engine.submit(base, generate({5, 6, 7}, 200));
    listener.wait_for_text(base);
    engine.submit(base + 1, std::move(odd));
    const Event failed = listener.wait(base + 1);
    CHECK(std::get<event::Failed>(failed.body).code == ErrorCode::kInvalidArgument);
    CHECK_EQ(generated(listener, base), alone);
  }
}

// A conversation's request: prompt, picture, temperature.
struct Asked {
  std::vector<int32_t> tokens;
  int picture;
  float temperature;
};

GenerateRequest request(const Asked& asked, const std::vector<EncodedImage>& images) {
  GenerateRequest request = generate(asked.tokens, 40);
  request.prompt.images = {images[static_cast<size_t>(asked.picture)].embeddings};
  request.sampling.temperature = asked.temperature;
  request.sampling.seed = static_cast<uint64_t>(asked.picture);
  request.sampling.repetition_penalty = 1.1f;
  return request;
}

// Eight conversations about eight pictures, together, in 20 random interleavings with random
// cancels: whoever is not cancelled says what it says alone, whoever is says the beginning of it.
TEST(engine_batching_is_invisible) {
  constexpr int kChats = 8;
  std::vector<Asked> asked;
  std::vector<EncodedImage> images;
  std::vector<event::Generated> alone;
  {
    Listener listener;
    Engine engine(tiny(1), listener.sink());
    for (int i = 0; i < kChats; ++i) {
      const auto id = static_cast<RequestId>(100 + i);
      engine.submit(id, EncodeRequest{picture(80 + 9 * i, 60, i),
                                      i % 2 == 0 ? ImageMode::kSquash : ImageMode::kAnyres});
      images.push_back(std::get<event::Encoded>(listener.wait(id).body).image);
    }
  }
  for (int i = 0; i < kChats; ++i) {
    // Half of them begin alike.
    std::vector<int32_t> tokens = {7, 8, 9, -1, 10 + i};
    for (int k = 0; k < 12 * i; ++k) tokens.push_back((k * 31 + i) % 600);
    if (i % 2 == 1) tokens[0] = 100 + i;
    asked.push_back({tokens, i, i % 3 == 0 ? 0.0f : 0.8f});
    Listener listener;
    Engine engine(tiny(1), listener.sink());
    engine.submit(1, request(asked.back(), images));
    alone.push_back(std::get<event::Generated>(listener.wait(1).body));
  }
  std::mt19937 random(11);
  for (int round = 0; round < 20; ++round) {
    Listener listener;
    Engine engine(tiny(1 + round % 4 * 3), listener.sink());
    std::vector<int> order(kChats);
    for (int i = 0; i < kChats; ++i) order[static_cast<size_t>(i)] = i;
    std::shuffle(order.begin(), order.end(), random);
    std::vector<RequestId> cancelled;
    for (const int i : order) {
      if (random() % 3 == 0)
        std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      engine.submit(static_cast<RequestId>(i + 1), request(asked[static_cast<size_t>(i)], images));
      if (random() % 4 == 0)
        engine.submit(static_cast<RequestId>(i + 51),
                      EncodeRequest{picture(80, 60, i), ImageMode::kPad});
      if (random() % 4 == 0) cancelled.push_back(static_cast<RequestId>(i + 1));
    }
    for (const RequestId id : cancelled) {
      std::this_thread::sleep_for(std::chrono::microseconds(random() % 3000));
      engine.cancel(id);
    }
    for (int i = 0; i < kChats; ++i) {
      const auto answer =
          std::get<event::Generated>(listener.wait(static_cast<RequestId>(i + 1)).body);
      const event::Generated& expected = alone[static_cast<size_t>(i)];
      if (answer.reason != event::FinishReason::kCancelled) {
        CHECK_EQ(answer.tokens, expected.tokens);
        CHECK_EQ(answer.text, expected.text);
      } else {
        CHECK(answer.tokens.size() <= expected.tokens.size());
        CHECK(std::equal(answer.tokens.begin(), answer.tokens.end(), expected.tokens.begin()));
        CHECK_EQ(answer.text, expected.text.substr(0, answer.text.size()));
      }
    }
  }
}

TEST(engine_never_mixes_pictures) {
  const auto encoded = [](Listener& listener, RequestId id) {
    return std::get<event::Encoded>(listener.wait(id).body).image;
  };
  std::vector<std::vector<float>> alone;
  for (int i = 0; i < 4; ++i) {
    Listener listener;
    Engine engine(tiny(), listener.sink());
    engine.submit(1, EncodeRequest{picture(120, 90, i), ImageMode::kAnyres});
    alone.push_back(encoded(listener, 1).embeddings);
    if (i > 0) CHECK(alone[static_cast<size_t>(i)] != alone[0]);
  }
  Listener listener;
  Engine engine(tiny(), listener.sink());
  // All at once, then over a warm cache in other orders, and in another mode.
  RequestId id = 1;
  for (const auto& order :
       std::vector<std::vector<int>>{{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 0, 3, 3}, {2, 1, 2, 0}}) {
    const RequestId first = id;
    for (const int i : order) {
      engine.submit(id++, EncodeRequest{picture(120, 90, i), ImageMode::kAnyres});
      engine.submit(id++, EncodeRequest{picture(120, 90, i), ImageMode::kSquash});
    }
    for (size_t k = 0; k < order.size(); ++k) {
      const auto at = static_cast<RequestId>(first + 2 * k);
      const EncodedImage image = encoded(listener, at);
      CHECK(image.embeddings == alone[static_cast<size_t>(order[k])]);
      CHECK_EQ(image.vision_ms > 0, first == 1);
      CHECK(encoded(listener, at + 1).embeddings != image.embeddings);
    }
  }
}

TEST(engine_reads_a_shared_beginning_once) {
  Listener listener;
  Engine engine(tiny(3), listener.sink());
  std::vector<int32_t> tokens;
  for (int i = 0; i < 400; ++i) tokens.push_back((i * 31) % 600);
  for (RequestId id = 1; id <= 3; ++id) {
    std::vector<int32_t> prompt = tokens;
    prompt.push_back(static_cast<int32_t>(id));
    engine.submit(id, generate(prompt, 3));
  }
  CHECK_EQ(std::get<event::Generated>(listener.wait(1).body).cached_tokens, 0);
  for (RequestId id = 2; id <= 3; ++id)
    CHECK_EQ(std::get<event::Generated>(listener.wait(id).body).cached_tokens, 400);
}

}  // namespace
}  // namespace xgenmm::test
