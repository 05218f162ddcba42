// Which slot a prompt gets, and what it finds there.
#include "text/kv_cache.h"

#include "harness.h"
#include "ring.h"

namespace xgenmm::test {
namespace {

constexpr int kAll = 1 << 20;

// `prefix` tokens of one, then `length` that depend on the seed.
Prompt branch(const Ring& ring, const Prompt& trunk, int prefix, int length, uint32_t seed) {
  std::vector<int32_t> tokens(trunk.ids().begin(), trunk.ids().begin() + prefix);
  const Prompt rest = ring.prompt(length, seed);
  tokens.insert(tokens.end(), rest.ids().begin(), rest.ids().end());
  return {tokens, {}, ring.config().vocab_size};
}

TEST(phi3_slot_that_wrapped_too_far_is_not_reused) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 1024, 64);
  const Prompt first = ring.prompt(700, 4);
  ring.run(first, {64});
  const std::vector<int32_t> tokens(first.ids().begin(), first.ids().begin() + 300);
  const Prompt shorter(tokens, {}, ring.config().vocab_size);
  KvSlot& slot = ring.cache().slot(0);
  CHECK_EQ(slot.reusable_prefix(shorter, 300), 0);
  CHECK_EQ(slot.reusable_prefix(first, 700), 700);
}

TEST(kv_cache_gives_the_slot_that_holds_the_prompt) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 256, 64, 2);
  KvCache& cache = ring.cache();
  const Prompt a = ring.prompt(50, 5), b = ring.prompt(60, 6);
  KvSlot* first = cache.acquire(a, kAll);
  KvSlot* second = cache.acquire(b, kAll);
  CHECK(first != nullptr && second != nullptr && first != second);
  CHECK(cache.acquire(a, kAll) == nullptr);
  ring.run(*first, a, {64});
  ring.run(*second, b, {64});
  cache.release(*first);
  cache.release(*second);
  CHECK(cache.acquire(b, kAll) == second);
  CHECK_EQ(second->length(), 60);
  CHECK(cache.acquire(b, kAll) == first);  // all of it from the other slot
  CHECK_EQ(first->length(), 60);
  cache.release(*second);
  cache.release(*first);
  // Nothing in common with either: the one that was used longest ago.
  CHECK(cache.acquire(ring.prompt(10, 7), kAll) == second);
  CHECK_EQ(second->length(), 0);
}

TEST(kv_cache_shares_beginnings_between_slots) {
  for (const auto& [file, type] :
       {std::pair{"tiny-f32.gguf", GGML_TYPE_F32}, std::pair{"wide-f16.gguf", GGML_TYPE_Q8_0}}) {
    Ring ring(file, type, 512, 64, 3);
    Ring fresh(file, type, 512, 64);
    KvCache& cache = ring.cache();
    const Prompt trunk = ring.prompt(120, 5);
    KvSlot* owner = cache.acquire(trunk, kAll);
    ring.run(*owner, trunk, {64});
    // From a slot in use, and from an idle one, whose own end is kept.
    for (const bool busy : {true, false}) {
      if (!busy) cache.release(*owner);
      const Prompt prompt = branch(ring, trunk, 100, 30, busy ? 8 : 9);
      KvSlot* slot = cache.acquire(prompt, kAll);
      CHECK(slot != nullptr && slot != owner);
      CHECK_EQ(slot->length(), 100);
      CHECK(ring.run(*slot, prompt, {64}) == fresh.run(prompt, {64}));
      cache.release(*slot);
      CHECK_EQ(owner->reusable_prefix(trunk, kAll), 120);
    }
    // No more than wanted.
    KvSlot* slot = cache.acquire(branch(ring, trunk, 100, 3, 10), 70);
    CHECK_EQ(slot->length(), 70);
  }
}

