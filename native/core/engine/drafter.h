#pragma once

#include <cstdint>
#include <vector>

#include "engine/acceptance.h"
#include "text/prompt_lookup.h"

namespace xgenmm {

// Guesses how one answer goes on, and knows how often it was right.
class Drafter {
 public:
  // ids: of the prompt, negative where pictures stand.
  explicit Drafter(const std::vector<int32_t>& ids) {
    for (const int32_t id : ids) lookup_.append(id);
  }

  // Guesses anew, at most `most` tokens.
  void guess(int most) {
    guess_ = lookup_.guess(most);
    came_ = 0;
  }
  const std::vector<int32_t>& tokens() const { return guess_.tokens; }
  // For each guessed token, how likely it comes together with those before it.
  std::vector<double> chances() const {
    std::vector<double> chances;
    double chance = 1;
    for (size_t i = 0; i < guess_.tokens.size(); ++i) {
      chance *= acceptance_.chance(guess_.matched + static_cast<int>(i));
      chances.push_back(chance);
    }
    return chances;
  }
  // The answer's next token, whether the guess was run with or not: so it costs nothing to learn
  // that guesses have become better.
  void see(int32_t token) {
    if (came_ < guess_.tokens.size()) {
      const bool came = guess_.tokens[came_] == token;
      acceptance_.record(guess_.matched + static_cast<int>(came_), came);
      came_ = came ? came_ + 1 : guess_.tokens.size();
    }
    lookup_.append(token);
  }

 private:
  PromptLookup lookup_;
  Acceptance acceptance_;
  PromptLookup::Guess guess_;
  size_t came_ = 0;  // of the guess
};

}  // namespace xgenmm
