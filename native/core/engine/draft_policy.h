#pragma once

#include <cstdint>
#include <vector>

#include "engine/step_costs.h"

namespace xgenmm {

enum class Speculation { kAuto, kOff, kAlways };

// Decides how many guessed tokens are run along with the answers' own in a step: as many as make
// the answers fastest by what was measured, none where that is no gain.
class DraftPolicy {
 public:
  explicit DraftPolicy(Speculation mode) : mode_(mode) {}

  bool off() const { return mode_ == Speculation::kOff; }

  // An answer in a step. chances: for each guessed token, how likely it comes together with those
  // before it.
  struct Candidate {
    uint64_t id;
    std::vector<double> chances;
  };
  // How many of each one's tokens are run, at most `most` in all, in a step of about most_ms at
  // most.
  std::vector<int> lengths(const std::vector<Candidate>& candidates, int most, double most_ms);
  // The step that was decided has taken so long.
  void record(int drafted, double ms) { costs_.record(drafted, ms); }
  // How many steps were recorded.
  uint64_t steps() const { return costs_.steps(); }

 private:
  // -infinity: not to be tried.
  double step_value(int sequences, int drafted, double most_ms) const;

  Speculation mode_;
  StepCosts costs_;
};

}  // namespace xgenmm
