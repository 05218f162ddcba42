// The engine's thread: every request ends with exactly one last event, whatever happens when.
#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <random>

#include "engine/logits_task.h"
#include "harness.h"
#include "listener.h"

namespace xgenmm::test {
namespace {

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

TEST(engine_hidden_states_are_the_same_in_all_ways) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < 200; ++i) tokens.push_back((i * 31) % 600);
  std::vector<float> all, logits;
  size_t row = 0, layers = 0;
  {
    Listener listener;
    Engine engine(tiny(), listener.sink());
    engine.submit(1, LogitsRequest{{tokens, {}}, 0, true});
    engine.submit(2, LogitsRequest{{tokens, {}}, 0, false});
    auto both = std::get<event::Logits>(listener.wait(1).body);
    const auto plain = std::get<event::Logits>(listener.wait(2).body);
    CHECK(plain.hidden.empty());
    CHECK(both.logits == plain.logits);
    row = static_cast<size_t>(engine.model()->text_config().width);
    layers = static_cast<size_t>(engine.model()->text_config().layers) + 1;
    all = std::move(both.hidden);
    logits = std::move(both.logits);
  }
  CHECK_EQ(all.size(), layers * 200 * row);
  CHECK(std::all_of(all.begin(), all.end(), [](float value) { return std::isfinite(value); }));
  // Beside answers, pictures and others of its kind, over warm slots.
  Listener listener;
  Engine engine(tiny(4), listener.sink());
  const std::vector<int> lasts = {1, 2, 64, 65, 199, 200, 500, 0};
  engine.submit(1, generate({5, 6, 7}, 200));
  engine.submit(2, generate({300, 20}, 200));
  engine.submit(3, EncodeRequest{picture(100, 60), ImageMode::kAnyres});
  for (const int last : lasts)
    engine.submit(static_cast<RequestId>(10 + last), LogitsRequest{{tokens, {}}, last, true});
  for (const int last : lasts) {
    const size_t rows = last == 0 ? 200 : static_cast<size_t>(std::min(last, 200));
    const auto some =
        std::get<event::Logits>(listener.wait(static_cast<RequestId>(10 + last)).body);
    CHECK(std::equal(some.logits.begin(), some.logits.end(),
                     logits.end() - static_cast<std::ptrdiff_t>(rows * 615)));
    CHECK_EQ(some.hidden.size(), layers * rows * row);
    for (size_t layer = 0; layer < layers; ++layer) {
      const auto actual = some.hidden.begin() + static_cast<std::ptrdiff_t>(layer * rows * row);
      const auto end = all.begin() + static_cast<std::ptrdiff_t>((layer + 1) * 200 * row);
      CHECK(std::equal(end - static_cast<std::ptrdiff_t>(rows * row), end, actual));
    }
  }
}

TEST(engine_refuses_more_hidden_states_than_it_gives_out) {
  TextConfig config{};
  config.width = 3072;
  config.layers = 32;
  LogitsTask::check_hidden(config, 2647);
  CHECK_THROWS(ErrorCode::kInvalidArgument, LogitsTask::check_hidden(config, 2648));
  config.layers = 512;
  config.width = 1 << 20;
  CHECK_THROWS(ErrorCode::kInvalidArgument, LogitsTask::check_hidden(config, 1));
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
      submit_some(engine, requests, random);
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
      engine.stop();
    }
    CHECK(listener.closed());
    for (RequestId id = 0; id <= requests; ++id) CHECK_EQ(listener.ends(id), 1);
  }
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
