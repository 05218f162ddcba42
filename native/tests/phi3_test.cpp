// The language model's KV ring: chunking, wrapping and rolling back change nothing.
#include "text/phi3.h"

#include <algorithm>
#include <random>

#include "harness.h"
#include "ring.h"

namespace xgenmm::test {
namespace {

const std::vector<std::vector<int>> kChunkings = {{512}, {1}, {7, 100, 2}, {64}, {256, 1}};

TEST(phi3_chunking_changes_nothing) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 512);
  const Prompt prompt = ring.prompt(300, 1);
  const std::vector<float> whole = ring.run(prompt, {512});
  for (const auto& chunks : kChunkings) CHECK(ring.run(prompt, chunks) == whole);
}

// The residual stream of every position, [length, layers + 1, width].
std::vector<float> run_hidden(Ring& ring, const Prompt& prompt, int chunk) {
  KvSlot& slot = ring.cache().slot(0);
  slot.truncate(0);
  std::vector<float> logits, more, all;
  while (slot.length() < prompt.length()) {
    const int count = std::min(chunk, prompt.length() - slot.length());
    CHECK(ring.text().forward({{&slot, &prompt, -1, count, count}}, logits, nullptr, &more));
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

TEST(phi3_hidden_states_are_the_same_in_all_ways) {
  for (const char* file : {"tiny-f32.gguf", "tiny-f16.gguf", "wide-gqa-f32.gguf"}) {
    Ring ring(file, GGML_TYPE_F32, 512, 64, 3);
    const Prompt prompt = ring.prompt(150, 1);
    const auto row = static_cast<size_t>((ring.config().layers + 1) * ring.config().width);
    const std::vector<float> whole = run_hidden(ring, prompt, 150);
    CHECK_EQ(whole.size(), 150 * row);
    for (const int chunk : {1, 7, 64}) CHECK(run_hidden(ring, prompt, chunk) == whole);
    // What goes in is the embedding, and every layer adds to it.
    for (int i = 0; i < ring.config().layers; ++i) {
      const auto layer = whole.begin() + std::ptrdiff_t{i} * ring.config().width;
      CHECK(!std::equal(layer, layer + ring.config().width, layer + ring.config().width));
    }
    // The last rows of a part between two others.
    const Prompt first = ring.prompt(40, 2), last = ring.prompt(30, 3);
    for (int i = 0; i < 3; ++i) ring.cache().slot(i).truncate(0);
    std::vector<float> logits, hidden;
    CHECK(ring.text().forward({{&ring.cache().slot(0), &first, -1, 40, 1},
                               {&ring.cache().slot(1), &prompt, -1, 150, 5},
                               {&ring.cache().slot(2), &last, -1, 30, 0}},
                              logits, nullptr, &hidden));
    CHECK_EQ(hidden.size(), 6 * row);
    CHECK(std::equal(hidden.begin() + static_cast<std::ptrdiff_t>(row), hidden.end(),
                     whole.end() - static_cast<std::ptrdiff_t>(5 * row)));
    // Nothing is wanted.
    CHECK(
        ring.text().forward({{&ring.cache().slot(0), nullptr, 5, 1, 0}}, logits, nullptr, &hidden));
    CHECK(hidden.empty());
  }
}

TEST(phi3_threads_change_nothing) {
  const Prompt prompt = Ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 512).prompt(300, 1);
  std::vector<float> expected;
  for (const int threads : {1, 2, 3}) {
    CpuDevice device(threads);
    const auto file = std::make_shared<const GgufFile>(model_path("tiny-f32.gguf"));
    const TextConfig config = read_text_config(*file);
    Phi3 text(config, file, device);
    text.place(std::vector<Device*>(static_cast<size_t>(text.units()), &device), [](double) {});
    KvCache cache(config, GGML_TYPE_F32, 512, 512, 1, text.layer_devices());
    cache.allocate();
    std::vector<float> logits;
    CHECK(text.forward({{&cache.slot(0), &prompt, -1, prompt.length(), 1}}, logits));
    if (expected.empty()) expected = logits;
    CHECK(logits == expected);
  }
}

// A graph is computed again where the next step looks like the last, whatever came between.
TEST(phi3_steps_that_are_alike_do_not_mix) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 64, 2);
  const Prompt a = ring.prompt(40, 1), b = ring.prompt(40, 2);
  KvSlot& first = ring.cache().slot(0);
  KvSlot& second = ring.cache().slot(1);
  std::vector<float> logits, hidden;
  const auto step = [&](KvSlot& slot, const Prompt& prompt, bool wants_hidden) {
    const int32_t token = prompt[slot.length()].token;
    CHECK(ring.text().forward({{&slot, nullptr, token, 1, 1}}, logits, nullptr,
                              wants_hidden ? &hidden : nullptr));
    return logits;
  };
  const std::vector<float> last_a = ring.run(first, a, {1}), last_b = ring.run(second, b, {1});
  first.truncate(0);
  second.truncate(0);
  std::vector<float> found_a, found_b;
  for (int i = 0; i < 40; ++i) {
    found_a = step(first, a, i % 7 == 3);
    // Some one after the other, which the next one then is like, ...
    if (i % 3 == 0) continue;
    // ... some with the other slot between.
    while (second.length() <= i) found_b = step(second, b, i % 5 == 0);
  }
  CHECK(found_a == last_a);
  CHECK_EQ(second.length(), 39);
  CHECK(step(second, b, false) == last_b);
}

