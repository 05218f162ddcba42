#include "engine/step_costs.h"

#include <algorithm>

namespace xgenmm {

namespace {

// Steps for which a measurement is believed: of a step without drafts, of what columns add, and of
// the latter where it was measured only once, which may have been chance.
constexpr uint64_t kPlainBelieved = 64;
constexpr uint64_t kExtraBelieved = 256;
constexpr uint64_t kOnceBelieved = 8;
constexpr size_t kKept = 3;
// Where nothing is known: how many columns are tried, and what each is taken to add to a step of 1.
constexpr int kFirst = 2;
constexpr double kAssumed = 0.05;

}  // namespace

double StepCosts::Recent::median() const {
  // Of two the lesser: whatever disturbs makes slower.
  std::vector<double> sorted = ms;
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2];
}

void StepCosts::add(Recent& recent, double ms) const {
  if (!believed(recent, kExtraBelieved)) recent.ms.clear();
  if (recent.ms.size() == kKept) recent.ms.erase(recent.ms.begin());
  recent.ms.push_back(ms);
  recent.step = steps_;
}

bool StepCosts::believed(const Recent& recent, uint64_t steps) const {
  return !recent.ms.empty() && steps_ - recent.step <= steps;
}

bool StepCosts::believed(const Recent& extra) const {
  return believed(extra, extra.ms.size() == 1 ? kOnceBelieved : kExtraBelieved);
}

void StepCosts::meet(const std::vector<uint64_t>& company) {
  if (company == company_) return;
  company_ = company;
  plain_ = {};
}

void StepCosts::record(int drafted, double ms) {
  ++steps_;
  if (drafted == 0) {
    add(plain_, ms);
  } else if (const std::optional<double> plain = plain_ms()) {
    add(extra_[drafted], std::max(0.0, ms - *plain));
  }
}

std::optional<double> StepCosts::plain_ms() const {
  if (!believed(plain_, kPlainBelieved)) return std::nullopt;
  return plain_.median();
}

double StepCosts::times_as_long(int drafted) const {
  // Lines between what was measured, from nothing for no columns on.
  const double plain = *plain_ms();
  int below = 0;
  double below_ms = 0;
  for (const auto& [columns, recent] : extra_) {
    if (!believed(recent)) continue;
    const double ms = recent.median();
    if (columns >= drafted)
      return 1 + (below_ms + (ms - below_ms) * (drafted - below) / (columns - below)) / plain;
    below = columns;
    below_ms = ms;
  }
  return 1 + (below > 0 ? below_ms / plain / below : kAssumed) * drafted;
}

int StepCosts::most_known() const {
  int most = kFirst;
  for (const auto& [columns, recent] : extra_) {
    if (believed(recent)) most = std::max(most, 2 * columns);
  }
  return most;
}

}  // namespace xgenmm
