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

TEST(sampler_penalises_what_it_has_generated) {
  Sampler sampler({0.0f, 2.0f, 0});
  std::vector<float> logits = {-1.0f, 3.0f, 2.0f};
  CHECK_EQ(sampler.sample(logits), 1);
  logits = {-1.0f, 3.0f, 2.0f};
  CHECK_EQ(sampler.sample(logits), 2);  // 3 / 2 < 2
  logits = {-1.0f, 3.0f, 2.0f};
  CHECK_EQ(sampler.sample(logits), 1);  // 3 / 2 > 2 / 2
  logits = {-0.5f, -1.0f, -1.0f};
  CHECK_EQ(sampler.sample(logits), 0);  // -1 * 2 < -0.5
}

TEST(sampler_follows_the_distribution) {
  const std::vector<float> logits = {std::log(1.0f), std::log(2.0f), std::log(5.0f)};
  const int draws = 40000;
  for (const float temperature : {1.0f, 0.5f}) {
    Sampler sampler({temperature, 1.0f, 7});
    int counts[3] = {};
    for (int i = 0; i < draws; ++i) {
      std::vector<float> copy = logits;
      ++counts[sampler.sample(copy)];
    }
    double weights[3], total = 0;
    for (int i = 0; i < 3; ++i)
      total += weights[i] = std::pow(std::exp(double{logits[i]}), 1 / temperature);
    for (int i = 0; i < 3; ++i) CHECK_NEAR(counts[i] / double{draws}, weights[i] / total, 0.01);
  }
}

TEST(sampler_repeats_with_its_seed) {
  const auto draw = [](uint64_t seed) {
    Sampler sampler({1.0f, 1.0f, seed});
    std::vector<int32_t> ids;
    for (int i = 0; i < 50; ++i) {
      std::vector<float> logits(100, 0.0f);
      ids.push_back(sampler.sample(logits));
    }
    return ids;
  };
  CHECK_EQ(draw(1), draw(1));
  CHECK(draw(1) != draw(2));
}

TEST(sampler_survives_broken_logits) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& broken : std::vector<std::vector<float>>{
           {nan, nan, nan}, {infinity, infinity}, {-infinity, 1, nan}}) {
    Sampler sampler({0.7f, 1.3f, 3});
    for (int i = 0; i < 10; ++i) {
      std::vector<float> logits = broken;
      const int32_t token = sampler.sample(logits);
      CHECK(token >= 0 && static_cast<size_t>(token) < broken.size());
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
