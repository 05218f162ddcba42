#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace xgenmm {

void Logprobs::append(const Logprobs& more) {
  chosen.insert(chosen.end(), more.chosen.begin(), more.chosen.end());
  top_tokens.insert(top_tokens.end(), more.top_tokens.begin(), more.top_tokens.end());
  top.insert(top.end(), more.top.begin(), more.top.end());
}

Logprobs logprobs_of(const std::vector<float>& logits, int32_t token, int alternatives) {
  // NaN, which broken weights may give, counts as impossible: it would break the order.
  const auto value = [&](int32_t id) {
    const float logit = logits[static_cast<size_t>(id)];
    return std::isnan(logit) ? -INFINITY : logit;
  };
  std::vector<int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto likelier = [&](int32_t a, int32_t b) {
    return value(a) > value(b) || (value(a) == value(b) && a < b);
  };
  const size_t count = std::clamp<size_t>(static_cast<size_t>(alternatives), 1, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                    likelier);
  const double highest = value(ids.front());
  double total = 0;
  for (size_t i = 0; i < logits.size(); ++i)
    total += std::exp(value(static_cast<int32_t>(i)) - highest);
  const auto logprob = [&](int32_t id) {
    return static_cast<float>(value(id) - highest - std::log(total));
  };
  Logprobs result;
  result.chosen.push_back(logprob(token));
  for (int i = 0; i < alternatives && i < static_cast<int>(count); ++i) {
    result.top_tokens.push_back(ids[static_cast<size_t>(i)]);
    result.top.push_back(logprob(ids[static_cast<size_t>(i)]));
  }
  return result;
}

}  // namespace xgenmm
