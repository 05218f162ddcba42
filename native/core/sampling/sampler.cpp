#include "sampling/sampler.h"

#include <cmath>

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

int32_t Sampler::sample(std::vector<float>& logits) {
  for (const int32_t id : generated_) {
    float& logit = logits[static_cast<size_t>(id)];
    logit = logit > 0 ? logit / options_.repetition_penalty : logit * options_.repetition_penalty;
  }
  const int32_t token = options_.temperature > 0 ? draw(logits) : argmax(logits);
  generated_.insert(token);
  return token;
}

int32_t Sampler::draw(const std::vector<float>& logits) {
  const int32_t best = argmax(logits);
  const double highest = logits[static_cast<size_t>(best)];
  const auto weight = [&](float logit) {
    const double w = std::exp((logit - highest) / options_.temperature);
    return std::isfinite(w) ? w : 0.0;
  };
  double total = 0;
  for (const float logit : logits) total += weight(logit);
  double target = uniform(options_.seed, draws_++) * total;
  for (size_t i = 0; i < logits.size(); ++i) {
    target -= weight(logits[i]);
    if (target < 0) return static_cast<int32_t>(i);
  }
  return best;
}

}  // namespace xgenmm
