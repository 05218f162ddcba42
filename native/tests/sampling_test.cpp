#include <algorithm>
#include <cmath>
#include <limits>

#include "harness.h"
#include "sampling/sampler.h"
#include "sampling/stop_strings.h"

namespace xgenmm::test {
namespace {

TEST(argmax_takes_the_first_largest_and_never_nan) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  CHECK_EQ(argmax({1, 3, 3, 2}), 1);
  CHECK_EQ(argmax({nan, -5, nan}), 1);
  CHECK_EQ(argmax({nan, nan}), 0);
}

using Logits = std::vector<float>;

const float kInfinity = std::numeric_limits<float>::infinity();

// The greedy choices for the same logits over and over.
std::vector<int32_t> choices(const SamplingOptions& options, const Logits& logits, int count,
                             const std::unordered_set<int32_t>& stop_tokens = {}) {
  Sampler sampler(options);
  std::vector<int32_t> ids;
  for (int i = 0; i < count; ++i) ids.push_back(sampler.sample(logits, stop_tokens).token);
  return ids;
}

// How often each token is drawn, as fractions.
std::vector<double> drawn(SamplingOptions options, const Logits& logits, int draws = 40000) {
  options.seed = 7;
  std::vector<double> shares(logits.size());
  Sampler sampler(options);
  for (int i = 0; i < draws; ++i)
    shares[static_cast<size_t>(sampler.sample(logits, {}).token)] += 1.0 / draws;
  return shares;
}

void check_shares(const std::vector<double>& shares, const std::vector<double>& expected) {
  CHECK_EQ(shares.size(), expected.size());
  for (size_t i = 0; i < shares.size(); ++i) {
    if (expected[i] == 0) CHECK_EQ(shares[i], 0.0);
    CHECK_NEAR(shares[i], expected[i], 0.01);
  }
}

// log of 1, 2, 3, 4: probabilities 0.1 to 0.4.
const Logits kTenths = {std::log(1.0f), std::log(2.0f), std::log(3.0f), std::log(4.0f)};

TEST(sampler_penalises_what_it_has_generated) {
  SamplingOptions options;
  options.repetition_penalty = 2;
  // 3 / 2 < 2; then 3 / 2 > 2 / 2. The penalty does not grow with the count.
  CHECK_EQ(choices(options, {-1, 3, 2}, 4), (std::vector<int32_t>{1, 2, 1, 1}));
  // -0.5 * 2 ties with -1.
  CHECK_EQ(choices(options, {-0.5f, -1, -0.9f}, 3), (std::vector<int32_t>{0, 2, 0}));
}

TEST(sampler_presence_and_frequency_penalties) {
  SamplingOptions presence;
  presence.presence_penalty = 1.5f;
  // Once for good: 3 - 1.5 < 2, then 3 - 1.5 > 2 - 1.5 for ever.
  CHECK_EQ(choices(presence, {3, 2, 0}, 5), (std::vector<int32_t>{0, 1, 0, 0, 0}));
  SamplingOptions frequency;
  frequency.frequency_penalty = 0.75f;
  // 3, 2.25, 2 (the other), 1.5, ...: with the count.
  CHECK_EQ(choices(frequency, {3, 2, 0}, 6), (std::vector<int32_t>{0, 0, 1, 0, 1, 0}));
  SamplingOptions reward;
  reward.presence_penalty = -5;
  CHECK_EQ(choices(reward, {1, 0.9f}, 3), (std::vector<int32_t>{0, 0, 0}));
}

TEST(sampler_bans_repeated_ngrams) {
  SamplingOptions options;
  options.no_repeat_ngram = 1;
  CHECK_EQ(choices(options, {1, 3, 2, 0}, 4), (std::vector<int32_t>{1, 2, 0, 3}));
  options.no_repeat_ngram = 2;
  // 1 1; "1 1" may not come again, so 2 does; then 1, after which 1 and 2 are taken, so 0.
  CHECK_EQ(choices(options, {1, 3, 2}, 6), (std::vector<int32_t>{1, 1, 2, 1, 0, 1}));
  options.no_repeat_ngram = 3;
  CHECK_EQ(choices(options, {1, 3, 2}, 5), (std::vector<int32_t>{1, 1, 1, 2, 1}));
}

TEST(sampler_biases_and_bans) {
  SamplingOptions options;
  options.logit_bias = {{1, -kInfinity}, {2, 1.5f}};
  CHECK_EQ(choices(options, {1, 9, 0}, 2), (std::vector<int32_t>{2, 2}));
  options.logit_bias = {{3, 1.0f}};
  Sampler sampler(options);
  CHECK_THROWS(ErrorCode::kInvalidArgument, sampler.check(3));
  sampler.check(4);
  options.logit_bias = {{-1, 1.0f}};
  CHECK_THROWS(ErrorCode::kInvalidArgument, Sampler(options).check(3));
}

TEST(sampler_says_when_nothing_is_left) {
  for (const float temperature : {0.0f, 1.0f}) {
    SamplingOptions options;
    options.temperature = temperature;
    options.no_repeat_ngram = 1;
    std::vector<int32_t> ids = choices(options, {1, 9, 5}, 5);
    std::sort(ids.begin(), ids.begin() + 3);
    CHECK_EQ(ids, (std::vector<int32_t>{0, 1, 2, -1, -1}));
    options.logit_bias = {{0, -kInfinity}, {1, -kInfinity}, {2, -kInfinity}};
    CHECK_EQ(choices(options, {1, 9, 5}, 1), (std::vector<int32_t>{-1}));
    CHECK_EQ(choices(options, {std::nanf(""), -kInfinity, -kInfinity}, 1),
             (std::vector<int32_t>{-1}));
    CHECK_EQ(choices(options, {kInfinity, 1, 2}, 1), (std::vector<int32_t>{-1}));
  }
}

TEST(sampler_holds_stop_tokens_back) {
  SamplingOptions options;
  options.min_tokens = 3;
  CHECK_EQ(choices(options, {1, 9, 5}, 5, {1, 2}), (std::vector<int32_t>{0, 0, 0, 1, 1}));
}

TEST(sampler_follows_the_distribution) {
  SamplingOptions options;
  options.temperature = 1;
  check_shares(drawn(options, kTenths), {0.1, 0.2, 0.3, 0.4});
  options.temperature = 0.5f;
  check_shares(drawn(options, kTenths), {1 / 30.0, 4 / 30.0, 9 / 30.0, 16 / 30.0});
}

TEST(sampler_filters) {
  SamplingOptions options;
  options.temperature = 1;
  options.top_k = 2;
  check_shares(drawn(options, kTenths), {0, 0, 3 / 7.0, 4 / 7.0});
  options.top_k = 9;
  check_shares(drawn(options, kTenths), {0.1, 0.2, 0.3, 0.4});
  // Equals at the edge stay together.
  options.top_k = 1;
  check_shares(drawn(options, {0, 0, -1}), {0.5, 0.5, 0});
  options.top_k = 0;
  // The fewest whose probabilities reach it.
  options.top_p = 0.65f;
  check_shares(drawn(options, kTenths), {0, 0, 3 / 7.0, 4 / 7.0});
  options.top_p = 0.75f;
  check_shares(drawn(options, kTenths), {0, 2 / 9.0, 3 / 9.0, 4 / 9.0});
  options.top_p = 0;
  check_shares(drawn(options, kTenths), {0, 0, 0, 1});
  // After top-k, of what top-k left: 3/7 and 4/7.
  options.top_k = 2;
  options.top_p = 0.5f;
  check_shares(drawn(options, kTenths), {0, 0, 0, 1});
  options.top_k = 0;
  options.top_p = 1;
  // Relative to the likeliest.
  options.min_p = 0.6f;
  check_shares(drawn(options, kTenths), {0, 0, 3 / 7.0, 4 / 7.0});
  options.min_p = 1;
  check_shares(drawn(options, kTenths), {0, 0, 0, 1});
  // Temperature comes before the filters: 1 : 4 : 9 : 16.
  options.min_p = 0.5f;
  options.temperature = 0.5f;
  check_shares(drawn(options, kTenths), {0, 0, 9 / 25.0, 16 / 25.0});
}

TEST(sampler_top_k_sees_logits_however_hot) {
  SamplingOptions options;
  options.top_k = 1;
  for (const float temperature : {1.0f, 1e17f, 1e38f}) {
    options.temperature = temperature;
    CHECK_EQ(choices(options, {1, 3, 2}, 20), std::vector<int32_t>(20, 1));
  }
}

TEST(sampler_repeats_with_its_seed) {
  SamplingOptions options;
  options.temperature = 1;
  const Logits logits(100, 0.0f);
  options.seed = 1;
  const auto first = choices(options, logits, 50);
  CHECK_EQ(choices(options, logits, 50), first);
  options.seed = 2;
  CHECK(choices(options, logits, 50) != first);
}

TEST(sampler_reports_the_models_own_probabilities) {
  SamplingOptions options;
  options.temperature = 0.5f;
  options.repetition_penalty = 3;
  options.logit_bias = {{0, 50.0f}};
  options.alternatives = 2;
  Sampler sampler(options);
  const Choice choice = sampler.sample(kTenths, {});
  CHECK_EQ(choice.token, 0);
  CHECK_EQ(choice.logprobs.chosen.size(), size_t{1});
  CHECK_NEAR(choice.logprobs.chosen[0], std::log(0.1), 1e-6);
  CHECK_EQ(choice.logprobs.top_tokens, (std::vector<int32_t>{3, 2}));
  CHECK_NEAR(choice.logprobs.top[0], std::log(0.4), 1e-6);
  CHECK_NEAR(choice.logprobs.top[1], std::log(0.3), 1e-6);
  const Logprobs few = logprobs_of(kTenths, 1, 20);
  CHECK_EQ(few.top_tokens, (std::vector<int32_t>{3, 2, 1, 0}));
  const Logprobs none = logprobs_of(kTenths, 1, 0);
  CHECK_NEAR(none.chosen[0], std::log(0.2), 1e-6);
  CHECK(none.top.empty());
}

TEST(sampler_survives_broken_logits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const Logits& broken : std::vector<Logits>{{nan, nan, nan},
                                                  {kInfinity, kInfinity},
                                                  {-kInfinity, 1, nan},
                                                  {-kInfinity, -kInfinity}}) {
    for (const float temperature : {0.0f, 0.7f}) {
      SamplingOptions options;
      options.temperature = temperature;
      options.repetition_penalty = 1.3f;
      options.frequency_penalty = 1;
      options.no_repeat_ngram = 2;
      options.top_k = 2;
      options.top_p = 0.5f;
      options.min_p = 0.1f;
      options.alternatives = 2;
      Sampler sampler(options);
      for (int i = 0; i < 10; ++i) {
        const int32_t token = sampler.sample(broken, {0}).token;
        CHECK(token >= -1 && token < static_cast<int32_t>(broken.size()));
      }
    }
  }
}

