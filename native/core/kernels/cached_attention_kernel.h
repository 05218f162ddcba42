#pragma once

// attend_cached(), after one of lanes_*.h.
#include "kernels/cached_attention.h"
#include "kernels/curves.h"
#include "kernels/query_groups.h"
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

static_assert(kQueriesAtOnce <= 8);  // CachedAttention::scratch_bytes()

// Values that share a scale in Q8_0, and their bytes in a row.
constexpr int64_t kGroupValues = 32;
constexpr int64_t kGroupBytes = 34;

// Vectors of values that G queries mix at once.
constexpr int values_at_once(int queries) {
  const int vectors = kQueriesAtOnce * kValuesAtOnce / queries;
  return vectors > 6 ? 6 : vectors;
}

template <ggml_type T>
Floats load_key(const uint8_t* values, int64_t index) {
  if (T == GGML_TYPE_F32) return load(reinterpret_cast<const float*>(values) + index * kLanes);
  if (T == GGML_TYPE_F16) return load_f16(values + index * kLanes * 2);
  return load_i8(values + index * kLanes);
}

// Sixteen values of a row from `at` on, zeros after its end.
template <ggml_type T>
Floats load_value(const uint8_t* row, int64_t at, int64_t length) {
  if (T == GGML_TYPE_F32) return load_first(reinterpret_cast<const float*>(row) + at, length - at);
  if (T == GGML_TYPE_F16) return load_first_f16(row + at * 2, length - at);
  const uint8_t* group = row + at / kGroupValues * kGroupBytes;
  return mul(load_i8(group + 2 + at % kGroupValues), spread_f16(group));
}

// Some neighbouring queries of one head and what they see.
template <ggml_type T>
class CachedHead {
 public:
  CachedHead(const CachedAttention& a, uint8_t* scratch)
      : a_(a),
        scores_(reinterpret_cast<float*>(scratch)),
        seen_(reinterpret_cast<Seen*>(scratch + kQueriesAtOnce * a.cache.rows * 4)) {}

