#include "text/prompt_lookup.h"

#include <cstddef>

namespace xgenmm {

namespace {

// Places that are looked at for the longest match: a text may say the same thing everywhere.
constexpr int kMostPlaces = 16;

}  // namespace

void PromptLookup::append(int32_t id) {
  const int32_t at = length();
  ids_.push_back(id);
  earlier_.push_back(-1);
  if (at == 0 || id < 0 || ids_[static_cast<size_t>(at - 1)] < 0) return;
  const uint64_t pair =
      static_cast<uint64_t>(ids_[static_cast<size_t>(at - 1)]) << 32 | static_cast<uint64_t>(id);
  const auto [place, fresh] = latest_.try_emplace(pair, at);
  if (fresh) return;
  earlier_.back() = place->second;
  place->second = at;
}

int PromptLookup::matched(int end) const {
  int count = kLeastMatch;
  while (count < kMostMatch && count <= end) {
    const int32_t id = ids_[static_cast<size_t>(end - count)];
    if (id < 0 || id != ids_[static_cast<size_t>(length() - 1 - count)]) break;
    ++count;
  }
  return count;
}

PromptLookup::Guess PromptLookup::guess(int most) const {
  Guess guess;
  if (ids_.empty()) return guess;
  int32_t best = -1;
  int32_t place = earlier_.back();
  for (int i = 0; i < kMostPlaces && place >= 0 && guess.matched < kMostMatch; ++i) {
    const int count = matched(place);
    if (count > guess.matched) {
      guess.matched = count;
      best = place;
    }
    place = earlier_[static_cast<size_t>(place)];
  }
  if (best < 0) return guess;
  const size_t first = static_cast<size_t>(best) + 1;
  for (size_t i = 0; i < static_cast<size_t>(most); ++i) {
    // A text that repeats itself goes on with what has just been guessed.
    const int32_t id =
        first + i < ids_.size() ? ids_[first + i] : guess.tokens[first + i - ids_.size()];
    if (id < 0) break;
    guess.tokens.push_back(id);
  }
  return guess;
}

}  // namespace xgenmm
