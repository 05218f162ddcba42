#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <random>
#include <tuple>
#include <vector>

#include "engine/engine.h"
#include "fixture.h"
#include "harness.h"

namespace xgenmm::test {

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

inline LoadOptions tiny(int sequences = 2) {
  LoadOptions options;
  options.text_path = model_path("tiny-f32.gguf");
  options.device = "cpu";
  options.threads = 1;
  options.max_sequences = sequences;
  return options;
}

inline GenerateRequest generate(std::vector<int32_t> tokens, int max_tokens) {
  return {{std::move(tokens), {}}, {}, max_tokens, {}};
}

// A picture of its own for each seed, which stays as long as the tests run.
inline PictureView picture(int width, int height, int seed = 0) {
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

// Requests 1 .. count of every kind, some of them cancelled at once.
inline void submit_some(Engine& engine, RequestId count, std::mt19937& random) {
  for (RequestId id = 1; id <= count; ++id) {
    if (id % 3 == 0) {
      engine.submit(id, EncodeRequest{picture(90, 200), ImageMode::kAnyres});
    } else if (id == 4) {
      engine.submit(id, LogitsRequest{{std::vector<int32_t>(300, 8), {}}, 0, true});
    } else {
      engine.submit(id, generate({static_cast<int32_t>(id), 9}, 400));
    }
    if (random() % 3 == 0) engine.cancel(id);
  }
}

inline std::vector<int32_t> generated(Listener& listener, RequestId request) {
  return std::get<event::Generated>(listener.wait(request).body).tokens;
}

}  // namespace xgenmm::test
