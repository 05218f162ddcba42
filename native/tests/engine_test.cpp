// The engine's thread: every request ends with exactly one last event, whatever happens when.
#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <tuple>

#include "fixture.h"
#include "harness.h"

namespace xgenmm::test {
namespace {

// Collects what an engine says.
class Listener {
 public:
  EventSink sink() {
    return [this](Event event) {
      const std::lock_guard<std::mutex> lock(mutex_);
      const bool last = !std::holds_alternative<event::Progress>(event.body) &&
                        !std::holds_alternative<event::Text>(event.body);
      if (std::holds_alternative<event::Closed>(event.body)) closed_ = true;
      if (last && !std::holds_alternative<event::Closed>(event.body)) ++ends_[event.request];
      events_[event.request].push_back(std::move(event));
      changed_.notify_all();
    };
  }
  // The last event of a request.
  Event wait(RequestId request) {
    std::unique_lock<std::mutex> lock(mutex_);
    CHECK(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return ends_[request] > 0; }));
    return events_[request].back();
  }
  void wait_for_text(RequestId request) {
    std::unique_lock<std::mutex> lock(mutex_);
    CHECK(changed_.wait_for(lock, std::chrono::seconds(60), [&] {
      return !events_[request].empty() &&
             !std::holds_alternative<event::Progress>(events_[request].back().body);
    }));
  }
  std::vector<double> progress(RequestId request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    std::vector<double> fractions;
    for (const Event& event : events_[request]) {
      if (const auto* progress = std::get_if<event::Progress>(&event.body))
        fractions.push_back(progress->fraction);
    }
    return fractions;
  }
  int ends(RequestId request) {
    const std::lock_guard<std::mutex> lock(mutex_);
    return ends_[request];
  }
  bool closed() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return closed_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<RequestId, std::vector<Event>> events_;
  std::map<RequestId, int> ends_;
  bool closed_ = false;
};

LoadOptions tiny(int sequences = 2) {
  LoadOptions options;
  options.text_path = model_path("tiny-f32.gguf");
  options.threads = 1;
  options.max_sequences = sequences;
  return options;
}

GenerateRequest generate(std::vector<int32_t> tokens, int max_tokens) {
  return {{std::move(tokens), {}}, {}, max_tokens, {}};
}

// A picture of its own for each seed, which stays as long as the tests run.
PictureView picture(int width, int height, int seed = 0) {
  static std::map<std::tuple<int, int, int>, Picture> pictures;
  Picture& picture = pictures[{width, height, seed}];
  if (picture.rgb.empty()) {
    picture = {width, height, std::vector<uint8_t>(size_t{3} * width * height)};
    for (size_t i = 0; i < picture.rgb.size(); ++i) {
      picture.rgb[i] = static_cast<uint8_t>(i * static_cast<size_t>(7 + 2 * seed) + i / 100);
    }
  }
  return picture;
}

std::vector<int32_t> generated(Listener& listener, RequestId request) {
  return std::get<event::Generated>(listener.wait(request).body).tokens;
}

TEST(engine_reports_what_cannot_be_loaded) {
  Listener listener;
  LoadOptions options = tiny();
  options.text_path = "absent.gguf";
  Engine engine(options, listener.sink());
  CHECK(std::get<event::Failed>(listener.wait(0).body).code == ErrorCode::kFileNotFound);
  CHECK(engine.model() == nullptr);
  engine.submit(1, generate({5}, 1));
  CHECK(std::get<event::Failed>(listener.wait(1).body).code == ErrorCode::kDisposed);
  engine.stop();
  engine.submit(2, generate({5}, 1));
  CHECK(std::get<event::Failed>(listener.wait(2).body).code == ErrorCode::kDisposed);
}

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

TEST(engine_refuses_bad_requests_and_goes_on) {
  Listener listener;
  Engine engine(tiny(), listener.sink());
  engine.submit(1, generate({}, 5));
  engine.submit(2, generate({9999}, 5));
  engine.submit(3, generate(std::vector<int32_t>(5000, 7), 5));
  engine.submit(4, GenerateRequest{{{-1}, {std::vector<float>(7)}}, {}, 5, {}});
  engine.submit(5, LogitsRequest{{{5, 6, 7}, {}}, 2});
  CHECK(std::get<event::Failed>(listener.wait(1).body).code == ErrorCode::kInvalidArgument);
  CHECK(std::get<event::Failed>(listener.wait(2).body).code == ErrorCode::kInvalidArgument);
  CHECK(std::get<event::Failed>(listener.wait(3).body).code == ErrorCode::kContextOverflow);
  CHECK(std::get<event::Failed>(listener.wait(4).body).code == ErrorCode::kInvalidArgument);
  CHECK_EQ(std::get<event::Logits>(listener.wait(5).body).logits.size(), size_t{2 * 615});
}

