#pragma once

#include <cstdint>
#include <vector>

namespace xgenmm {

// Natural logarithms of tokens' probabilities under the model's own distribution.
struct Logprobs {
  std::vector<float> chosen;  // [tokens]
  // [tokens, alternatives], likeliest first
  std::vector<int32_t> top_tokens;
  std::vector<float> top;

  void append(const Logprobs& more);
};

// Of one token. logits: as the model gave them; alternatives: how many of the likeliest tokens.
Logprobs logprobs_of(const std::vector<float>& logits, int32_t token, int alternatives);

}  // namespace xgenmm
