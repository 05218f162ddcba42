// The language model on GPUs gives what it gives on the CPU, however it is cut and placed.
#include <algorithm>
#include <random>

#include "harness.h"
#include "ring.h"
#include "test_gpu.h"

namespace xgenmm::test {
namespace {

constexpr int kAll = 1 << 20;

// A model and the type of its cache, with the largest relative error of logits in L2: in f32 the
// angles of far positions differ; otherwise ggml rounds what meets the weights, to f16 or to eight
// bits.
struct Case {
  const char* file;
  ggml_type type;
  double tolerance;
};
const std::vector<Case> kCases = {
    {"tiny-f32.gguf", GGML_TYPE_F32, 1e-4},     {"tiny-f32.gguf", GGML_TYPE_F16, 1e-2},
    {"tiny-f16.gguf", GGML_TYPE_F16, 1e-2},     {"tiny-f16.gguf", GGML_TYPE_F32, 1e-2},
    {"wide-f16.gguf", GGML_TYPE_Q8_0, 5e-2},    {"wide-q8_0.gguf", GGML_TYPE_F16, 5e-2},
    {"wide-gqa-f32.gguf", GGML_TYPE_F32, 1e-4}, {"wide-gqa-q4_k_m.gguf", GGML_TYPE_F16, 1e-1},
    {"wide-gqa-f16.gguf", GGML_TYPE_Q8_0, 5e-2}};
// Of each type of cache one, for what does not depend on the weights.
const std::vector<Case> kFewCases = {{"tiny-f32.gguf", GGML_TYPE_F32, 1e-4},
                                     {"tiny-f16.gguf", GGML_TYPE_F16, 1e-2},
                                     {"wide-gqa-f16.gguf", GGML_TYPE_Q8_0, 5e-2}};

void check_near(const std::vector<float>& actual, const std::vector<float>& expected,
                double tolerance) {
  // Nothing was asked for.
  if (actual.empty() && expected.empty()) return;
  // Real GPUs multiply f32 with fewer bits.
  const double most = TestGpu::is_real() ? std::max(tolerance, 1e-2) : tolerance;
  CHECK_NEAR(relative_l2(actual, expected), 0, most);
}

// Chunked, over a ring that wraps (tiny's window is 31).
void check_chunks_and_wrapping(const std::vector<Case>& cases, const std::string& kind,
                               const std::vector<int>& layout) {
  for (const auto& [file, type, tolerance] : cases) {
    Ring cpu(file, type, 1024, 64);
    Ring gpu(file, type, 1024, 64, 1, kind, layout);
    CHECK_EQ(gpu.cache().slot(0).ring(), 256);
    for (const int length : {40, 300}) {
      const Prompt prompt = cpu.prompt(length, 2);
      const std::vector<float> expected = cpu.run(prompt, {64});
      for (const auto& chunks : std::vector<std::vector<int>>{{64}, {50, 1, 3}})
        check_near(gpu.run(prompt, chunks), expected, tolerance);
    }
  }
}

TEST(gpu_chunks_and_rings_that_wrap) {
  const TestGpu gpu;
  check_chunks_and_wrapping(kCases, TestGpu::kind(), {0});
}

// As answers are, and what comes again is the same. The demo's heads of 64 and its short rows have
// kernels of their own.
TEST(gpu_text_token_by_token) {
  const TestGpu test_gpu;
  for (const auto& [file, type, tolerance] :
       std::vector<Case>{{"tiny-f16.gguf", GGML_TYPE_F16, 1e-2},
                         {"wide-q8_0.gguf", GGML_TYPE_F16, 5e-2},
                         {"wide-gqa-q4_k_m.gguf", GGML_TYPE_F16, 1e-1},
                         {kDemoModel, GGML_TYPE_F16, 5e-2}}) {
    Ring cpu(file, type, 512, 64);
    Ring gpu(file, type, 512, 64, 1, TestGpu::kind());
    const Prompt prompt = cpu.prompt(60, 8);
    const std::vector<float> expected = cpu.run(prompt, {40, 1});
    const std::vector<float> first = gpu.run(prompt, {40, 1});
    check_near(first, expected, tolerance);
    for (const int length : {40, 41, 58, 0}) {
      KvSlot& slot = gpu.cache().slot(0);
      slot.truncate(length);
      const std::vector<float> again = gpu.run(slot, prompt, {std::max(1, 40 - length), 1});
      CHECK_NEAR(relative_l2(again, first), 0, 1e-6);
    }
  }
}

// More rows are looked at as an answer gets longer.
TEST(gpu_rings_that_fill) {
  const TestGpu test_gpu;
  for (const auto& [file, type, tolerance] : kFewCases) {
    Ring cpu(file, type, 1024, 1024);
    Ring gpu(file, type, 1024, 1024, 1, TestGpu::kind());
    const Prompt prompt = cpu.prompt(530, 4);
    KvSlot& slot = gpu.cache().slot(0);
    const std::vector<float> expected = cpu.run(prompt, {512});
    gpu.run(prompt, {500, 1});
    for (const int length : {250, 505, 0}) {
      slot.truncate(length);
      check_near(gpu.run(slot, prompt, {std::max(1, 240 - length), 1}), expected, tolerance);
    }
  }
}

TEST(gpu_slots_forget_what_is_no_number) {
  const TestGpu test_gpu;
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16}) {
    Ring gpu("tiny-f16.gguf", type, 512, 64, 1, TestGpu::kind());
    const Prompt prompt = gpu.prompt(20, 4);
    const std::vector<float> expected = gpu.run(prompt, {64});
    const auto width = static_cast<size_t>(gpu.config().width);
    const auto image = std::make_shared<const PromptImage>(std::vector<float>(30 * width, NAN),
                                                           gpu.config().width);
    const Prompt broken({5, 6, -1, 7}, {image}, gpu.config().vocab_size);
    CHECK(std::isnan(gpu.run(broken, {64}).front()));
    CHECK(gpu.run(prompt, {64}) == expected);
  }
}