// A ring of 256 rows against one that holds the whole sequence.
TEST(phi3_wrapped_ring_equals_long_ring) {
  for (const auto& [file, type] :
       {std::pair{"tiny-f32.gguf", GGML_TYPE_F32}, std::pair{"tiny-f16.gguf", GGML_TYPE_F16},
        std::pair{"wide-f16.gguf", GGML_TYPE_Q8_0}}) {
    Ring long_ring(file, type, 1024, 1024);
    Ring short_ring(file, type, 1024, 64);
    CHECK_EQ(long_ring.cache().slot(0).ring(), 1024);
    CHECK_EQ(short_ring.cache().slot(0).ring(), 256);
    const Prompt prompt = long_ring.prompt(600, 2);
    const std::vector<float> expected = long_ring.run(prompt, {512});
    for (const auto& chunks : std::vector<std::vector<int>>{{64}, {50, 1, 3}}) {
      const std::vector<float> wrapped = short_ring.run(prompt, chunks);
      // Rows stand in another order, so sums do too.
      double worst = 0;
      for (size_t i = 0; i < expected.size(); ++i)
        worst = std::max(worst, std::abs(double{wrapped[i]} - expected[i]));
      CHECK(worst < (type == GGML_TYPE_F32 ? 2e-4 : 0.05));
    }
  }
}

TEST(phi3_rolling_back_equals_starting_anew) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 1024, 64);
  Ring fresh("tiny-f32.gguf", GGML_TYPE_F32, 1024, 64);
  const int window = ring.config().window;
  for (const int length : {200, 700}) {
    const Prompt first = ring.prompt(length, 3);
    ring.run(first, {64});
    KvSlot& slot = ring.cache().slot(0);
    const int oldest = length <= slot.ring() ? 0 : length - slot.ring() + window - 1;
    CHECK(slot.can_truncate(oldest));
    CHECK_EQ(slot.can_truncate(oldest - 1), oldest == 0);
    for (const int keep : {length - 10, oldest + 5}) {
      // The same beginning, another end.
      std::vector<int32_t> tokens(first.ids().begin(), first.ids().begin() + keep);
      for (int i = 0; i < 40; ++i) tokens.push_back((i * 37 + keep) % ring.config().vocab_size);
      const Prompt second(tokens, {}, ring.config().vocab_size);
      ring.cache().slot(0).truncate(0);
      ring.run(first, {64});
      CHECK(slot.reusable_prefix(second, second.length()) >= keep);
      slot.truncate(keep);
      CHECK(ring.run(slot, second, {16}) == fresh.run(second, {64}));
    }
  }
}

// All decode and read together, in every order of joining.
TEST(phi3_batching_changes_nothing) {
  for (const auto& [file, type] :
       {std::pair{"tiny-f32.gguf", GGML_TYPE_F32}, std::pair{"tiny-f16.gguf", GGML_TYPE_F16},
        std::pair{"tiny-bf16.gguf", GGML_TYPE_F16}, std::pair{"wide-f16.gguf", GGML_TYPE_Q8_0},
        std::pair{"wide-gqa-f32.gguf", GGML_TYPE_F32}}) {
    constexpr int kSlots = 5;
    Ring alone(file, type, 512, 64);
    Ring together(file, type, 512, 64, kSlots);
    std::vector<Prompt> prompts;
    std::vector<std::vector<float>> expected;
    for (uint32_t i = 0; i < kSlots; ++i) {
      prompts.push_back(alone.prompt(20 + 70 * static_cast<int>(i), 50 + i));
      expected.push_back(alone.run(prompts.back(), {64}));
    }
    std::mt19937 random(3);
    for (int round = 0; round < 3; ++round) {
      std::vector<std::vector<float>> last(kSlots);
      for (int i = 0; i < kSlots; ++i) together.cache().slot(i).truncate(0);
      while (true) {
        std::vector<Continuation> parts;
        std::vector<size_t> owners;
        for (size_t i = 0; i < kSlots; ++i) {
          KvSlot& slot = together.cache().slot(static_cast<int>(i));
          const int left = prompts[i].length() - slot.length();
          if (left == 0 || random() % 4 == 0) continue;
          const int count =
              std::min(left, 1 + static_cast<int>(random() % 40) * static_cast<int>(random() % 2));
          // A prompt's position and a generated token are the same.
          if (count == 1) {
            parts.push_back({&slot, nullptr, prompts[i][slot.length()].token, 1, 1});
          } else {
            parts.push_back({&slot, &prompts[i], -1, count, 1});
          }
          owners.push_back(i);
        }
        if (parts.empty()) {
          bool all = true;
          for (size_t i = 0; i < kSlots; ++i)
            all = all && together.cache().slot(static_cast<int>(i)).length() == prompts[i].length();
          if (all) break;
          continue;
        }
        std::vector<float> logits;
        CHECK(together.text().forward(parts, logits));
        const auto vocab = static_cast<std::ptrdiff_t>(together.config().vocab_size);
        for (size_t i = 0; i < owners.size(); ++i) {
          const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i) * vocab;
          last[owners[i]].assign(row, row + vocab);
        }
      }
      for (size_t i = 0; i < kSlots; ++i) CHECK(last[i] == expected[i]);
    }
  }
}

}  // namespace
}  // namespace xgenmm::test
