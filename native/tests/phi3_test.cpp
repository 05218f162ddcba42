// The language model's KV ring: chunking, wrapping and rolling back change nothing.
#include "text/phi3.h"

#include <algorithm>
#include <random>

#include "fixture.h"
#include "harness.h"

namespace xgenmm::test {
namespace {

// The tiny model (window 31) with a ring of its own length.
class Ring {
 public:
  Ring(const std::string& file, ggml_type type, int context, int chunk, int slots = 1)
      : device_(1), file_(std::make_shared<const GgufFile>(model_path(file))) {
    config_ = read_text_config(*file_);
    text_ = std::make_unique<Phi3>(config_, file_, device_);
    cache_ = std::make_unique<KvCache>(config_, type, context, chunk, slots, device_);
  }

  // The logits after the last position, having run the prompt in chunks of these sizes in turn.
  std::vector<float> run(KvSlot& slot, const Prompt& prompt, const std::vector<int>& chunks) {
    std::vector<float> logits;
    for (size_t i = 0; slot.length() < prompt.length(); ++i) {
      const int count = std::min(chunks[i % chunks.size()], prompt.length() - slot.length());
      CHECK(text_->forward(slot, prompt, count, 1, logits));
    }
    return logits;
  }
  std::vector<float> run(const Prompt& prompt, const std::vector<int>& chunks) {
    cache_->front().truncate(0);
    return run(cache_->front(), prompt, chunks);
  }

  Prompt prompt(int length, uint32_t seed) const {
    std::mt19937 random(seed);
    std::vector<int32_t> tokens(static_cast<size_t>(length));
    for (int32_t& token : tokens)
      token = static_cast<int32_t>(random() % static_cast<uint32_t>(config_.vocab_size));
    return {tokens, {}, config_.vocab_size};
  }
  const TextConfig& config() const { return config_; }
  KvCache& cache() { return *cache_; }

 private:
  Device device_;
  std::shared_ptr<const GgufFile> file_;
  TextConfig config_;
  std::unique_ptr<Phi3> text_;
  std::unique_ptr<KvCache> cache_;
};

const std::vector<std::vector<int>> kChunkings = {{512}, {1}, {7, 100, 2}, {64}, {256, 1}};

TEST(phi3_chunking_changes_nothing) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 512);
  const Prompt prompt = ring.prompt(300, 1);
  const std::vector<float> whole = ring.run(prompt, {512});
  for (const auto& chunks : kChunkings) CHECK(ring.run(prompt, chunks) == whole);
}

TEST(phi3_threads_change_nothing) {
  const Prompt prompt = Ring("tiny-f32.gguf", GGML_TYPE_F32, 512, 512).prompt(300, 1);
  std::vector<float> expected;
  for (const int threads : {1, 2, 3}) {
    Device device(threads);
    const auto file = std::make_shared<const GgufFile>(model_path("tiny-f32.gguf"));
    const TextConfig config = read_text_config(*file);
    const Phi3 text(config, file, device);
    KvCache cache(config, GGML_TYPE_F32, 512, 512, 1, device);
    std::vector<float> logits;
    CHECK(text.forward(cache.front(), prompt, prompt.length(), 1, logits));
    if (expected.empty()) expected = logits;
    CHECK(logits == expected);
  }
}

