// The engine's thread: every request ends with exactly one last event, whatever happens when.
#include "engine/engine.h"

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>

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
    CHECK(changed_.wait_for(lock, std::chrono::seconds(60),
                            [&] { return !events_[request].empty(); }));
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

Picture picture(int width, int height) {
  Picture picture{
      width, height,
      std::vector<uint8_t>(static_cast<size_t>(width) * static_cast<size_t>(height) * 3)};
  for (size_t i = 0; i < picture.rgb.size(); ++i)
    picture.rgb[i] = static_cast<uint8_t>(i * 7 + i / 100);
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
  for (int round = 0; round < 12; ++round) {
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