TEST(engine_ends_an_answer_where_the_context_ends) {
  Listener listener;
  LoadOptions options = tiny();
  options.context_size = 16;
  Engine engine(options, listener.sink());
  engine.submit(1, generate({5, 6, 7}, 1000));
  const auto answer = std::get<event::Generated>(listener.wait(1).body);
  if (answer.reason != event::FinishReason::kStop) {
    CHECK(answer.reason == event::FinishReason::kContext);
    CHECK_EQ(answer.tokens.size(), size_t{14});  // the last one needs no room
  }
}

TEST(engine_logits_are_the_same_in_all_ways) {
  Listener listener;
  Engine engine(tiny(), listener.sink());
  std::vector<int32_t> tokens;
  for (int i = 0; i < 200; ++i) tokens.push_back((i * 31) % 600);
  engine.submit(1, LogitsRequest{{tokens, {}}, 0});
  const auto all = std::get<event::Logits>(listener.wait(1).body).logits;
  CHECK_EQ(all.size(), size_t{200 * 615});
  for (const int last : {1, 2, 64, 65, 199, 200, 500}) {
    const auto request = static_cast<RequestId>(10 + last);
    engine.submit(request, LogitsRequest{{tokens, {}}, last});
    const auto some = std::get<event::Logits>(listener.wait(request).body).logits;
    const size_t rows = static_cast<size_t>(std::min(last, 200));
    CHECK_EQ(some.size(), rows * 615);
    CHECK(
        std::equal(some.begin(), some.end(), all.end() - static_cast<std::ptrdiff_t>(rows * 615)));
  }
}

TEST(engine_cancels_at_every_stage) {
  Listener listener;
  Engine engine(tiny(1), listener.sink());
  engine.submit(1, generate({5, 6}, 100000));
  engine.submit(2, generate({7, 8}, 5));  // waits for the only slot
  listener.wait_for_text(1);
  engine.cancel(2);
  CHECK(std::get<event::Generated>(listener.wait(2).body).reason ==
        event::FinishReason::kCancelled);
  engine.cancel(1);
  const auto answer = std::get<event::Generated>(listener.wait(1).body);
  CHECK(answer.reason == event::FinishReason::kCancelled ||
        answer.reason == event::FinishReason::kStop);
  engine.submit(3, EncodeRequest{picture(200, 100), ImageMode::kAnyres});
  engine.cancel(3);
  listener.wait(3);
  engine.submit(4, EncodeRequest{picture(200, 100), ImageMode::kAnyres});
  CHECK(std::holds_alternative<event::Encoded>(listener.wait(4).body));
  engine.cancel(77);
}