TEST(gpu_attention_without_a_fused_kernel) {
  PretendGpus gpus;
  gpus[0].refuses = [](const ggml_tensor& op) { return op.op == GGML_OP_FLASH_ATTN_EXT; };
  check_chunks_and_wrapping(kFewCases, "pretend", {0});
}

TEST(gpu_layers_beside_layers_on_the_cpu) {
  const PretendGpus gpus({PretendGpus::kPlenty, PretendGpus::kPlenty});
  for (const auto& layout : std::vector<std::vector<int>>{{-1, 0}, {0, 1, -1}, {1, -1, 0}})
    check_chunks_and_wrapping(kFewCases, "pretend", layout);
}

TEST(gpu_hidden_states_cross_devices) {
  const PretendGpus gpus({PretendGpus::kPlenty, PretendGpus::kPlenty});
  for (const auto& layout : std::vector<std::vector<int>>{{0}, {-1, 0, 1}, {1, -1}}) {
    Ring cpu("tiny-f32.gguf", GGML_TYPE_F32, 512, 64);
    Ring gpu("tiny-f32.gguf", GGML_TYPE_F32, 512, 64, 1, "pretend", layout);
    const Prompt prompt = cpu.prompt(50, 1);
    for (const int outputs : {0, 1, 7, 50}) {
      std::vector<float> logits, expected, hidden, expected_hidden;
      cpu.cache().slot(0).truncate(0);
      gpu.cache().slot(0).truncate(0);
      CHECK(cpu.text().forward({{&cpu.cache().slot(0), &prompt, -1, 50, outputs}}, expected,
                               nullptr, &expected_hidden));
      CHECK(gpu.text().forward({{&gpu.cache().slot(0), &prompt, -1, 50, outputs}}, logits, nullptr,
                               &hidden));
      check_near(logits, expected, 1e-4);
      check_near(hidden, expected_hidden, 1e-4);
    }
  }
}