  // Notes the blocks of which one of the queries sees something.
  void look(int64_t first, int64_t count) {
    count_ = 0;
    // Rows are in the order of positions but for one place, behind the newest.
    const int64_t end = a_.first + a_.count;
    const int64_t rows = a_.cache.rows;
    const int64_t lap = (end - 1) / rows * rows;
    const int64_t newest = a_.first + first + count - 1;
    for (int64_t block = 0; block < rows / kLanes; ++block) {
      const int64_t row = block * kLanes;
      // Of the block's first row, and of its last.
      const int64_t from = lap + row < end ? lap + row : lap + row - rows;
      const int64_t to =
          lap + row + kLanes - 1 < end ? from + kLanes - 1 : lap + row + kLanes - 1 - rows;
      if (to - from == kLanes - 1) {
        if (to < oldest_seen(a_.first + first) || from > newest) continue;
        if (from >= oldest_seen(newest) && to <= a_.first + first) {
          seen_[count_++] = {static_cast<int32_t>(block), true, {}};
          continue;
        }
      }
      Seen& seen = seen_[count_];
      seen = {static_cast<int32_t>(block), false, {}};
      uint16_t any = 0;
      for (int64_t q = 0; q < count; ++q) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
          const int64_t at = lap + row + lane;
          const int64_t position = at < end ? at : at - rows;
          const int64_t query = a_.first + first + q;
          if (position >= oldest_seen(query) && position <= query)
            seen.lanes[q] = static_cast<uint16_t>(seen.lanes[q] | 1u << lane);
        }
        any |= seen.lanes[q];
      }
      if (any != 0) ++count_;
    }
  }

  template <int G>
  void attend(int64_t first, int64_t head, int64_t kv_head) {
    for (int g = 0; g < G; ++g)
      queries_[g] = a_.queries + ((first + g) * a_.heads + head) * a_.cache.head_size;
    constexpr int kBlocks = blocks_at_once(G);
    Floats highest[G];
    for (int g = 0; g < G; ++g) highest[g] = spread(-__builtin_inff());
    int64_t at = 0;
    for (; at + kBlocks <= count_; at += kBlocks) score<G, kBlocks>(at, kv_head, highest);
    for (; at < count_; ++at) score<G, 1>(at, kv_head, highest);
    float inverse[G];
    for (int g = 0; g < G; ++g) inverse[g] = weigh<G>(g, largest(highest[g]));
    constexpr int kValues = values_at_once(G);
    const int64_t size = a_.cache.head_size;
    int64_t d = 0;
    for (; d + kValues * kLanes <= size; d += kValues * kLanes)
      mix<G, kValues>(d, first, head, kv_head, inverse);
    for (; d < size; d += kLanes) mix<G, 1>(d, first, head, kv_head, inverse);
  }

 private:
  struct Seen {
    int32_t block;
    bool whole;  // by all the queries
    uint16_t lanes[kQueriesAtOnce];  // otherwise: by each
  };
  static_assert(sizeof(Seen) <= 32);  // CachedAttention::scratch_bytes()

  // The first position that the query at `position` sees.
  int64_t oldest_seen(int64_t position) const {
    const int64_t oldest = a_.window > 0 ? position - a_.window + 1 : 0;
    return oldest > 0 ? oldest : 0;
  }

  // [entries of seen_][G][16]
  template <int G>
  float* scores(int64_t entry, int query) const {
    return scores_ + (entry * G + query) * kLanes;
  }

  // Entries [at, at + B) of seen_.
  template <int G, int B>
  void score(int64_t at, int64_t kv_head, Floats (&highest)[G]) {
    const int64_t size = a_.cache.head_size;
    const int64_t group = T == GGML_TYPE_Q8_0 ? kGroupValues : size;
    const uint8_t* blocks[B];
    const uint8_t* keys[B];
    Floats sums[G][B];
    XGENMM_UNROLL
    for (int b = 0; b < B; ++b) {
      blocks[b] = a_.cache.key_block(kv_head, seen_[at + b].block);
      keys[b] = T == GGML_TYPE_Q8_0 ? blocks[b] + size / kGroupValues * kLanes * 2 : blocks[b];
      XGENMM_UNROLL
      for (int g = 0; g < G; ++g) sums[g][b] = zeros();
    }
    for (int64_t from = 0; from < size; from += group) {
      Floats scales[B];
      XGENMM_UNROLL
      for (int b = 0; b < B; ++b)
        scales[b] =
            T == GGML_TYPE_Q8_0 ? load_f16(blocks[b] + from / kGroupValues * kLanes * 2) : zeros();
      for (int64_t d = from; d < from + group; ++d) {
        Floats key[B];
        XGENMM_UNROLL
        for (int b = 0; b < B; ++b) {
          key[b] = load_key<T>(keys[b], d);
          if (T == GGML_TYPE_Q8_0) key[b] = mul(key[b], scales[b]);
        }
        XGENMM_UNROLL
        for (int g = 0; g < G; ++g) {
          const Floats query = spread(queries_[g][d]);
          XGENMM_UNROLL
          for (int b = 0; b < B; ++b) sums[g][b] = fma(key[b], query, sums[g][b]);
        }
      }
    }
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) {
      XGENMM_UNROLL
      for (int b = 0; b < B; ++b) {
        const Seen& seen = seen_[at + b];
        float* out = scores<G>(at + b, g);
        store(out, mul(sums[g][b], spread(a_.scale)));
        if (!seen.whole) {
          for (int lane = 0; lane < kLanes; ++lane) {
            if ((seen.lanes[g] >> lane & 1) == 0) out[lane] = -__builtin_inff();
          }
        }
        // What is no number is not the highest.
        highest[g] = max(load(out), highest[g]);
      }
    }
  }

  // Scores -> exp(score - highest); -> 1 / their sum.
  template <int G>
  float weigh(int query, float highest) {
    constexpr float kLog2E = 1.44269504f;
    Floats total = zeros();
    for (int64_t i = 0; i < count_; ++i) {
      float* at = scores<G>(i, query);
      const Floats weight = exp2_or_zero(mul(sub(load(at), spread(highest)), spread(kLog2E)));
      store(at, weight);
      total = add(total, weight);
    }
    return 1.0f / sum(total);
  }

  // G queries, V vectors of each from value `d` on.
  template <int G, int V>
  void mix(int64_t d, int64_t first, int64_t head, int64_t kv_head, const float* inverse) {
    const int64_t size = a_.cache.head_size;
    const int64_t row_bytes = static_cast<int64_t>(a_.cache.row_bytes());
    Floats sums[G][V];
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) XGENMM_UNROLL
    for (int v = 0; v < V; ++v) sums[g][v] = zeros();
    for (int64_t i = 0; i < count_; ++i) {
      const Seen& seen = seen_[i];
      const uint8_t* row = a_.cache.value_row(kv_head, int64_t{seen.block} * kLanes);
      const float* weights = scores<G>(i, 0);
      if (seen.whole) {
        add_block<G, V>(row, row_bytes, d, size, weights, sums);
        continue;
      }
      for (int lane = 0; lane < kLanes; ++lane) {
        Floats values[V];
        load_values<V>(row + lane * row_bytes, d, size, values);
        for (int g = 0; g < G; ++g) {
          // Zero times what is not finite is no number.
          if ((seen.lanes[g] >> lane & 1) != 0)
            add_values<V>(values, weights[g * kLanes + lane], sums[g]);
        }
      }
    }
    for (int g = 0; g < G; ++g) {
      float* out = a_.out + ((first + g) * a_.heads + head) * size;
      for (int v = 0; v < V; ++v) {
        const int64_t at = d + v * kLanes;
        store_first(out + at, mul(sums[g][v], spread(inverse[g])), size - at);
      }
    }
  }

  // The values of sixteen keys, which all queries see.
  template <int G, int V>
  static void add_block(const uint8_t* rows, int64_t row_bytes, int64_t d, int64_t size,
                        const float* weights, Floats (&sums)[G][V]) {
    // Of their own, so that the compiler keeps them in registers.
    Floats own[G][V];
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) XGENMM_UNROLL
    for (int v = 0; v < V; ++v) own[g][v] = sums[g][v];
    for (int lane = 0; lane < kLanes; ++lane) {
      Floats values[V];
      load_values<V>(rows + lane * row_bytes, d, size, values);
      XGENMM_UNROLL
      for (int g = 0; g < G; ++g) add_values<V>(values, weights[g * kLanes + lane], own[g]);
    }
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) XGENMM_UNROLL
    for (int v = 0; v < V; ++v) sums[g][v] = own[g][v];
  }

  // Of one key, from value `d` on.
  template <int V>
  static void load_values(const uint8_t* row, int64_t d, int64_t size, Floats (&values)[V]) {
    XGENMM_UNROLL
    for (int v = 0; v < V; ++v) values[v] = load_value<T>(row, d + v * kLanes, size);
  }
  template <int V>
  static void add_values(const Floats (&values)[V], float weight, Floats (&sums)[V]) {
    XGENMM_UNROLL
    for (int v = 0; v < V; ++v) sums[v] = fma(values[v], spread(weight), sums[v]);
  }

  const CachedAttention& a_;
  float* scores_;
  Seen* seen_;
  int64_t count_ = 0;
  const float* queries_[kQueriesAtOnce] = {};
};

