#include "engine/draft_policy.h"

#include <algorithm>
#include <cmath>

namespace xgenmm {

namespace {

// What a gain must be to count, so that errors of measurement are none.
constexpr double kLeastGain = 0.12;

}  // namespace

double DraftPolicy::step_value(int sequences, int drafted, double most_ms) const {
  if (mode_ == Speculation::kAlways) return 0;
  const std::optional<double> plain = costs_.plain_ms();
  if (!plain || drafted > costs_.most_known()) return -INFINITY;
  const double times = costs_.times_as_long(drafted);
  return times * *plain > most_ms ? -INFINITY : -sequences * std::log(times);
}

std::vector<int> DraftPolicy::lengths(const std::vector<Candidate>& candidates, int most,
                                      double most_ms) {
  std::vector<int> lengths(candidates.size()), best = lengths;
  if (off()) return best;
  std::vector<uint64_t> company;
  for (const Candidate& candidate : candidates) company.push_back(candidate.id);
  costs_.meet(company);
  // The sum of the logarithms of the answers' speeds, as a change from no drafts: one answer gains
  // only as long as that outweighs what all lose by the longer step. The best next token is the one
  // that adds most, since each one's chances fall.
  double best_value = mode_ == Speculation::kAlways ? -INFINITY : kLeastGain;
  double gain = 0;
  std::vector<double> expected(candidates.size(), 1.0);  // tokens
  for (int drafted = 1; drafted <= most; ++drafted) {
    size_t next = candidates.size();
    double next_gain = -1;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const size_t length = static_cast<size_t>(lengths[i]);
      if (length == candidates[i].chances.size()) continue;
      const double more = std::log1p(candidates[i].chances[length] / expected[i]);
      if (more > next_gain) {
        next = i;
        next_gain = more;
      }
    }
    if (next == candidates.size()) break;
    gain += next_gain;
    expected[next] += candidates[next].chances[static_cast<size_t>(lengths[next]++)];
    const double value = gain + step_value(static_cast<int>(candidates.size()), drafted, most_ms);
    if (value > best_value || mode_ == Speculation::kAlways) {
      best_value = value;
      best = lengths;
    }
  }
  return best;
}

}  // namespace xgenmm