// Sequences that join and leave, some reading and some decoding.
TEST(gpu_sequences_in_one_step) {
  const TestGpu test_gpu;
  constexpr int kSlots = 4;
  for (const auto& [file, type, tolerance] : kFewCases) {
    Ring cpu(file, type, 512, 64);
    Ring gpu(file, type, 512, 64, kSlots, TestGpu::kind());
    std::vector<Prompt> prompts;
    std::vector<std::vector<float>> expected, last(kSlots);
    for (uint32_t i = 0; i < kSlots; ++i) {
      prompts.push_back(cpu.prompt(20 + 70 * static_cast<int>(i), 50 + i));
      expected.push_back(cpu.run(prompts.back(), {64}));
    }
    std::mt19937 random(3);
    for (;;) {
      std::vector<Continuation> parts;
      std::vector<size_t> owners;
      int left_over = 0;
      for (size_t i = 0; i < kSlots; ++i) {
        KvSlot& slot = gpu.cache().slot(static_cast<int>(i));
        const int left = prompts[i].length() - slot.length();
        left_over += left;
        if (left == 0 || random() % 4 == 0) continue;
        const int count =
            std::min(left, 1 + static_cast<int>(random() % 40) * static_cast<int>(random() % 2));
        if (count == 1) {
          parts.push_back({&slot, nullptr, prompts[i][slot.length()].token, 1, 1});
        } else {
          parts.push_back({&slot, &prompts[i], -1, count, 1});
        }
        owners.push_back(i);
      }
      if (left_over == 0) break;
      if (parts.empty()) continue;
      std::vector<float> logits;
      CHECK(gpu.text().forward(parts, logits));
      const auto vocab = static_cast<std::ptrdiff_t>(gpu.config().vocab_size);
      for (size_t i = 0; i < owners.size(); ++i) {
        const auto row = logits.begin() + static_cast<std::ptrdiff_t>(i) * vocab;
        last[owners[i]].assign(row, row + vocab);
      }
    }
    for (size_t i = 0; i < kSlots; ++i) check_near(last[i], expected[i], tolerance);
  }
}

TEST(gpu_slots_copy_beginnings_and_roll_back) {
  const TestGpu test_gpu;
  for (const auto& [file, type, tolerance] : kFewCases) {
    Ring gpu(file, type, 1024, 64, 2, TestGpu::kind());
    Ring cpu(file, type, 1024, 64);
    KvCache& cache = gpu.cache();
    for (const int length : {120, 400}) {
      const Prompt trunk = gpu.prompt(length, 5);
      const int window = gpu.config().window;
      const int oldest = length <= 256 ? 10 : length - 256 + window - 1;
      for (const int prefix : {oldest, length - 20, length - 1}) {
        for (int i = 0; i < 2; ++i) cache.slot(i).truncate(0);
        KvSlot* owner = cache.acquire(trunk, 0);
        gpu.run(*owner, trunk, {64});
        std::vector<int32_t> tokens(trunk.ids().begin(), trunk.ids().begin() + prefix);
        const Prompt rest = gpu.prompt(50, 6);
        tokens.insert(tokens.end(), rest.ids().begin(), rest.ids().end());
        const Prompt branch(tokens, {}, gpu.config().vocab_size);
        const std::vector<float> expected = cpu.run(branch, {64});
        KvSlot* slot = cache.acquire(branch, kAll);
        CHECK(slot != owner);
        CHECK(slot->length() >= prefix);
        check_near(gpu.run(*slot, branch, {64}), expected, tolerance);
        // The other slot, rolled back, and continued as drafts are.
        owner->truncate(prefix);
        check_near(gpu.run(*owner, branch, {7}), expected, tolerance);
        cache.release(*slot);
        cache.release(*owner);
      }
    }
  }
}

}  // namespace
}  // namespace xgenmm::test
