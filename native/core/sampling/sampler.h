#pragma once

#include <cstdint>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "sampling/logprobs.h"

namespace xgenmm {

// All of them look at the generated tokens only: the prompt does not count (MODEL 1.15).
struct SamplingOptions {
  float temperature = 0;  // 0: greedy
  int top_k = 0;  // 0: all
  float top_p = 1;
  float min_p = 0;
  float repetition_penalty = 1;  // as Hugging Face defines it
  float presence_penalty = 0;
  float frequency_penalty = 0;
  int no_repeat_ngram = 0;  // 0: off; as Hugging Face defines it
  int min_tokens = 0;  // before these no stop token is chosen
  std::vector<std::pair<int32_t, float>> logit_bias;  // added; -infinity bans a token
  uint64_t seed = 0;
  int alternatives = -1;  // for Logprobs; -1: no Logprobs
};

struct Choice {
  int32_t token;
  Logprobs logprobs;  // empty unless asked for
};

// Chooses the tokens of one answer. Draw k depends on (seed, k) alone.
class Sampler {
 public:
  explicit Sampler(SamplingOptions options) : options_(std::move(options)) {}

  // kInvalidArgument for options that name tokens beyond the vocabulary.
  void check(int vocab_size) const;
  // logits: [vocab_size]. The token counts as generated from then on; -1 when none is left to
  // choose: all are banned, or no logit is a finite number.
  Choice sample(std::vector<float> logits, const std::unordered_set<int32_t>& stop_tokens);

 private:
  void penalise(std::vector<float>& logits) const;
  // Tokens that would repeat an n-gram.
  void ban_repeats(std::vector<float>& logits) const;
  // best: the likeliest token.
  int32_t draw(const std::vector<float>& logits, int32_t best);

  SamplingOptions options_;
  std::vector<int32_t> generated_;
  std::unordered_map<int32_t, int> counts_;
  uint64_t draws_ = 0;
};

// The index of the largest value, the first of equal ones; NaN never wins.
int32_t argmax(const std::vector<float>& values);

}  // namespace xgenmm
