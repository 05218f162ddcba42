#include "engine/step_costs.h"

#include <algorithm>
#include <array>

namespace xgenmm {

namespace {

// Steps for which one, two or three measurements are believed: of a step without drafts, and of
// what columns add. The first may have been chance.
constexpr size_t kKept = 3;
constexpr std::array<uint64_t, kKept> kPlainBelieved = {8, 16, 64};
constexpr std::array<uint64_t, kKept> kExtraBelieved = {8, 256, 256};
// Where nothing is known: how many columns are tried, and what each is taken to add to a step of 1.
constexpr int kFirst = 2;
constexpr double kAssumed = 0.05;

}  // namespace

double StepCosts::Recent::least() const {
  return *std::min_element(ms.begin(), ms.end());
}

double StepCosts::Recent::median() const {
  // Of two the lesser: whatever disturbs makes slower.
  std::vector<double> sorted = ms;
  std::sort(sorted.begin(), sorted.end());
  return sorted[(sorted.size() - 1) / 2];
}

void StepCosts::add(Recent& recent, double ms) const {
  if (steps_ - recent.step > kExtraBelieved.back()) recent.ms.clear();
  if (recent.ms.size() == kKept) recent.ms.erase(recent.ms.begin());
  recent.ms.push_back(ms);
  recent.step = steps_;
}

bool StepCosts::believed(const Recent& extra) const {
  return steps_ - extra.step <= kExtraBelieved[extra.ms.size() - 1];
}

void StepCosts::meet(const std::vector<uint64_t>& company) {
  if (company == company_) return;
  company_ = company;
  // What it took the others keeps a first step that was slow by chance from counting.
  if (!plain_.ms.empty()) plain_.ms = {plain_.least()};
  met_ = true;
}

void StepCosts::record(int drafted, double ms) {
  ++steps_;
  if (drafted == 0) {
    add(plain_, ms);
    met_ = false;
  } else if (const std::optional<double> plain = plain_ms()) {
    add(extra_[drafted], std::max(0.0, ms - *plain));
  }
}

std::optional<double> StepCosts::plain_ms() const {
  if (met_ || steps_ - plain_.step > kPlainBelieved[plain_.ms.size() - 1]) return std::nullopt;
  return plain_.least();
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
