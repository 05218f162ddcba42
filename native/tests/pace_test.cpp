#include "base/pace.h"

#include <vector>

#include "harness.h"

namespace xgenmm::test {
namespace {

constexpr int kMost = 512;

// The size of the steps after some of them, each of which takes fixed_ms and unit_ms per unit.
int settled(double fixed_ms, double unit_ms, double budget_ms, Pace pace = {}) {
  for (int i = 0; i < 30; ++i) {
    const int units = pace.units(budget_ms, 1, kMost);
    pace.record(units, fixed_ms + unit_ms * units, false);
  }
  return pace.units(budget_ms, 1, kMost);
}

TEST(pace_begins_small_and_fills_the_budget) {
  CHECK_EQ(Pace().units(200, 1, kMost), 1);
  CHECK_EQ(Pace().units(200, 16, 8), 8);
  CHECK_EQ(Pace().units(INFINITY, 1, kMost), kMost);
  CHECK_EQ(settled(0, 10, 200), 20);
  CHECK_EQ(settled(0, 0.01, 200), kMost);
  CHECK_EQ(settled(0, 500, 200), 1);
}

TEST(pace_knows_what_a_step_costs_by_itself) {
  CHECK_EQ(settled(100, 20, 200), 5);
  CHECK_EQ(settled(150, 10, 200), 5);
  CHECK_EQ(settled(110, 1, 200), 90);
  CHECK_EQ(settled(170, 170, 200), 1);
  CHECK_EQ(settled(300, 1, 200), 1);
}

TEST(pace_recovers_from_an_outlier) {
  Pace pace;
  pace.record(10, 100, false);
  pace.record(11, 5000, false);
  CHECK_EQ(settled(0, 10, 200, pace), 20);
  pace.record(400, 1, false);
  CHECK_EQ(settled(0, 10, 200, pace), 20);
}

TEST(pace_follows_the_budget) {
  Pace pace;
  for (int i = 0; i < 20; ++i) {
    const int units = pace.units(1000, 1, kMost);
    pace.record(units, 50 + 10.0 * units, false);
  }
  CHECK_EQ(pace.units(1000, 1, kMost), 95);
  CHECK(pace.units(200, 1, kMost) <= 19);
  CHECK_EQ(settled(50, 10, 200, pace), 15);
}

TEST(pace_learns_nothing_of_a_rest_but_that_it_can_be_more) {
  Pace pace;
  pace.record(20, 200, false);
  pace.record(3, 40, true);
  CHECK_EQ(pace.units(200, 1, kMost), 20);
  pace.record(30, 150, true);
  CHECK_EQ(pace.units(150, 1, kMost), 30);
}

// The tower on a GPU: 54 half layers of five tiles.
TEST(pace_takes_all_of_a_picture_at_once_where_it_fits) {
  constexpr int kAll = 270;
  Pace pace;
  std::vector<int> steps;
  for (int picture = 0; picture < 4; ++picture) {
    steps.clear();
    for (int left = kAll; left > 0;) {
      const int units = pace.units(200, 1, left);
      pace.record(units, 0.5 + 0.02 * units, units == left);
      steps.push_back(units);
      left -= units;
    }
  }
  CHECK_EQ(steps.size(), 1u);
}

}  // namespace
}  // namespace xgenmm::test
