// Who is computed next.
#include "engine/scheduler.h"

#include <map>

#include "harness.h"

namespace xgenmm::test {
namespace {

using Want = Scheduler::Want;

TEST(scheduler_rests_when_nobody_wants_anything) {
  Scheduler scheduler;
  CHECK(scheduler.next({}).idle());
  CHECK(scheduler.next({{1, Want::kNothing}, {2, Want::kNothing}}).idle());
}

TEST(scheduler_decodes_all_answers_together) {
  Scheduler scheduler;
  const auto step = scheduler.next(
      {{1, Want::kDecode}, {2, Want::kNothing}, {3, Want::kDecode}, {4, Want::kDecode}});
  CHECK_EQ(step.decode, (std::vector<size_t>{0, 2, 3}));
  CHECK(!step.prefill && !step.encode);
}

TEST(scheduler_reads_prompts_in_turn_beside_the_answers) {
  Scheduler scheduler;
  const std::vector<Scheduler::Candidate> candidates = {
      {1, Want::kPrefill}, {2, Want::kDecode}, {5, Want::kPrefill}, {7, Want::kPrefill}};
  for (const size_t expected : {0, 2, 3, 0, 2, 3}) {
    const auto step = scheduler.next(candidates);
    CHECK_EQ(*step.prefill, expected);
    CHECK_EQ(step.decode, (std::vector<size_t>{1}));
    CHECK(step.shared);
  }
}

TEST(scheduler_gives_the_next_prompt_its_turn_when_the_last_has_left) {
  Scheduler scheduler;
  CHECK_EQ(*scheduler.next({{3, Want::kPrefill}, {4, Want::kPrefill}}).prefill, size_t{0});
  CHECK_EQ(*scheduler.next({{4, Want::kPrefill}, {9, Want::kPrefill}}).prefill, size_t{0});
  CHECK_EQ(*scheduler.next({{4, Want::kPrefill}, {9, Want::kPrefill}}).prefill, size_t{1});
}

TEST(scheduler_alternates_pictures_and_text) {
  Scheduler scheduler;
  const std::vector<Scheduler::Candidate> candidates = {
      {1, Want::kDecode}, {2, Want::kEncode}, {3, Want::kEncode}, {4, Want::kPrefill}};
  for (int round = 0; round < 3; ++round) {
    // One picture at a time, in order of arrival.
    const auto picture = scheduler.next(candidates);
    CHECK_EQ(*picture.encode, size_t{1});
    CHECK(!picture.prefill && picture.decode.empty() && picture.shared);
    const auto text = scheduler.next(candidates);
    CHECK(!text.encode);
    CHECK_EQ(*text.prefill, size_t{3});
    CHECK_EQ(text.decode, (std::vector<size_t>{0}));
  }
}

TEST(scheduler_knows_who_is_alone) {
  Scheduler scheduler;
  CHECK(!scheduler.next({{1, Want::kPrefill}, {2, Want::kNothing}}).shared);
  CHECK(!scheduler.next({{1, Want::kEncode}}).shared);
  CHECK(scheduler.next({{1, Want::kEncode}, {2, Want::kEncode}}).shared);
  CHECK(scheduler.next({{1, Want::kPrefill}, {2, Want::kDecode}}).shared);
}

TEST(scheduler_starves_nobody) {
  Scheduler scheduler;
  std::vector<Scheduler::Candidate> candidates;
  for (uint64_t id = 1; id <= 9; ++id)
    candidates.push_back({id, id % 3 == 0 ? Want::kDecode : Want::kPrefill});
  candidates.push_back({10, Want::kEncode});
  std::map<size_t, int> turns;
  for (int i = 0; i < 120; ++i) {
    const auto step = scheduler.next(candidates);
    if (step.encode) ++turns[*step.encode];
    if (step.prefill) ++turns[*step.prefill];
    for (const size_t index : step.decode) ++turns[index];
  }
  for (size_t i = 0; i < candidates.size(); ++i) CHECK(turns[i] >= 10);
}

}  // namespace
}  // namespace xgenmm::test
