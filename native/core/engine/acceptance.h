#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

namespace xgenmm {

// How often guessed tokens came, the last ones counting most. matched: after how many tokens that
// stood before, those of the guess that came included.
class Acceptance {
 public:
  // That a token comes.
  double chance(int matched) const {
    const Rate& rate = rates_[kind(matched)];
    return (rate.came + kPriorWeight * kPriors[kind(matched)]) / (rate.all + kPriorWeight);
  }
  void record(int matched, bool came) {
    Rate& rate = rates_[kind(matched)];
    rate.came = kMemory * rate.came + (came ? 1 : 0);
    rate.all = kMemory * rate.all + 1;
  }

 private:
  struct Rate {
    double came = 0;
    double all = 0;
  };
  // Of matches of 2, 3, 4 to 7 and 8 or more tokens: the longer, the surer.
  static constexpr std::array<double, 4> kPriors = {0.1, 0.4, 0.6, 0.8};
  static constexpr double kPriorWeight = 2;
  static constexpr double kMemory = 0.85;

  static size_t kind(int matched) {
    if (matched < 4) return static_cast<size_t>(std::max(matched - 2, 0));
    return matched < 8 ? 2 : 3;
  }

  std::array<Rate, 4> rates_;
};

}  // namespace xgenmm
