// Answers with guessed tokens run along: nobody notices but the clock.
#include <functional>

#include "harness.h"
#include "speculation.h"

namespace xgenmm::test {
namespace {

void check_same(const event::Generated& actual, const event::Generated& expected) {
  CHECK_EQ(actual.tokens, expected.tokens);
  CHECK_EQ(actual.text, expected.text);
  CHECK(actual.reason == expected.reason);
  CHECK_EQ(actual.prompt_tokens, expected.prompt_tokens);
  CHECK_EQ(actual.cached_tokens, expected.cached_tokens);
  CHECK(actual.logprobs.chosen == expected.logprobs.chosen);
  CHECK_EQ(actual.logprobs.top_tokens, expected.logprobs.top_tokens);
  CHECK(actual.logprobs.top == expected.logprobs.top);
}

// What is asked of a model with and without speculation.
std::vector<GenerateRequest> questions(const Model& model) {
  const int vocab_size = model.text_config().vocab_size;
  std::vector<GenerateRequest> questions;
  const auto add = [&](int max_tokens, const std::function<void(GenerateRequest&)>& change) {
    std::vector<int32_t> prompt = {5, 6, 7, static_cast<int32_t>(questions.size())};
    for (const int32_t token : passage(30)) prompt.push_back(token);
    prompt.insert(prompt.end(), {5, 6, 7});
    GenerateRequest request = generate(prompt, max_tokens);
    request.sampling.alternatives = 2;
    change(request);
    questions.push_back(std::move(request));
  };
  const auto few = [&](GenerateRequest& request) { narrow(request.sampling, 40, 3, vocab_size); };
  const auto drawn = [&](GenerateRequest& request) {
    few(request);
    request.sampling.temperature = 1.3f;
    request.sampling.seed = 77;
  };
  add(40, [](GenerateRequest&) {});
  add(70, [](GenerateRequest& request) { force(request.sampling, passage(30)); });
  add(60, few);
  add(60, drawn);
  add(60, [&](GenerateRequest& request) {
    request.sampling.temperature = 0.9f;
    request.sampling.top_k = 20;
    request.sampling.top_p = 0.9f;
    request.sampling.min_p = 0.01f;
    request.sampling.seed = 5;
  });
  add(60, [&](GenerateRequest& request) {
    drawn(request);
    request.sampling.repetition_penalty = 1.2f;
    request.sampling.presence_penalty = 0.3f;
    request.sampling.frequency_penalty = 0.1f;
  });
  // Ends with no token left, or with other words than were drafted.
  add(60, [&](GenerateRequest& request) {
    few(request);
    request.sampling.no_repeat_ngram = 3;
  });
  add(60, [&](GenerateRequest& request) {
    force(request.sampling, passage(30));
    request.sampling.no_repeat_ngram = 4;
  });
  // A stop token, which may be among the drafted ones and wins when it may.
  for (const int least : {0, 1, 13, 14, 25}) {
    add(60, [&](GenerateRequest& request) {
      force(request.sampling, passage(30));
      for (const int32_t id : model.stop_tokens()) {
        request.prompt.tokens[20] = id;
        request.sampling.logit_bias.emplace_back(id, 2e6f);
      }
      request.sampling.min_tokens = least;
    });
  }
  // In the middle of what is drafted.
  for (const int most : {1, 2, 3, 17, 18, 19, 31}) {
    add(most, [](GenerateRequest& request) { force(request.sampling, passage(30)); });
  }
  // The context's end.
  add(100000, [&](GenerateRequest& request) {
    drawn(request);
    request.sampling.temperature = 0.5f;
    for (int i = 0; i < model.context_size() - 150; ++i)
      request.prompt.tokens.push_back(i * 31 % 600);
  });
  return questions;
}

// Also questions that end at strings of what the answers say.
std::vector<GenerateRequest> with_stops(std::vector<GenerateRequest> questions,
                                        const std::vector<event::Generated>& answers) {
  const size_t count = questions.size();
  for (const size_t i : {size_t{1}, size_t{2}, size_t{3}}) {
    const std::string& text = answers[i].text;
    for (const size_t at : {text.size() / 3, text.size() / 2}) {
      questions.push_back(questions[i]);
      questions.back().stop = {text.substr(at, 3), text.substr(at + 1, 9), "no such thing"};
    }
  }
  CHECK(questions.size() > count);
  return questions;
}

// every: of the questions one in so many.
void check_file(const std::string& file, int context_size, const std::vector<int>& threads,
                size_t every = 1) {
  LoadOptions plain = options(file, Speculation::kOff);
  plain.context_size = context_size;
  std::vector<GenerateRequest> asked;
  {
    Listener listener;
    Engine engine(plain, listener.sink());
    listener.wait(0);
    asked = questions(*engine.model());
  }
  asked = with_stops(asked, answers(plain, asked));
  for (size_t i = 0; i * every < asked.size(); ++i) asked[i] = asked[i * every];
  asked.resize((asked.size() + every - 1) / every);
  const std::vector<event::Generated> expected = answers(plain, asked);
  for (const int count : threads) {
    LoadOptions other = plain;
    other.threads = count;
    other.speculation = Speculation::kAlways;
    const std::vector<event::Generated> actual = answers(other, asked);
    for (size_t i = 0; i < asked.size(); ++i) check_same(actual[i], expected[i]);
    // All at once, each in whatever company.
    other.max_sequences = 2 + count;
    if (count == 1) other.speculation = Speculation::kAuto;
    const std::vector<event::Generated> mixed = answers(other, asked, true);
    for (size_t i = 0; i < asked.size(); ++i) {
      event::Generated same = mixed[i];
      same.cached_tokens = expected[i].cached_tokens;
      check_same(same, expected[i]);
    }
  }
}

TEST(speculation_is_exact) {
  check_file(model_path("tiny-f32.gguf"), 512, {1, 2, 3});
}

TEST(speculation_is_exact_with_other_weights) {
  check_file(model_path("tiny-bf16.gguf"), 256, {2}, 3);
  check_file(model_path("wide-gqa-q4_k_m.gguf"), 192, {2, 3}, 6);
  check_file(model_path("wide-q8_0.gguf"), 192, {1}, 6);
  check_file(model_path("wide-f16.gguf"), 192, {1}, 6);
}

TEST(speculation_is_exact_with_learnt_weights) {
  check_file(model_path(kDemoModel), 512, {1, 2});
}

// tiny's window is 31 positions in a ring of 768 rows: a long answer goes round, and what other
// prompts find in its slot is the same.
TEST(speculation_is_exact_over_a_ring_that_wraps) {
  const std::string file = model_path("tiny-f32.gguf");
  std::vector<int32_t> prompt = {5, 6, 7};
  for (int i = 0; i < 600; ++i) prompt.push_back(i * 31 % 600);
  std::vector<GenerateRequest> asked;
  std::unordered_set<int32_t> stop_tokens;
  {
    Listener listener;
    Engine engine(options(file, Speculation::kOff), listener.sink());
    listener.wait(0);
    stop_tokens = engine.model()->stop_tokens();
  }
  // Around where the ring begins anew.
  for (const int most : {150, 163, 164, 165, 166, 172, 180, 400}) {
    asked.push_back(generate(prompt, most));
    asked.back().prompt.tokens[0] = most;
    narrow(asked.back().sampling, 40, 3, 615);
    asked.back().sampling.temperature = 1.5f;
    // Ends where more has been drafted.
    asked.push_back(generate(prompt, 1000));
    asked.back().prompt.tokens[0] = most;
    force(asked.back().sampling, passage(40));
    asked.back().sampling.min_tokens = most;
    for (const int32_t id : stop_tokens) asked.back().sampling.logit_bias.emplace_back(id, 2e6f);
  }
  const std::vector<event::Generated> first = answers(options(file, Speculation::kOff), asked);
  // Each followed by prompts that leave it at places near the oldest that can be continued.
  std::vector<GenerateRequest> chains;
  for (size_t i = 0; i < asked.size(); ++i) {
    const std::vector<int32_t>& tokens = first[i].tokens;
    std::vector<int32_t> all = asked[i].prompt.tokens;
    all.insert(all.end(), tokens.begin(), tokens.end());
    const size_t oldest = all.size() > 768 ? all.size() - 768 + 30 : all.size() / 2;
    for (const size_t keep : {all.size(), all.size() - 1, oldest, oldest + 5, oldest + 14,
                              oldest + 15, oldest + 16, oldest + 17, oldest + 40}) {
      if (keep > all.size()) continue;
      chains.push_back(asked[i]);
      std::vector<int32_t> branch(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(keep));
      branch.push_back(11);
      chains.push_back(generate(branch, 3));
    }
  }
  const std::vector<event::Generated> expected = answers(options(file, Speculation::kOff), chains);
  const std::vector<event::Generated> actual = answers(options(file, Speculation::kAlways), chains);
  int reused = 0;
  for (size_t i = 0; i < chains.size(); ++i) {
    check_same(actual[i], expected[i]);
    reused += expected[i].cached_tokens > 0;
  }
  CHECK(reused > 50);
}

}  // namespace
}  // namespace xgenmm::test