TEST(engine_stops_at_any_time) {
  std::mt19937 random(5);
  for (int round = 0; round < 100; ++round) {
    Listener listener;
    const int requests = 6;
    {
      Engine engine(tiny(), listener.sink());
      if (round % 3 != 0) listener.wait(0);
      for (RequestId id = 1; id <= requests; ++id) {
        if (id % 3 == 0) {
          engine.submit(id, EncodeRequest{picture(90, 200), ImageMode::kAnyres});
        } else {
          engine.submit(id, generate({static_cast<int32_t>(id), 9}, 400));
        }
        if (random() % 3 == 0) engine.cancel(id);
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
      engine.stop();
    }
    CHECK(listener.closed());
    for (RequestId id = 0; id <= requests; ++id) CHECK_EQ(listener.ends(id), 1);
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

TEST(engine_reports_progress) {
  Listener listener;
  Engine engine(tiny(), listener.sink());
  engine.submit(1, EncodeRequest{picture(200, 100), ImageMode::kAnyres});
  engine.submit(2, generate(std::vector<int32_t>(600, 7), 3));
  engine.submit(3, LogitsRequest{{std::vector<int32_t>(300, 8), {}}, 1});
  for (RequestId id = 0; id <= 3; ++id) {
    listener.wait(id);
    const std::vector<double> fractions = listener.progress(id);
    CHECK(!fractions.empty());
    CHECK(std::is_sorted(fractions.begin(), fractions.end()));
    CHECK(fractions.front() >= 0);
    CHECK_EQ(fractions.back(), 1.0);
  }
}

TEST(engine_refuses_more_than_it_can_hold) {
  Listener listener;
  Engine engine(tiny(1), listener.sink());
  const auto most = static_cast<RequestId>(Engine::kMaxOpen);
  for (RequestId id = 1; id <= most + 5; ++id) engine.submit(id, generate({5, 6}, 100000));
  int refused = 0;
  for (RequestId id = 1; id <= most + 5; ++id) engine.cancel(id);
  for (RequestId id = 1; id <= most + 5; ++id) {
    const Event last = listener.wait(id);
    const auto* failed = std::get_if<event::Failed>(&last.body);
    if (failed == nullptr) continue;
    CHECK(failed->code == ErrorCode::kBusy);
    ++refused;
  }
  // A few may have ended before the last ones came.
  CHECK(refused > 0 && refused <= 5);
  engine.submit(5000, generate({5}, 1));
  CHECK_EQ(generated(listener, 5000).size(), size_t{1});
}

TEST(engine_reports_logprobs) {
  Listener listener;
  Engine engine(tiny(), listener.sink());
  GenerateRequest request = generate({5, 6, 7}, 6);
  request.sampling.alternatives = 3;
  engine.submit(1, request);
  const auto answer = std::get<event::Generated>(listener.wait(1).body);
  const size_t count = answer.tokens.size();
  CHECK_EQ(answer.logprobs.chosen.size(), count);
  CHECK_EQ(answer.logprobs.top.size(), 3 * count);
  CHECK_EQ(answer.logprobs.top_tokens.size(), 3 * count);
  for (size_t i = 0; i < count; ++i) {
    // Greedy: the chosen one is the first of the alternatives.
    CHECK_EQ(answer.logprobs.top_tokens[3 * i], answer.tokens[i]);
    CHECK_EQ(answer.logprobs.top[3 * i], answer.logprobs.chosen[i]);
    CHECK(answer.logprobs.top[3 * i + 1] >= answer.logprobs.top[3 * i + 2]);
  }
  request.sampling.logit_bias = {{615, 1.0f}};
  engine.submit(2, request);
  CHECK(std::get<event::Failed>(listener.wait(2).body).code == ErrorCode::kInvalidArgument);
}

TEST(engine_ends_an_answer_that_has_no_token_left) {
  Listener listener;
  Engine engine(tiny(), listener.sink());
  GenerateRequest request = generate({5, 6, 7}, 10);
  for (int32_t id = 0; id < 615; ++id) {
    if (id != 40) request.sampling.logit_bias.emplace_back(id, -INFINITY);
  }
  request.sampling.no_repeat_ngram = 1;
  engine.submit(1, request);
  const auto answer = std::get<event::Generated>(listener.wait(1).body);
  CHECK_EQ(answer.tokens, (std::vector<int32_t>{40}));
  CHECK(answer.reason == event::FinishReason::kStop);
  // What is no number is no answer.
  request = generate({5, -1}, 10);
  request.prompt.images = {
      std::vector<float>(static_cast<size_t>(engine.model()->text_config().width), std::nanf(""))};
  engine.submit(2, request);
  CHECK(std::get<event::Failed>(listener.wait(2).body).code == ErrorCode::kInvalidArgument);
  engine.submit(3, generate({5, 6, 7}, 3));
  CHECK_EQ(generated(listener, 3).size(), size_t{3});
}

TEST(engines_live_side_by_side) {
  Listener first, second;
  LoadOptions threaded = tiny();
  threaded.threads = 2;
  Engine a(threaded, first.sink());
  Engine b(tiny(), second.sink());
  for (RequestId id = 1; id <= 4; ++id) {
    a.submit(id, generate({static_cast<int32_t>(id), 40}, 20));
    b.submit(id, generate({static_cast<int32_t>(id), 40}, 20));
  }
  for (RequestId id = 1; id <= 4; ++id) CHECK_EQ(generated(first, id), generated(second, id));
}

}  // namespace
}  // namespace xgenmm::test
