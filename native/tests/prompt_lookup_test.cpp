#include "text/prompt_lookup.h"

#include <random>

#include "harness.h"

namespace xgenmm::test {
namespace {

PromptLookup lookup(const std::vector<int32_t>& ids) {
  PromptLookup lookup;
  for (const int32_t id : ids) lookup.append(id);
  return lookup;
}

std::vector<int32_t> guessed(const std::vector<int32_t>& ids, int most = 4) {
  return lookup(ids).guess(most).tokens;
}

using Ids = std::vector<int32_t>;

TEST(prompt_lookup_goes_on_as_the_text_did_before) {
  CHECK_EQ(guessed({1, 2, 3, 4, 5, 6, 7, 1, 2}), (Ids{3, 4, 5, 6}));
  CHECK_EQ(guessed({1, 2, 3, 4, 5, 6, 7, 1, 2}, 2), (Ids{3, 4}));
  CHECK_EQ(guessed({1, 2, 3, 4, 5, 6, 7, 1, 2}, 0), Ids{});
  // The last of equals.
  CHECK_EQ(guessed({1, 2, 3, 9, 1, 2, 4, 9, 8, 1, 2}, 1), Ids{4});
  // A longer match before a later one.
  const PromptLookup::Guess guess = lookup({7, 1, 2, 3, 9, 1, 2, 4, 7, 1, 2}).guess(1);
  CHECK_EQ(guess.tokens, Ids{3});
  CHECK_EQ(guess.matched, 3);
}

TEST(prompt_lookup_guesses_nothing_where_nothing_stood_before) {
  CHECK_EQ(guessed({}), Ids{});
  CHECK_EQ(guessed({1}), Ids{});
  CHECK_EQ(guessed({1, 1}), Ids{});
  CHECK_EQ(guessed({1, 2, 3, 4}), Ids{});
  CHECK_EQ(guessed({1, 2, 3, 2}), Ids{});
}

TEST(prompt_lookup_goes_round_in_a_text_that_repeats_itself) {
  CHECK_EQ(guessed({5, 5, 5}, 6), (Ids{5, 5, 5, 5, 5, 5}));
  CHECK_EQ(guessed({1, 2, 3, 1, 2, 3, 1, 2}, 7), (Ids{3, 1, 2, 3, 1, 2, 3}));
}

TEST(prompt_lookup_neither_matches_nor_guesses_pictures) {
  CHECK_EQ(guessed({-1, -1, -1, -1}), Ids{});
  CHECK_EQ(guessed({-1, 3, 4, -1, 3}), Ids{});
  CHECK_EQ(guessed({1, 2, -1, -1, 1, 2}), Ids{});
  CHECK_EQ(guessed({1, 2, 3, -1, 1, 2}), Ids{3});
  // A match ends at a picture.
  CHECK_EQ(lookup({-1, 1, 2, 3, -1, 1, 2}).guess(3).matched, 2);
}

TEST(prompt_lookup_tells_long_matches_only_up_to_a_length) {
  Ids ids;
  for (int round = 0; round < 2; ++round) {
    for (int32_t id = 0; id < 50; ++id) ids.push_back(id);
  }
  CHECK_EQ(lookup(ids).guess(1).matched, PromptLookup::kMostMatch);
}

// Against the definition, on texts of few words.
TEST(prompt_lookup_finds_what_a_search_finds) {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    Ids ids(20 + random() % 20);
    for (int32_t& id : ids) id = static_cast<int32_t>(random() % 4) - 1;
    const size_t last = ids.size() - 1;
    int best = 1;
    size_t end = 0;
    for (size_t place = last; place-- > 1;) {
      int same = 0;
      while (same < PromptLookup::kMostMatch && static_cast<size_t>(same) <= place &&
             ids[place - static_cast<size_t>(same)] == ids[last - static_cast<size_t>(same)] &&
             ids[place - static_cast<size_t>(same)] >= 0)
        ++same;
      if (same <= best) continue;
      best = same;
      end = place;
    }
    const PromptLookup::Guess guess = lookup(ids).guess(1);
    CHECK_EQ(guess.matched, best == 1 ? 0 : best);
    if (best == 1) continue;
    const int32_t expected = ids[end + 1];
    CHECK_EQ(guess.tokens, expected < 0 ? Ids{} : Ids{expected});
  }
}

// Were it quadratic, this would take minutes.
TEST(prompt_lookup_does_not_mind_hostile_texts) {
  for (const int period : {1, 2, 7}) {
    PromptLookup lookup;
    for (int i = 0; i < 400000; ++i) {
      lookup.append(i % period);
      if (i > 20) CHECK_EQ(lookup.guess(15).tokens.size(), size_t{15});
    }
  }
}

}  // namespace
}  // namespace xgenmm::test
