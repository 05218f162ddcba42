#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace xgenmm {

// What steps of answers took, with drafted columns and without. What was measured is believed for a
// while; a single slow step changes nothing once there are others.
class StepCosts {
 public:
  // Who is in the steps that follow: what a step takes without drafts depends on them.
  void meet(const std::vector<uint64_t>& company);
  void record(int drafted, double ms);

  // A step without drafts; nullopt: to be measured.
  std::optional<double> plain_ms() const;
  // What so many columns add.
  double extra_ms(int drafted) const;
  // More columns than these are far from all that was measured.
  int most_known() const;
  // How many steps were recorded.
  uint64_t steps() const { return steps_; }

 private:
  class Recent {
   public:
    void add(double ms, uint64_t step);
    bool fresh(uint64_t step) const;
    double ms() const;

   private:
    std::vector<double> last_;
    uint64_t step_ = 0;  // of the last one
  };

  uint64_t steps_ = 0;
  std::vector<uint64_t> company_;
  Recent plain_;
  std::map<int, Recent> extra_;  // by columns
};

}  // namespace xgenmm
