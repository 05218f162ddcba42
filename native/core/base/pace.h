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

// Sizes the steps of long work by what the last ones took: a fixed part, the reading of weights,
// and a part per unit.
class Pace {
 public:
  // How many units of work fit into budget_ms: from `least`, also while nothing has been measured,
  // to `most`, also for an infinite budget. Grows by doubling at most.
  int units(double budget_ms, int least, int most) const {
    if (std::isinf(budget_ms)) return most;
    least = std::min(least, most);
    if (last_units_ == 0) return least;
    // As if there were no fixed part: never too many.
    double wanted = last_units_ * budget_ms / last_ms_;
    const double twice = 2.0 * last_units_;
    if (last_ms_ < budget_ms) {
      // Without a slope only trying tells.
      wanted =
          std::max(wanted, unit_ms_ > 0 ? last_units_ + (budget_ms - last_ms_) / unit_ms_ : twice);
    }
    return static_cast<int>(std::clamp(std::min(wanted, twice), double(least), double(most)));
  }
  // is_rest: there was no more to do. How little that was says nothing of how much fits into a
  // step.
  void record(int units, double ms, bool is_rest) {
    if (is_rest && units < last_units_) return;
    if (last_units_ > 0 && units != last_units_) {
      unit_ms_ = (ms - last_ms_) / (units - last_units_);
    }
    last_units_ = units;
    last_ms_ = std::max(ms, 1e-3);
  }

 private:
  int last_units_ = 0;
  double last_ms_ = 0;
  double unit_ms_ = 0;  // between the last two sizes; not above 0 where it is not known
};

}  // namespace xgenmm
