#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace xgenmm {

namespace {

// SplitMix64's finaliser: a good 64-bit mix of a counter.
uint64_t mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15u;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

// In [0, 1).
double uniform(uint64_t seed, uint64_t draw) {
  return static_cast<double>(mix(mix(seed) ^ mix(~draw)) >> 11) * 0x1p-53;
}

}  // namespace

int32_t argmax(const std::vector<float>& values) {
  size_t best = 0;
  for (size_t i = 1; i < values.size(); ++i) {
    if (values[i] > values[best] || (std::isnan(values[best]) && !std::isnan(values[i]))) best = i;
  }
  return static_cast<int32_t>(best);
}

void Sampler::check(int vocab_size) const {
  for (const auto& [id, bias] : options_.logit_bias) {
    if (id < 0 || id >= vocab_size) {
      throw Error(ErrorCode::kInvalidArgument, "expected a logitBias on token ids below " +
                                                   std::to_string(vocab_size) + ", received " +
                                                   std::to_string(id));
    }
  }
}

Choice Sampler::sample(std::vector<float> logits, const std::unordered_set<int32_t>& stop_tokens) {
  std::vector<float> raw;
  if (options_.alternatives >= 0) raw = logits;
  for (const auto& [id, bias] : options_.logit_bias) logits[static_cast<size_t>(id)] += bias;
  penalise(logits);
  ban_repeats(logits);
  if (generated_.size() < static_cast<size_t>(options_.min_tokens)) {
    for (const int32_t id : stop_tokens) logits[static_cast<size_t>(id)] = -INFINITY;
  }
  const int32_t best = argmax(logits);
  if (!std::isfinite(logits[static_cast<size_t>(best)])) return {-1, {}};
  Choice choice{options_.temperature > 0 ? draw(logits, best) : best, {}};
  if (!raw.empty()) choice.logprobs = logprobs_of(raw, choice.token, options_.alternatives);
  generated_.push_back(choice.token);
  ++counts_[choice.token];
  return choice;
}

void Sampler::penalise(std::vector<float>& logits) const {
  for (const auto& [id, count] : counts_) {
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
    logit -= options_.presence_penalty + options_.frequency_penalty * static_cast<float>(count);
  }
}

void Sampler::ban_repeats(std::vector<float>& logits) const {
  const size_t n = static_cast<size_t>(options_.no_repeat_ngram);
  if (n == 0 || generated_.size() < n) return;
  const auto last = generated_.end() - static_cast<std::ptrdiff_t>(n - 1);
  for (auto start = generated_.begin();
       start + static_cast<std::ptrdiff_t>(n - 1) < generated_.end(); ++start) {
    if (std::equal(last, generated_.end(), start)) {
      logits[static_cast<size_t>(*(start + static_cast<std::ptrdiff_t>(n - 1)))] = -INFINITY;
    }
  }
}

int32_t Sampler::draw(const std::vector<float>& logits, int32_t best) {
  struct Candidate {
    int32_t id;
    float logit;
    double weight;  // proportional to the probability, 1 for the likeliest
  };
  const double highest = logits[static_cast<size_t>(best)];
  std::vector<Candidate> candidates;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double weight = std::exp((logits[i] - highest) / options_.temperature);
    if (std::isfinite(weight) && weight > 0)
      candidates.push_back({static_cast<int32_t>(i), logits[i], weight});
  }
  const auto keep_if = [&](auto keep) {
    candidates.erase(std::remove_if(candidates.begin(), candidates.end(),
                                    [&](const Candidate& candidate) { return !keep(candidate); }),
                     candidates.end());
  };
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
  };
  const size_t top_k = static_cast<size_t>(options_.top_k);
  if (top_k > 0 && top_k < candidates.size()) {
    // Of equals at the edge all stay, as in Hugging Face's TopKLogitsWarper.
    std::vector<Candidate> sorted = candidates;
    const auto edge = sorted.begin() + static_cast<std::ptrdiff_t>(top_k - 1);
    std::nth_element(sorted.begin(), edge, sorted.end(), likelier);
    const float least = edge->logit;
    keep_if([&](const Candidate& candidate) { return candidate.logit >= least; });
  }
  const auto total_weight = [&] {
    double total = 0;
    for (const Candidate& candidate : candidates) total += candidate.weight;
    return total;
  };
  if (options_.top_p < 1) {
    std::sort(candidates.begin(), candidates.end(), likelier);
    const double enough = options_.top_p * total_weight();
    double sum = 0;
    size_t count = 0;
    while (count < candidates.size() && sum < enough) sum += candidates[count++].weight;
    candidates.resize(std::max<size_t>(count, 1));
    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
  }
  if (options_.min_p > 0) {
    keep_if([&](const Candidate& candidate) { return candidate.weight >= options_.min_p; });
  }
  double target = uniform(options_.seed, draws_++) * total_weight();
  for (const Candidate& candidate : candidates) {
    target -= candidate.weight;
    if (target < 0) return candidate.id;
  }
  return best;
}

}  // namespace xgenmm