// What is shown for pieces, in one string per push, then what is left.
std::vector<std::string> shown(const std::vector<std::string>& stops,
                               const std::vector<std::string>& pieces) {
  StopStrings stop(stops);
  std::vector<std::string> out;
  for (const std::string& piece : pieces) out.push_back(stop.push(piece));
  out.push_back(stop.stopped() ? "STOP" : stop.flush());
  return out;
}

TEST(stop_strings_hold_back_beginnings) {
  using Strings = std::vector<std::string>;
  CHECK(shown({}, {"ab", "c"}) == (Strings{"ab", "c", ""}));
  CHECK(shown({"END"}, {"a E", "N", "x"}) == (Strings{"a ", "", "ENx", ""}));
  CHECK(shown({"END"}, {"a E", "N", "D tail"}) == (Strings{"a ", "", "", "STOP"}));
  CHECK(shown({"END"}, {"EEN", "D"}) == (Strings{"E", "", "STOP"}));
  CHECK(shown({"END"}, {"trailing EN"}) == (Strings{"trailing ", "EN"}));
  CHECK(shown({"aab", "ab"}, {"aaab"}) == (Strings{"a", "STOP"}));
  CHECK(shown({"x"}, {"one x two x"}) == (Strings{"one ", "STOP"}));
}

}  // namespace
}  // namespace xgenmm::test
