#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace xgenmm {

// What steps of answers took, with drafted columns and without. What was measured is believed for a
// while, and a single slow step changes nothing once there are others.
class StepCosts {
 public:
  // Who is in the steps that follow: what a step takes without drafts depends on them.
  void meet(const std::vector<uint64_t>& company);
  void record(int drafted, double ms);

  // A step without drafts; nullopt: to be measured.
  std::optional<double> plain_ms() const;
  // How many times as long a step takes with so many drafted columns; plain_ms() must be known.
  double times_as_long(int drafted) const;
  // More columns than these are far from all that was measured.
  int most_known() const;
  // How many steps were recorded.
  uint64_t steps() const { return steps_; }

 private:
  // The last few measurements of one thing, at least one where it is in use.
  struct Recent {
    std::vector<double> ms;
    uint64_t step = 0;  // of the last one

    double least() const;
    double median() const;
  };

  void add(Recent& recent, double ms) const;
  bool believed(const Recent& extra) const;

  uint64_t steps_ = 0;
  std::vector<uint64_t> company_;
  bool met_ = true;  // and no step without drafts since
  Recent plain_;
  std::map<int, Recent> extra_;  // what columns add
};

}  // namespace xgenmm
