#pragma once

// attend(), after one of lanes_*.h.
#include <cstring>

#include "kernels/attention.h"
#include "kernels/curves.h"
#include "kernels/query_groups.h"
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// What Head::flags() says of a block.
constexpr uint8_t kMissing = 0, kLoaded = 1, kOdd = 2;

// The scratch has room for as many.
static_assert(kQueriesAtOnce <= 8 && kValuesAtOnce <= 3);

constexpr uint16_t kMinusInfinity = 0xFC00;  // in f16

int64_t round_up(int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

// What one head's queries meet: keys in columns of 16, [key blocks][head_size][16], and values in
// rows of whole vectors.
class Head {
 public:
  Head(const Attention& a, float* scratch)
      : a_(a),
        padded_size_(round_up(a.head_size)),
        blocks_(round_up(a.key_count) / kLanes),
        keys_(scratch),
        values_(keys_ + blocks_ * kLanes * padded_size_),
        scores_(values_ + blocks_ * kLanes * padded_size_) {}

  int64_t blocks() const { return blocks_; }
  // Room for a flag per block, twice.
  uint8_t* flags() const {
    return reinterpret_cast<uint8_t*>(scores_ + kQueriesAtOnce * blocks_ * kLanes);
  }

  // Marks the block in flags(): kOdd if one of its values is no finite number.
  void fetch(int64_t block, int64_t head, int64_t batch) {
    Floats poison = zeros();
    const int64_t first = block * kLanes;
    const int64_t count = keys_in(block);
    for (int64_t d = 0; d < padded_size_; d += kLanes) {
      Floats rows[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const int64_t key = first + (i < count ? i : count - 1);
        rows[i] = load_first(a_.keys.row(key, head, batch) + d, a_.head_size - d);
        const Floats values = load_first(a_.values.row(key, head, batch) + d, a_.head_size - d);
        store(values_ + (first + i) * padded_size_ + d, values);
        // Zero times what is not finite is no number.
        poison = fma(values, zeros(), poison);
      }
      transpose(rows);
      for (int i = 0; i < kLanes; ++i)
        store(keys_ + (block * padded_size_ + d + i) * kLanes, rows[i]);
    }
    flags()[block] = has_nan(poison) ? kOdd : kLoaded;
  }

  // Marks the blocks of which one of the queries sees something.
  void mark_seen(int64_t first, int64_t count, int64_t batch, uint8_t* seen) const {
    std::memset(seen, a_.mask == nullptr, static_cast<size_t>(blocks_));
    if (a_.mask == nullptr) return;
    for (int64_t query = first; query < first + count; ++query) {
      const ggml_fp16_t* mask = mask_row(query, batch);
      for (int64_t block = 0; block < blocks_; ++block) {
        if (!all_are(mask + block * kLanes, keys_in(block), kMinusInfinity)) seen[block] = 1;
      }
    }
  }

  // G queries from `first` on, which see some of the blocks in `seen`.
  template <int G>
  void attend(int64_t first, int64_t head, int64_t batch, const uint8_t* seen) {
    Floats highest[G];
    for (int g = 0; g < G; ++g) highest[g] = spread(-__builtin_inff());
    constexpr int kBlocks = blocks_at_once(G);
    for (int64_t block = 0; block < blocks_;) {
      if (are_seen(seen, block, kBlocks)) {
        score<G, kBlocks>(block, first, head, batch, highest);
        block += kBlocks;
      } else {
        if (seen[block]) score<G, 1>(block, first, head, batch, highest);
        ++block;
      }
    }
    float inverse[G];
    for (int g = 0; g < G; ++g) inverse[g] = weigh<G>(g, largest(highest[g]), seen);
    int64_t d = 0;
    for (; d + kValuesAtOnce * kLanes <= padded_size_; d += kValuesAtOnce * kLanes)
      mix<G, kValuesAtOnce>(d, first, head, batch, inverse, seen);
    if (padded_size_ - d == 2 * kLanes) {
      mix<G, 2>(d, first, head, batch, inverse, seen);
    } else if (d < padded_size_) {
      mix<G, 1>(d, first, head, batch, inverse, seen);
    }
  }

 private:
  // [key blocks][G][16]
  template <int G>
  float* scores(int64_t block, int query) const {
    return scores_ + (block * G + query) * kLanes;
  }

  bool are_seen(const uint8_t* seen, int64_t block, int count) const {
    if (block + count > blocks_) return false;
    for (int b = 0; b < count; ++b) {
      if (!seen[block + b]) return false;
    }
    return true;
  }

  // G queries and B blocks of keys from `block` on.
  template <int G, int B>
  void score(int64_t block, int64_t first, int64_t head, int64_t batch, Floats highest[G]) {
    const float* queries[G];
    Floats sums[B][G];
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) {
      queries[g] = a_.queries.row(first + g, head, batch);
      XGENMM_UNROLL
      for (int b = 0; b < B; ++b) sums[b][g] = zeros();
    }
    const float* keys = keys_ + block * padded_size_ * kLanes;
    for (int64_t d = 0; d < a_.head_size; ++d) {
      Floats of_block[B];
      XGENMM_UNROLL
      for (int b = 0; b < B; ++b) of_block[b] = load(keys + (b * padded_size_ + d) * kLanes);
      XGENMM_UNROLL
      for (int g = 0; g < G; ++g) {
        const Floats value = spread(queries[g][d]);
        XGENMM_UNROLL
        for (int b = 0; b < B; ++b) sums[b][g] = fma(of_block[b], value, sums[b][g]);
      }
    }
    XGENMM_UNROLL
    for (int b = 0; b < B; ++b) finish_scores<G>(block + b, first, batch, sums[b], highest);
  }

  template <int G>
  void finish_scores(int64_t block, int64_t first, int64_t batch, const Floats (&sums)[G],
                     Floats highest[G]) {
    const int64_t count = keys_in(block);
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) {
      Floats s = mul(sums[g], spread(a_.scale));
      if (a_.mask != nullptr) {
        const ggml_fp16_t* mask = mask_row(first + g, batch) + block * kLanes;
        s = add(s, load_first_f16(mask, count));
      }
      if (count < kLanes) s = choose(first_lanes(count), s, spread(-__builtin_inff()));
      store(scores<G>(block, g), s);
      // What is no number is not the highest.
      highest[g] = max(s, highest[g]);
    }
  }

  // Scores -> exp(score - highest); -> 1 / their sum.
  template <int G>
  float weigh(int query, float highest, const uint8_t* seen) {
    constexpr float kLog2E = 1.44269504f;
    Floats total = zeros();
    for (int64_t block = 0; block < blocks_; ++block) {
      if (!seen[block]) continue;
      float* at = scores<G>(block, query);
      const Floats weight = exp2_or_zero(mul(sub(load(at), spread(highest)), spread(kLog2E)));
      store(at, weight);
      total = add(total, weight);
    }
    return 1.0f / sum(total);
  }

  // G queries, V vectors of each from value `d` on.
  template <int G, int V>
  void mix(int64_t d, int64_t first, int64_t head, int64_t batch, const float* inverse,
           const uint8_t* seen) {
    Floats sums[G][V];
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) XGENMM_UNROLL
    for (int v = 0; v < V; ++v) sums[g][v] = zeros();
    for (int64_t block = 0; block < blocks_; ++block) {
      if (!seen[block]) continue;
      const float* values = values_ + block * kLanes * padded_size_ + d;
      const float* weights = scores<G>(block, 0);
      const int count = keys_in(block);
      if (flags()[block] != kOdd) {
        for (int key = 0; key < count; ++key)
          add_values<G, V>(values + key * padded_size_, weights + key, sums);
        continue;
      }
      for (int key = 0; key < count; ++key) {
        XGENMM_UNROLL
        for (int g = 0; g < G; ++g) {
          if (is_hidden(first + g, block * kLanes + key, batch)) continue;
          add_values<1, V>(values + key * padded_size_, weights + g * kLanes + key, &sums[g]);
        }
      }
    }
    for (int g = 0; g < G; ++g) {
      float* out = a_.out + ((batch * a_.query_count + first + g) * a_.heads + head) * a_.head_size;
      for (int v = 0; v < V; ++v) {
        const int64_t at = d + v * kLanes;
        store_first(out + at, mul(sums[g][v], spread(inverse[g])), a_.head_size - at);
      }
    }
  }

  // Of one key, with its weights for G queries.
  template <int G, int V>
  static void add_values(const float* values, const float* weights, Floats (*sums)[V]) {
    Floats of_key[V];
    XGENMM_UNROLL
    for (int v = 0; v < V; ++v) of_key[v] = load(values + v * kLanes);
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) {
      const Floats weight = spread(weights[g * kLanes]);
      XGENMM_UNROLL
      for (int v = 0; v < V; ++v) sums[g][v] = fma(of_key[v], weight, sums[g][v]);
    }
  }

  // At most a vector's.
  int keys_in(int64_t block) const {
    const int64_t left = a_.key_count - block * kLanes;
    return left < kLanes ? static_cast<int>(left) : kLanes;
  }

  bool is_hidden(int64_t query, int64_t key, int64_t batch) const {
    return a_.mask != nullptr && mask_row(query, batch)[key] == kMinusInfinity;
  }

  const ggml_fp16_t* mask_row(int64_t query, int64_t batch) const {
    const int64_t own = a_.mask_batches == 1 ? 0 : batch;
    return a_.mask + (own * a_.query_count + query) * a_.key_count;
  }

  const Attention& a_;
  int64_t padded_size_, blocks_;
  float *keys_, *values_, *scores_;
};

void attend_in_lanes(const Attention& a, int64_t first, int64_t last, float* scratch) {
  Head head(a, scratch);
  uint8_t* loaded = head.flags();
  uint8_t* seen = loaded + head.blocks();
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t own = unit % a.heads;
    const int64_t batch = unit / a.heads;
    std::memset(loaded, kMissing, static_cast<size_t>(head.blocks()));
    each_query_group(a.query_count, [&](int64_t query, auto count) {
      head.mark_seen(query, count.value, batch, seen);
      for (int64_t block = 0; block < head.blocks(); ++block) {
        if (seen[block] && loaded[block] == kMissing) head.fetch(block, own, batch);
      }
      head.attend<decltype(count)::value>(query, own, batch, seen);
    });
  }
}

}  // namespace
}  // namespace xgenmm