TEST(kv_cache_shares_beginnings_of_wrapped_rings) {
  // Rings of 256 rows for 700 positions, copied at every place where they can be continued.
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 1024, 64, 2);
  Ring fresh("tiny-f32.gguf", GGML_TYPE_F32, 1024, 64);
  KvCache& cache = ring.cache();
  const Prompt trunk = ring.prompt(700, 11);
  const int oldest = 700 - 256 + ring.config().window - 1;
  for (const int prefix : {oldest, oldest + 1, 512, 600, 699}) {
    for (int i = 0; i < 2; ++i) cache.slot(i).truncate(0);
    KvSlot* owner = cache.acquire(trunk, 0);
    ring.run(*owner, trunk, {64});
    const Prompt prompt = branch(ring, trunk, prefix, 80, 12);
    KvSlot* slot = cache.acquire(prompt, kAll);
    CHECK(slot != owner);
    CHECK(slot->length() >= prefix);
    CHECK(ring.run(*slot, prompt, {64}) == fresh.run(prompt, {64}));
    // A copy knows how far it can be rolled back itself.
    CHECK(!slot->can_truncate(oldest - 1));
    cache.release(*slot);
    cache.release(*owner);
  }
}

TEST(kv_cache_lets_one_compute_what_several_want) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 64, 3);
  KvCache& cache = ring.cache();
  const Prompt first = ring.prompt(150, 5);
  const Prompt second = branch(ring, first, 100, 20, 6);
  KvSlot* leader = cache.acquire(first, kAll);
  leader->filling = &first;
  const auto read = [&](int count) {
    std::vector<float> logits;
    CHECK(ring.text().forward({{leader, &first, -1, count, 0}}, logits));
  };
  read(50);
  CHECK(cache.acquire(second, kAll) == nullptr);  // the rest of the 100 is on its way
  CHECK(cache.acquire(branch(ring, first, 70, 20, 7), kAll) != nullptr);  // only 20 more
  read(50);
  KvSlot* follower = cache.acquire(second, kAll);
  CHECK(follower != nullptr);
  CHECK_EQ(follower->length(), 100);
  cache.release(*follower);
  // Who leads and leaves keeps nobody waiting.
  leader->truncate(0);
  CHECK(cache.acquire(branch(ring, first, 140, 20, 8), kAll) == nullptr);
  cache.release(*leader);
  CHECK(cache.acquire(branch(ring, first, 140, 20, 8), kAll) != nullptr);
}

TEST(kv_cache_forgets_what_is_least_dear) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 64, 2);
  KvCache& cache = ring.cache();
  const Prompt chat = ring.prompt(200, 5), aside = ring.prompt(20, 6);
  const auto use = [&](const Prompt& prompt) {
    KvSlot* slot = cache.acquire(prompt, kAll);
    ring.run(*slot, prompt, {64});
    cache.release(*slot);
    return slot;
  };
  KvSlot* long_one = use(chat);
  KvSlot* short_one = use(aside);
  CHECK(long_one != short_one);
  // A long one survives a few short ones, ...
  for (uint32_t seed = 10; seed < 14; ++seed) CHECK(use(ring.prompt(20, seed)) == short_one);
  // ... but not for ever.
  int taken = 0;
  for (uint32_t seed = 20; seed < 60; ++seed) taken += use(ring.prompt(20, seed)) == long_one;
  CHECK(taken > 0);
}

TEST(kv_cache_refuses_types_that_do_not_fit_the_heads) {
  // Heads of 32 take q8_0; a type of blocks of 256 they do not.
  Ring("tiny-f32.gguf", GGML_TYPE_Q8_0, 256, 64);
  CHECK_THROWS(ErrorCode::kInvalidArgument, Ring("tiny-f32.gguf", GGML_TYPE_Q4_K, 256, 64));
}

TEST(kv_cache_beyond_memory_is_refused) {
  CHECK_THROWS(ErrorCode::kOutOfMemory, Ring("wide-f16.gguf", GGML_TYPE_F32, 1 << 30, 1 << 30, 4));
}

}  // namespace
}  // namespace xgenmm::test
