#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "harness.h"
#include "without.h"

namespace xgenmm {
namespace {

using test::kEachInstructionSet;
using test::Without;

// Queries, keys and values as tensors [head size, rows, heads, batches] without gaps.
struct Problem {
  int64_t head_size, queries, keys, heads, batches;
  std::vector<float> q, k, v;
  std::vector<ggml_fp16_t> mask;

  Problem(int64_t head_size, int64_t queries, int64_t keys, int64_t heads, int64_t batches)
      : head_size(head_size), queries(queries), keys(keys), heads(heads), batches(batches) {
    std::mt19937 random(7);
    std::normal_distribution<float> distribution;
    const auto fill = [&](std::vector<float>& values, int64_t rows) {
      values.resize(static_cast<size_t>(head_size * rows * heads * batches));
      for (float& value : values) value = distribution(random);
    };
    fill(q, queries);
    fill(k, keys);
    fill(v, keys);
  }

  // Each query sees the `window` keys up to its own, which is as far from the end as it is itself.
  void see_window(int64_t window) {
    mask.clear();
    for (int64_t i = 0; i < queries; ++i) {
      for (int64_t j = 0; j < keys; ++j) {
        const int64_t distance = keys - queries + i - j;
        const bool visible = distance >= 0 && distance < window;
        mask.push_back(ggml_fp32_to_fp16(visible ? 0.0f : -INFINITY));
      }
    }
  }

  Attention attention(std::vector<float>& out) const {
    const auto rows = [&](const std::vector<float>& values, int64_t count) {
      const size_t row = static_cast<size_t>(head_size) * sizeof(float);
      const size_t head = row * static_cast<size_t>(count);
      return Attention::Rows{reinterpret_cast<const uint8_t*>(values.data()), row, head,
                             head * static_cast<size_t>(heads)};
    };
    out.assign(q.size(), NAN);
    Attention a{};
    a.queries = rows(q, queries);
    a.keys = rows(k, keys);
    a.values = rows(v, keys);
    a.head_size = head_size;
    a.query_count = queries;
    a.key_count = keys;
    a.heads = heads;
    a.batches = batches;
    a.scale = 1.0f / std::sqrt(static_cast<float>(head_size));
    a.mask = mask.empty() ? nullptr : mask.data();
    a.mask_batches = 1;
    a.out = out.data();
    return a;
  }

  std::vector<float> compute() const {
    std::vector<float> out;
    const Attention a = attention(out);
    std::vector<float> scratch(a.scratch_size());
    const int64_t middle = a.units() / 3;
    attend(a, middle, a.units(), scratch.data());
    attend(a, 0, middle, scratch.data());
    return out;
  }

  double exact(int64_t batch, int64_t query, int64_t head, int64_t at) const {
    const int64_t kv = batch * heads + head;
    const float* own = q.data() + ((batch * heads + head) * queries + query) * head_size;
    std::vector<double> scores;
    for (int64_t j = 0; j < keys; ++j) {
      double score = 0;
      for (int64_t d = 0; d < head_size; ++d)
        score +=
            static_cast<double>(own[d]) * k[static_cast<size_t>((kv * keys + j) * head_size + d)];
      score /= std::sqrt(static_cast<double>(head_size));
      if (!mask.empty())
        score +=
            static_cast<double>(ggml_fp16_to_fp32(mask[static_cast<size_t>(query * keys + j)]));
      scores.push_back(score);
    }
    const double largest = *std::max_element(scores.begin(), scores.end());
    double sum = 0;
    double total = 0;
    for (int64_t j = 0; j < keys; ++j) {
      const double weight = std::exp(scores[static_cast<size_t>(j)] - largest);
      sum += weight;
      total += weight * v[static_cast<size_t>((kv * keys + j) * head_size + at)];
    }
    return total / sum;
  }

  void check() const {
    const std::vector<float> out = compute();
    for (int64_t b = 0; b < batches; ++b)
      for (int64_t i = 0; i < queries; ++i)
        for (int64_t h = 0; h < heads; ++h)
          for (int64_t d = 0; d < head_size; ++d) {
            const int64_t at = ((b * queries + i) * heads + h) * head_size + d;
            CHECK_NEAR(out[static_cast<size_t>(at)], exact(b, i, h, d), 3e-6);
          }
  }
};

}  // namespace

TEST(attention_of_pictures_matches_double) {
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    Problem(72, 25, 25, 4, 3).check();
    Problem(16, 9, 33, 2, 1).check();
    Problem(48, 1, 1, 2, 2).check();
  }
}

TEST(attention_with_a_window_matches_double) {
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    for (const int64_t queries : {1, 3, 14, 70}) {
      Problem problem(96, queries, 150, 2, 1);
      problem.see_window(63);
      problem.check();
    }
  }
}

TEST(attention_of_a_query_does_not_depend_on_the_others) {
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    Problem all(96, 40, 200, 2, 1);
    all.see_window(100);
    const std::vector<float> together = all.compute();
    for (int64_t i = 0; i < all.queries; ++i) {
      Problem one = all;
      one.queries = 1;
      one.q.clear();
      for (int64_t h = 0; h < all.heads; ++h) {
        const auto row = all.q.begin() + (h * all.queries + i) * all.head_size;
        one.q.insert(one.q.end(), row, row + all.head_size);
      }
      one.mask.assign(all.mask.begin() + i * all.keys, all.mask.begin() + (i + 1) * all.keys);
      const std::vector<float> alone = one.compute();
      for (size_t j = 0; j < alone.size(); ++j)
        CHECK_EQ(alone[j], together[static_cast<size_t>(i) * alone.size() + j]);
    }
  }
}

// A slot's ring may have rows from a request that failed.
TEST(attention_does_not_see_what_is_hidden_and_no_number) {
  for (const char* missing : kEachInstructionSet) {
    const Without without(missing);
    for (const float odd : {std::numeric_limits<float>::infinity(), NAN}) {
      Problem problem(48, 9, 40, 2, 1);
      problem.see_window(20);
      const std::vector<float> expected = problem.compute();
      // The last query is the only one to see the last key, and none sees the first ones.
      for (const int64_t row : {int64_t{0}, int64_t{3}, problem.keys - 1}) {
        for (int64_t head = 0; head < problem.heads; ++head) {
          const int64_t at = (head * problem.keys + row) * problem.head_size;
          std::fill_n(problem.k.begin() + at, problem.head_size, odd);
          std::fill_n(problem.v.begin() + at, problem.head_size, odd);
        }
      }
      const std::vector<float> out = problem.compute();
      const size_t of_query = static_cast<size_t>(problem.heads * problem.head_size);
      for (size_t i = 0; i < 8 * of_query; ++i) CHECK_EQ(out[i], expected[i]);
      for (size_t i = 8 * of_query; i < out.size(); ++i) CHECK(!std::isfinite(out[i]));
    }
  }
}

}  // namespace xgenmm
