#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

namespace xgenmm {

// Guesses how a sequence goes on: as it did after its last tokens where these stood before.
class PromptLookup {
 public:
  // Fewer tokens than these that stood before are no sign; more than these are not told apart.
  static constexpr int kLeastMatch = 2;
  static constexpr int kMostMatch = 8;

  // A negative id stands for what is no token: it is like nothing, and is not guessed.
  void append(int32_t id);
  int length() const { return static_cast<int>(ids_.size()); }

  struct Guess {
    std::vector<int32_t> tokens;
    int matched = 0;  // how many of the last tokens stood before
  };
  // At most `most` tokens. Takes the same time however long the sequence is.
  Guess guess(int most) const;

 private:
  // How many of the last tokens stand before `end`, too.
  int matched(int end) const;

  std::vector<int32_t> ids_;
  std::vector<int32_t> earlier_;  // where the two tokens that end here ended before; -1: nowhere
  std::unordered_map<uint64_t, int32_t> latest_;  // two tokens -> where they ended last
};

}  // namespace xgenmm
