#include "engine/step_costs.h"

#include <algorithm>

namespace xgenmm {

namespace {

// Steps for which a measurement is believed.
constexpr uint64_t kBelieved = 64;
constexpr size_t kKept = 3;
// How many columns are tried where nothing is known.
constexpr int kFirst = 2;

}  // namespace

void StepCosts::Recent::add(double ms, uint64_t step) {
  if (!fresh(step)) last_.clear();
  if (last_.size() == kKept) last_.erase(last_.begin());
  last_.push_back(ms);
  step_ = step;
}

bool StepCosts::Recent::fresh(uint64_t step) const {
  return !last_.empty() && step - step_ <= kBelieved;
}

double StepCosts::Recent::ms() const {
  // The median, of two the lesser: whatever disturbs makes slower.
  std::vector<double> sorted = last_;
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2];
}

void StepCosts::meet(const std::vector<uint64_t>& company) {
  if (company == company_) return;
  company_ = company;
  plain_ = {};
}

void StepCosts::record(int drafted, double ms) {
  ++steps_;
  if (drafted == 0) {
    plain_.add(ms, steps_);
  } else if (const std::optional<double> plain = plain_ms()) {
    extra_[drafted].add(std::max(0.0, ms - *plain), steps_);
  }
}

std::optional<double> StepCosts::plain_ms() const {
  return plain_.fresh(steps_) ? std::optional<double>(plain_.ms()) : std::nullopt;
}

double StepCosts::extra_ms(int drafted) const {
  // Lines between what was measured, from nothing for no columns on.
  int below = 0, above = 0;
  double below_ms = 0, above_ms = 0;
  for (const auto& [columns, recent] : extra_) {
    if (!recent.fresh(steps_)) continue;
    if (columns <= drafted) {
      below = columns;
      below_ms = recent.ms();
    } else {
      above = columns;
      above_ms = recent.ms();
      break;
    }
  }
  if (above > 0) return below_ms + (above_ms - below_ms) * (drafted - below) / (above - below);
  return below > 0 ? below_ms * drafted / below : 0;
}

int StepCosts::most_known() const {
  int most = kFirst;
  for (const auto& [columns, recent] : extra_) {
    if (recent.fresh(steps_)) most = std::max(most, 2 * columns);
  }
  return most;
}

}  // namespace xgenmm
