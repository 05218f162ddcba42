#include "kernels/cached_attention.h"

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "harness.h"
#include "without.h"

namespace xgenmm::test {
namespace {

// A ring into which positions 0 .. length - 1 were written, and what it was given.
struct Cache {
  int64_t head_size, heads, rows, length;
  ggml_type type;
  std::vector<float> keys, values;  // [length, heads, head_size], as the type rounds them
  std::vector<uint8_t> memory;

  Cache(ggml_type type, int64_t head_size, int64_t heads, int64_t rows, int64_t length)
      : head_size(head_size), heads(heads), rows(rows), length(length), type(type) {
    std::mt19937 random(5);
    std::normal_distribution<float> distribution;
    const auto fill = [&](std::vector<float>& out) {
      out.resize(static_cast<size_t>(length * heads * head_size));
      for (float& value : out) value = distribution(random);
    };
    fill(keys);
    fill(values);
    // What was never written must not matter.
    memory.assign(2 * shape().bytes(), 0xFF);
    for (int64_t p = 0; p < length; ++p) {
      const int64_t at = p * heads * head_size;
      shape().store(p % rows, keys.data() + at, values.data() + at);
    }
    round(keys);
    round(values);
  }

  KvRows shape() {
    KvRows out{type, head_size, heads, rows, memory.data(), nullptr};
    out.values = memory.data() + out.bytes();
    return out;
  }

  void round(std::vector<float>& x) const {
    if (type == GGML_TYPE_F32 || x.empty()) return;
    const auto count = static_cast<int64_t>(x.size());
    std::vector<uint8_t> bytes(ggml_row_size(type, count));
    ggml_quantize_chunk(type, x.data(), bytes.data(), 0, 1, count, nullptr);
    ggml_get_type_traits(type)->to_float(bytes.data(), x.data(), count);
  }
};

std::vector<float> some_queries(int64_t count) {
  std::mt19937 random(6);
  std::normal_distribution<float> distribution;
  std::vector<float> out(static_cast<size_t>(count));
  for (float& value : out) value = distribution(random);
  return out;
}

// The last `count` positions' queries, computed `at_once` at a time.
std::vector<float> attend(Cache& cache, int64_t heads, int64_t window,
                          const std::vector<float>& queries, int64_t count, int64_t at_once) {
  const int64_t width = heads * cache.head_size;
  std::vector<float> out(queries.size(), NAN);
  for (int64_t i = 0; i < count; i += at_once) {
    CachedAttention attention{
        cache.shape(), heads, cache.length - count + i,   std::min(at_once, count - i),
        window,        0.2f,  queries.data() + i * width, out.data() + i * width};
    std::vector<uint8_t> scratch(attention.scratch_bytes());
    attend_cached(attention, 0, cache.heads / 2, scratch.data());
    attend_cached(attention, cache.heads / 2, cache.heads, scratch.data());
  }
  return out;
}

std::vector<double> expected(const Cache& cache, int64_t heads, int64_t window,
                             const std::vector<float>& queries, int64_t count) {
  std::vector<double> out;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t position = cache.length - count + i;
    const int64_t oldest = window > 0 ? std::max<int64_t>(0, position - window + 1) : 0;
    for (int64_t h = 0; h < heads; ++h) {
      const float* query = queries.data() + (i * heads + h) * cache.head_size;
      const int64_t kv_head = h / (heads / cache.heads);
      const auto row = [&](const std::vector<float>& x, int64_t p) {
        return x.data() + (p * cache.heads + kv_head) * cache.head_size;
      };
      std::vector<double> mixed(static_cast<size_t>(cache.head_size));
      double total = 0;
      for (int64_t p = oldest; p <= position; ++p) {
        double score = 0;
        for (int64_t d = 0; d < cache.head_size; ++d)
          score += double{query[d]} * double{row(cache.keys, p)[d]};
        const double weight = std::exp(0.2 * score);
        total += weight;
        for (size_t d = 0; d < mixed.size(); ++d)
          mixed[d] += weight * double{row(cache.values, p)[d]};
      }
      for (const double value : mixed) out.push_back(value / total);
    }
  }
  return out;
}

}  // namespace