template <ggml_type T>
void attend_cached_in_type(const CachedAttention& a, int64_t first, int64_t last,
                           uint8_t* scratch) {
  CachedHead<T> some(a, scratch);
  const int64_t sharing = a.heads / a.cache.heads;
  for (int64_t kv_head = first; kv_head < last; ++kv_head) {
    each_query_group(a.count, [&](int64_t query, auto count) {
      // What all queries see together is the same for the next head.
      if (kv_head == first || count.value < a.count) some.look(query, count.value);
      for (int64_t head = kv_head * sharing; head < (kv_head + 1) * sharing; ++head)
        some.template attend<decltype(count)::value>(query, head, kv_head);
    });
  }
}

void attend_cached_in_lanes(const CachedAttention& a, int64_t first, int64_t last,
                            uint8_t* scratch) {
  if (a.cache.type == GGML_TYPE_F32) {
    attend_cached_in_type<GGML_TYPE_F32>(a, first, last, scratch);
  } else if (a.cache.type == GGML_TYPE_F16) {
    attend_cached_in_type<GGML_TYPE_F16>(a, first, last, scratch);
  } else {
    attend_cached_in_type<GGML_TYPE_Q8_0>(a, first, last, scratch);
  }
}

}  // namespace
}  // namespace xgenmm
