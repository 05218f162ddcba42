#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "listener.h"

namespace xgenmm::test {

inline LoadOptions options(const std::string& file, Speculation speculation, int sequences = 1) {
  LoadOptions options = tiny(sequences);
  options.text_path = file;
  options.speculation = speculation;
  return options;
}

// Whatever the model, greedily: these tokens in turn, over and over.
inline void force(SamplingOptions& sampling, const std::vector<int32_t>& tokens) {
  for (size_t i = 0; i < tokens.size(); ++i)
    sampling.logit_bias.emplace_back(tokens[i], 1e6f - 100 * static_cast<float>(i));
  sampling.frequency_penalty = 1e4f;
}

// Only these tokens, so that many guesses come true and many do not.
inline void narrow(SamplingOptions& sampling, int32_t first, int32_t count, int vocab_size) {
  for (int32_t id = 0; id < vocab_size; ++id) {
    if (id < first || id >= first + count) sampling.logit_bias.emplace_back(id, -INFINITY);
  }
}

inline std::vector<int32_t> passage(int count) {
  std::vector<int32_t> tokens;
  for (int i = 0; i < count; ++i) tokens.push_back(40 + 7 * i);
  return tokens;
}

inline std::vector<event::Generated> answers(const LoadOptions& options,
                                             const std::vector<GenerateRequest>& questions,
                                             bool together = false) {
  Listener listener;
  Engine engine(options, listener.sink());
  std::vector<event::Generated> answers;
  const auto wait = [&](RequestId id) {
    answers.push_back(std::get<event::Generated>(listener.wait(id).body));
  };
  for (size_t i = 0; i < questions.size(); ++i) {
    const auto id = static_cast<RequestId>(i + 1);
    engine.submit(id, questions[i]);
    if (!together) wait(id);
  }
  for (size_t i = 0; together && i < questions.size(); ++i) wait(static_cast<RequestId>(i + 1));
  return answers;
}

}  // namespace xgenmm::test
