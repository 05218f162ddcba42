#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>

namespace xgenmm {

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start_)
        .count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Sizes the steps of long work by what the last one took.
class Pace {
 public:
  // How many units of work fit into budget_ms: from `least`, also while nothing has been measured,
  // to `most`, also for an infinite budget.
  int units(double budget_ms, int least, int most) const {
    if (std::isinf(budget_ms)) return most;
    if (unit_ms_ <= 0) return std::min(least, most);
    return static_cast<int>(
        std::max(std::min(budget_ms / unit_ms_, double(most)), double(std::min(least, most))));
  }
  void record(int units, double ms) { unit_ms_ = ms / units; }

 private:
  double unit_ms_ = 0;
};

}  // namespace xgenmm