// A ring of 256 rows against one that holds the whole sequence.
TEST(phi3_wrapped_ring_equals_long_ring) {
  for (const auto& [file, type] :
       {std::pair{"tiny-f32.gguf", GGML_TYPE_F32}, std::pair{"tiny-f16.gguf", GGML_TYPE_F16},
        std::pair{"wide-f16.gguf", GGML_TYPE_Q8_0}}) {
    Ring long_ring(file, type, 1024, 1024);
    Ring short_ring(file, type, 1024, 64);
    CHECK_EQ(long_ring.cache().front().ring(), 1024);
    CHECK_EQ(short_ring.cache().front().ring(), 256);
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
    KvSlot& slot = ring.cache().front();
    const int oldest = length <= slot.ring() ? 0 : length - slot.ring() + window - 1;
    CHECK(slot.can_truncate(oldest));
    CHECK_EQ(slot.can_truncate(oldest - 1), oldest == 0);
    for (const int keep : {length - 10, oldest + 5}) {
      // The same beginning, another end.
      std::vector<int32_t> tokens(first.ids().begin(), first.ids().begin() + keep);
      for (int i = 0; i < 40; ++i) tokens.push_back((i * 37 + keep) % ring.config().vocab_size);
      const Prompt second(tokens, {}, ring.config().vocab_size);
      ring.cache().front().truncate(0);
      ring.run(first, {64});
      CHECK(slot.reusable_prefix(second) >= keep);
      slot.truncate(keep);
      CHECK(ring.run(slot, second, {16}) == fresh.run(second, {64}));
    }
  }
}

TEST(phi3_slot_that_wrapped_too_far_is_not_reused) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 1024, 64);
  const Prompt first = ring.prompt(700, 4);
  ring.run(first, {64});
  const std::vector<int32_t> tokens(first.ids().begin(), first.ids().begin() + 300);
  const Prompt shorter(tokens, {}, ring.config().vocab_size);
  KvSlot& slot = ring.cache().front();
  CHECK_EQ(slot.reusable_prefix(shorter), 0);
  CHECK_EQ(slot.reusable_prefix(first), 700);
}

TEST(kv_cache_gives_the_slot_with_the_longest_prefix) {
  Ring ring("tiny-f32.gguf", GGML_TYPE_F32, 256, 64, 2);
  const Prompt a = ring.prompt(50, 5), b = ring.prompt(60, 6);
  KvSlot* first = ring.cache().acquire(a);
  KvSlot* second = ring.cache().acquire(b);
  CHECK(first != nullptr && second != nullptr && first != second);
  CHECK(ring.cache().acquire(a) == nullptr);
  ring.run(*first, a, {64});
  ring.run(*second, b, {64});
  ring.cache().release(*first);
  ring.cache().release(*second);
  CHECK(ring.cache().acquire(b) == second);
  CHECK(ring.cache().acquire(b) == first);
  ring.cache().release(*second);
  ring.cache().release(*first);
  // Nothing in common with either: the one that was used longest ago.
  CHECK(ring.cache().acquire(ring.prompt(10, 7)) == second);
}

TEST(kv_cache_refuses_types_that_do_not_fit_the_heads) {
  // Heads of 32 take q8_0; a type of blocks of 256 they do not.
  Ring("tiny-f32.gguf", GGML_TYPE_Q8_0, 256, 64);
  CHECK_THROWS(ErrorCode::kInvalidArgument, Ring("tiny-f32.gguf", GGML_TYPE_Q4_K, 256, 64));
}

TEST(kv_cache_beyond_memory_is_refused) {
  CHECK_THROWS(ErrorCode::kOutOfMemory, Ring("wide-f16.gguf", GGML_TYPE_F32, 1 << 30, 1 << 30, 4));
}

TEST(prompt_checks_its_parts) {
  const auto image = std::make_shared<const PromptImage>(std::vector<float>(12, 1.0f), 4);
  CHECK_EQ(image->rows, 3);
  CHECK_EQ(Prompt({5, -1, 6}, {image}, 10).ids(), (std::vector<int32_t>{5, -1, -1, -1, 6}));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({}, {}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({10}, {}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({-1}, {}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({-2}, {image}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, Prompt({INT32_MIN}, {image}, 10));
  CHECK_THROWS(ErrorCode::kInvalidArgument, PromptImage(std::vector<float>(5), 4));
  CHECK_THROWS(ErrorCode::kInvalidArgument, PromptImage({}, 4));
}

}  // namespace
}  // namespace xgenmm::test