TEST(cached_attention_equals_softmax_over_what_is_seen) {
  struct Case {
    ggml_type type;
    int64_t head_size, heads, kv_heads, rows, length, window, count;
  };
  const Case cases[] = {
      {GGML_TYPE_F32, 96, 4, 4, 64, 50, 0, 50},      {GGML_TYPE_F16, 96, 2, 2, 64, 64, 0, 17},
      {GGML_TYPE_Q8_0, 96, 2, 2, 64, 61, 0, 13},     {GGML_TYPE_F32, 16, 4, 2, 64, 200, 40, 20},
      {GGML_TYPE_F16, 20, 6, 2, 48, 131, 30, 9},     {GGML_TYPE_Q8_0, 64, 4, 2, 64, 150, 33, 25},
      {GGML_TYPE_F16, 128, 4, 4, 256, 700, 200, 50}, {GGML_TYPE_F32, 7, 1, 1, 16, 1, 0, 1},
  };
  for (const char* set : kEachInstructionSet) {
    const Without without(set);
    for (const Case& c : cases) {
      Cache cache(c.type, c.head_size, c.kv_heads, c.rows, c.length);
      const std::vector<float> queries = some_queries(c.count * c.heads * c.head_size);
      const std::vector<double> wanted = expected(cache, c.heads, c.window, queries, c.count);
      const std::vector<float> whole = attend(cache, c.heads, c.window, queries, c.count, c.count);
      for (size_t i = 0; i < wanted.size(); ++i) CHECK_NEAR(whole[i], wanted[i], 1e-5);
    }
  }
}

TEST(cached_attention_gives_a_query_the_same_whatever_comes_with_it) {
  for (const char* set : kEachInstructionSet) {
    const Without without(set);
    for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
      Cache cache(type, 96, 2, 128, 190);
      const std::vector<float> queries = some_queries(29 * 4 * 96);
      const std::vector<float> whole = attend(cache, 4, 80, queries, 29, 29);
      for (const int64_t at_once : {1, 2, 3, 7, 8})
        CHECK(attend(cache, 4, 80, queries, 29, at_once) == whole);
    }
  }
}

TEST(cached_attention_does_not_see_numbers_that_are_none_where_it_must_not) {
  for (const char* set : kEachInstructionSet) {
    const Without without(set);
    Cache cache(GGML_TYPE_F32, 16, 2, 64, 60);
    const std::vector<float> queries = some_queries(20 * 2 * 16);
    const std::vector<float> clean = attend(cache, 2, 10, queries, 20, 20);
    // Position 45 is seen by the queries at 45 to 54, which are those from the sixth on.
    const std::vector<float> poison(2 * 16, NAN);
    cache.shape().store(45, poison.data(), poison.data());
    const std::vector<float> poisoned = attend(cache, 2, 10, queries, 20, 20);
    for (size_t query = 0; query < 20; ++query) {
      const bool sees = query >= 5 && query < 15;
      for (size_t i = query * 32; i < (query + 1) * 32; ++i)
        CHECK(sees ? std::isnan(poisoned[i]) : poisoned[i] == clean[i]);
    }
  }
}

TEST(kv_rows_copy_what_they_are_told_to) {
  for (const ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
    Cache from(type, 32, 2, 64, 64), to(type, 32, 2, 64, 0);
    to.shape().copy(from.shape(), 5, 0);
    CHECK(to.memory == std::vector<uint8_t>(to.memory.size(), 0xFF));
    to.shape().copy(from.shape(), 7, 30);
    to.length = 37;
    to.keys = from.keys;
    to.values = from.values;
    const std::vector<float> queries = some_queries(2 * 32);
    const std::vector<double> wanted = expected(to, 2, 30, queries, 1);
    const std::vector<float> found = attend(to, 2, 30, queries, 1, 1);
    for (size_t i = 0; i < wanted.size(); ++i) CHECK_NEAR(found[i], wanted[i], 1e-5);
  }
}

}  // namespace xgenmm::test
