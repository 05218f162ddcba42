// When drafting pays: pure functions of what steps took and of how often guesses came true.
#include "engine/draft_policy.h"

#include <cmath>
#include <functional>
#include <numeric>
#include <random>

#include "engine/drafter.h"
#include "harness.h"

namespace xgenmm::test {
namespace {

constexpr int kMost = 63;
constexpr double kLong = 1000;

using Cost = std::function<double(int columns)>;

// A language model of large matrices: one column costs as much as several, then each costs.
double large(int columns) {
  return 120 + std::max(0.0, 9.0 * (columns - 6)) + 2.0 * columns;
}
// Each column costs as much as the first.
double dear(int columns) {
  return 5.0 * columns;
}

std::vector<double> powers(double chance, int count) {
  std::vector<double> chances;
  for (int i = 1; i <= count; ++i) chances.push_back(std::pow(chance, i));
  return chances;
}

struct Played {
  double ms = 0;
  int tokens = 0;
  int drafted = 0;
  int steps = 0;
};

// An answer whose guesses, of 15 tokens each, come true with a chance that it knows.
Played play(DraftPolicy& policy, const Cost& cost, double chance, int tokens, uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> draw(0, 1);
  Played played;
  while (played.tokens < tokens) {
    const int length = policy.lengths({{seed, powers(chance, 15)}}, kMost, kLong)[0];
    const double ms = cost(1 + length);
    policy.record(length, ms);
    played.ms += ms;
    played.drafted += length;
    ++played.steps;
    ++played.tokens;
    for (int i = 0; i < length && draw(random) < chance; ++i) ++played.tokens;
  }
  return played;
}

TEST(draft_policy_makes_copies_fast) {
  DraftPolicy policy(Speculation::kAuto);
  const Played played = play(policy, large, 0.97, 400);
  CHECK(played.tokens * large(1) / played.ms > 3);
  // Already the first answer, and a short one.
  DraftPolicy fresh(Speculation::kAuto);
  const Played first = play(fresh, large, 0.97, 64);
  CHECK(first.tokens * large(1) / first.ms > 2);
}

TEST(draft_policy_loses_nothing_where_guesses_do_not_come_true) {
  for (const double chance : {0.0, 0.02, 0.05, 0.1}) {
    DraftPolicy policy(Speculation::kAuto);
    const Played played = play(policy, large, chance, 400);
    CHECK(played.tokens * large(1) / played.ms > 0.98);
  }
}

TEST(draft_policy_loses_little_where_columns_are_dear) {
  for (const double chance : {0.1, 0.5, 0.9, 0.99}) {
    DraftPolicy policy(Speculation::kAuto);
    const Played played = play(policy, dear, chance, 1000);
    CHECK(played.tokens * dear(1) / played.ms > 0.985);
    CHECK(played.drafted < 100);
  }
}

TEST(draft_policy_drafts_as_far_as_pays) {
  // Where eight columns cost as much as one and the ninth as much as all of them.
  const Cost step = [](int columns) { return columns <= 8 ? 10.0 : 40.0; };
  DraftPolicy policy(Speculation::kAuto);
  play(policy, step, 0.95, 500);
  const Played played = play(policy, step, 0.95, 1000);
  CHECK(played.tokens * step(1) / played.ms > 4);
}

TEST(draft_policy_notices_that_the_machine_has_changed) {
  DraftPolicy policy(Speculation::kAuto);
  play(policy, dear, 0.95, 500);
  const Played better = play(policy, large, 0.95, 1000, 2);
  CHECK(better.tokens * large(1) / better.ms > 2.5);
  const Played worse = play(policy, dear, 0.95, 2000, 3);
  CHECK(worse.tokens * dear(1) / worse.ms > 0.96);
}

TEST(draft_policy_does_not_mind_noise) {
  std::mt19937 random(9);
  // Now and then a step takes five times as long.
  const Cost noisy = [&](int columns) {
    const double factor = random() % 12 == 0 ? 5 : 1 + static_cast<double>(random() % 100) / 1000;
    return large(columns) * factor;
  };
  DraftPolicy policy(Speculation::kAuto), off(Speculation::kOff);
  const double without = play(off, noisy, 0.95, 3000).ms;
  CHECK(without / play(policy, noisy, 0.95, 3000).ms > 2.5);
  DraftPolicy idle(Speculation::kAuto);
  CHECK(play(off, noisy, 0.02, 3000).ms / play(idle, noisy, 0.02, 3000).ms > 0.95);
}

TEST(draft_policy_does_not_take_a_slow_first_step_for_the_rule) {
  DraftPolicy policy(Speculation::kAuto);
  double with = 0, without = 0;
  for (uint32_t answer = 1; answer <= 20; ++answer) {
    int step = 0;
    const Cost cost = [&](int columns) { return (step++ == 0 ? 2.5 : 1) * dear(columns); };
    DraftPolicy off(Speculation::kOff);
    without += play(off, cost, 0.9, 100, answer).ms;
    step = 0;
    with += play(policy, cost, 0.9, 100, answer).ms;
  }
  CHECK(without / with > 0.97);
}

TEST(draft_policy_measures_a_plain_step_first) {
  DraftPolicy policy(Speculation::kAuto);
  const DraftPolicy::Candidate sure{1, powers(1, 15)};
  const auto drafted = [&](const std::vector<DraftPolicy::Candidate>& candidates) {
    const std::vector<int> lengths = policy.lengths(candidates, kMost, kLong);
    return std::accumulate(lengths.begin(), lengths.end(), 0);
  };
  CHECK_EQ(drafted({sure}), 0);
  policy.record(0, 120);
  // Further and further.
  int last = 1;
  for (const int expected : {2, 4, 8, 15}) {
    last = drafted({sure});
    CHECK_EQ(last, expected);
    policy.record(last, 121 + last);
  }
  // In other company a step takes as long as it takes.
  CHECK_EQ(drafted({sure, {2, {}}}), 0);
}

TEST(draft_policy_keeps_steps_short) {
  DraftPolicy policy(Speculation::kAuto);
  const std::vector<DraftPolicy::Candidate> candidates = {{1, powers(0.99, 15)}};
  for (int i = 0; i < 40; ++i) {
    const int length = policy.lengths(candidates, kMost, 160)[0];
    CHECK(large(1 + length) <= 175);  // a try may be too far
    if (i > 25) CHECK(large(1 + length) <= 160);
    policy.record(length, large(1 + length));
  }
  CHECK_EQ(policy.lengths(candidates, kMost, 100)[0], 0);
}

TEST(draft_policy_shares_a_step) {
  DraftPolicy policy(Speculation::kAuto);
  const DraftPolicy::Candidate sure{1, powers(0.98, 15)}, alike{2, powers(0.98, 15)},
      unsure{3, powers(0.3, 15)}, silent{4, {}};
  const auto settled = [&](const std::vector<DraftPolicy::Candidate>& candidates) {
    std::vector<int> lengths;
    for (int i = 0; i < 20; ++i) {
      lengths = policy.lengths(candidates, kMost, kLong);
      const int drafted = std::accumulate(lengths.begin(), lengths.end(), 0);
      policy.record(drafted, large(static_cast<int>(candidates.size()) + drafted));
    }
    return lengths;
  };
  const std::vector<int> both = settled({sure, alike});
  CHECK(both[0] > 1 && std::abs(both[0] - both[1]) <= 1);
  const std::vector<int> all = settled({sure, unsure, silent, alike});
  CHECK(all[0] > all[1] && all[2] == 0);
  // The more others there are that gain nothing, the less a step may grow for one.
  const int alone = settled({sure})[0];
  std::vector<DraftPolicy::Candidate> crowd = {sure};
  for (uint64_t id = 10; id < 17; ++id) crowd.push_back({id, {}});
  CHECK(settled(crowd)[0] < alone);
}

TEST(draft_policy_is_off_and_always_on_where_told) {
  DraftPolicy off(Speculation::kOff), always(Speculation::kAlways);
  const std::vector<DraftPolicy::Candidate> candidates = {
      {1, powers(0.01, 15)}, {2, {}}, {3, powers(0.9, 3)}};
  CHECK_EQ(off.lengths(candidates, kMost, kLong), (std::vector<int>{0, 0, 0}));
  CHECK_EQ(always.lengths(candidates, kMost, kLong), (std::vector<int>{15, 0, 3}));
  CHECK_EQ(always.lengths(candidates, 4, kLong), (std::vector<int>{1, 0, 3}));
}

TEST(drafter_learns_whether_its_guesses_come_true) {
  const std::vector<int32_t> prompt = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1, 2};
  Drafter good(prompt), bad(prompt);
  good.guess(6);
  const double first = good.chances()[0];
  CHECK_EQ(good.chances().size(), size_t{6});
  for (const int32_t token : {3, 4, 5, 6}) good.see(token);
  good.guess(6);
  CHECK_EQ(good.tokens(), (std::vector<int32_t>{7, 8, 9, 10, 11, 12}));
  CHECK(good.chances()[0] > first);
  // The same two words again and again, and each time others behind them.
  for (int32_t token = 100; token < 120; ++token) {
    bad.guess(6);
    for (const int32_t seen : {token, 1, 2}) bad.see(seen);
  }
  bad.guess(6);
  CHECK(bad.chances()[0] < 0.1);
}

}  // namespace
}  // namespace xgenmm::test
