#pragma once

#include <cstdint>
#include <unordered_set>
#include <vector>

namespace xgenmm {

struct SamplingOptions {
  float temperature = 0;  // 0: greedy
  float repetition_penalty = 1;  // as Hugging Face defines it, over the generated tokens
  uint64_t seed = 0;
};

// Chooses the tokens of one answer. Draw k depends on (seed, k) alone.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options) : options_(options) {}

  // logits: [vocab_size], changed by the penalty. The token counts as generated from then on.
  int32_t sample(std::vector<float>& logits);

 private:
  int32_t draw(const std::vector<float>& logits);

  SamplingOptions options_;
  std::unordered_set<int32_t> generated_;
  uint64_t draws_ = 0;
};

// The index of the largest value, the first of equal ones; NaN never wins.
int32_t argmax(const std::vector<float>& values);

}  // namespace xgenmm
