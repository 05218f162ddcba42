// Compiled for AVX-512; attention.cpp asks the processor first.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/attention_avx512.h"
#include "kernels/exp2_avx512.h"
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

constexpr int kLanes = 16;
// What Head::flags() says of a block.
constexpr uint8_t kMissing = 0, kLoaded = 1, kOdd = 2;

// Queries that meet the same keys while these are in registers.
constexpr int kGroup = 8;

int64_t round_up(int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

// 2^x for x <= 0, exactly 0 below -126.
__m512 exp2_or_zero(__m512 x) {
  const __mmask16 normal = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_GT_OQ);
  return _mm512_maskz_mov_ps(normal, exp2_avx512(_mm512_maskz_mov_ps(normal, x)));
}

// rows[i][j] -> rows[j][i]
void transpose(__m512 rows[kLanes]) {
  __m512 t[kLanes];
  for (int i = 0; i < kLanes; i += 2) {
    t[i] = _mm512_unpacklo_ps(rows[i], rows[i + 1]);
    t[i + 1] = _mm512_unpackhi_ps(rows[i], rows[i + 1]);
  }
  __m512 u[kLanes];
  for (int i = 0; i < kLanes; i += 4) {
    const auto pair = [&](int a, int b, bool high) {
      const __m512d x = _mm512_castps_pd(t[i + a]);
      const __m512d y = _mm512_castps_pd(t[i + b]);
      return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(x, y) : _mm512_unpacklo_pd(x, y));
    };
    u[i] = pair(0, 2, false);
    u[i + 1] = pair(0, 2, true);
    u[i + 2] = pair(1, 3, false);
    u[i + 3] = pair(1, 3, true);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512 a = _mm512_shuffle_f32x4(u[i], u[i + 4], 0x88);
    const __m512 b = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0x88);
    const __m512 c = _mm512_shuffle_f32x4(u[i], u[i + 4], 0xDD);
    const __m512 d = _mm512_shuffle_f32x4(u[i + 8], u[i + 12], 0xDD);
    rows[i] = _mm512_shuffle_f32x4(a, b, 0x88);
    rows[i + 4] = _mm512_shuffle_f32x4(c, d, 0x88);
    rows[i + 8] = _mm512_shuffle_f32x4(a, b, 0xDD);
    rows[i + 12] = _mm512_shuffle_f32x4(c, d, 0xDD);
  }
}

// Sixteen values of a row from `at` on, zeros after its end.
__m512 load_values(ggml_type type, const uint8_t* row, int64_t at, int64_t length) {
  const int64_t left = length - at;
  const __mmask16 there = left >= kLanes ? 0xFFFF : static_cast<__mmask16>((1u << left) - 1);
  if (type == GGML_TYPE_F32) return _mm512_maskz_loadu_ps(there, row + at * 4);
  if (type == GGML_TYPE_F16) return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(there, row + at * 2));
  // Q8_0: blocks of an f16 scale and 32 values.
  const uint8_t* block = row + at / 32 * 34;
  const __m128i values = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 2 + at % 32));
  int16_t scale;
  std::memcpy(&scale, block, sizeof scale);
  return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(values)),
                       _mm512_cvtph_ps(_mm256_set1_epi16(scale)));
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
  uint8_t* flags() const { return reinterpret_cast<uint8_t*>(scores_ + kGroup * blocks_ * kLanes); }

  // Marks the block in flags(): kOdd if one of its values is no finite number.
  void load(int64_t block, int64_t kv_head, int64_t batch) {
    __mmask16 odd = 0;
    const int64_t first = block * kLanes;
    const int64_t count = std::min<int64_t>(kLanes, a_.key_count - first);
    for (int64_t d = 0; d < padded_size_; d += kLanes) {
      __m512 rows[kLanes];
      for (int i = 0; i < kLanes; ++i) {
        const int64_t key = first + std::min<int64_t>(i, count - 1);
        rows[i] = load_values(a_.keys.type, a_.keys.row(key, kv_head, batch), d, a_.head_size);
        const __m512 values =
            load_values(a_.values.type, a_.values.row(key, kv_head, batch), d, a_.head_size);
        _mm512_storeu_ps(values_ + (first + i) * padded_size_ + d, values);
        const __m512 zero = _mm512_setzero_ps();
        odd |= _mm512_cmp_ps_mask(_mm512_mul_ps(values, zero), zero, _CMP_NEQ_UQ);
      }
      transpose(rows);
      for (int i = 0; i < kLanes; ++i)
        _mm512_storeu_ps(keys_ + (block * padded_size_ + d + i) * kLanes, rows[i]);
    }
    flags()[block] = odd != 0 ? kOdd : kLoaded;
  }

  // Marks the blocks of which one of the queries sees something.
  void mark_seen(int64_t first, int64_t count, int64_t batch, uint8_t* seen) const {
    std::fill_n(seen, blocks_, static_cast<uint8_t>(a_.mask == nullptr));
    if (a_.mask == nullptr) return;
    const __m256i minus_infinity = _mm256_set1_epi16(static_cast<int16_t>(0xFC00));
    for (int64_t query = first; query < first + count; ++query) {
      const ggml_fp16_t* mask = mask_row(query, batch);
      for (int64_t block = 0; block < blocks_; ++block) {
        const int64_t left = a_.key_count - block * kLanes;
        const __mmask16 there = left >= kLanes ? 0xFFFF : static_cast<__mmask16>((1u << left) - 1);
        const __m256i values = _mm256_maskz_loadu_epi16(there, mask + block * kLanes);
        seen[block] |= _mm256_mask_cmpneq_epi16_mask(there, values, minus_infinity) != 0;
      }
    }
  }

  // G queries from `first` on, which see some of the blocks in `seen`.
  template <int G>
  void attend(int64_t first, int64_t head, int64_t batch, const uint8_t* seen) {
    __m512 largest[G];
    for (int g = 0; g < G; ++g) largest[g] = _mm512_set1_ps(-INFINITY);
    for (int64_t block = 0; block < blocks_; ++block) {
      if (seen[block]) score<G>(block, first, head, batch, largest);
    }
    float inverse[G];
    for (int g = 0; g < G; ++g) inverse[g] = weigh(g, _mm512_reduce_max_ps(largest[g]), seen);
    for (int64_t d = 0; d < padded_size_; d += 3 * kLanes) {
      const int64_t left = (padded_size_ - d) / kLanes;
      if (left >= 3) {
        mix<G, 3>(d, first, head, batch, inverse, seen);
      } else if (left == 2) {
        mix<G, 2>(d, first, head, batch, inverse, seen);
      } else {
        mix<G, 1>(d, first, head, batch, inverse, seen);
      }
    }
  }

 private:
  float* scores(int query) const { return scores_ + query * blocks_ * kLanes; }

  template <int G>
  void score(int64_t block, int64_t first, int64_t head, int64_t batch, __m512 largest[G]) {
    const float* queries[G];
    __m512 sums[G];
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) {
      queries[g] = reinterpret_cast<const float*>(a_.queries.row(first + g, head, batch));
      sums[g] = _mm512_setzero_ps();
    }
    const float* keys = keys_ + block * padded_size_ * kLanes;
    for (int64_t d = 0; d < a_.head_size; ++d) {
      const __m512 key = _mm512_loadu_ps(keys + d * kLanes);
      XGENMM_UNROLL
      for (int g = 0; g < G; ++g)
        sums[g] = _mm512_fmadd_ps(key, _mm512_set1_ps(queries[g][d]), sums[g]);
    }
    const int64_t left = a_.key_count - block * kLanes;
    const __mmask16 there = left >= kLanes ? 0xFFFF : static_cast<__mmask16>((1u << left) - 1);
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) {
      __m512 s = _mm512_mul_ps(sums[g], _mm512_set1_ps(a_.scale));
      if (a_.mask != nullptr) {
        const ggml_fp16_t* mask = mask_row(first + g, batch) + block * kLanes;
        s = _mm512_add_ps(s, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(there, mask)));
      }
      s = _mm512_mask_mov_ps(_mm512_set1_ps(-INFINITY), there, s);
      _mm512_storeu_ps(scores(g) + block * kLanes, s);
      largest[g] = _mm512_max_ps(s, largest[g]);
    }
  }

  // Scores -> exp(score - largest); -> 1 / their sum.
  float weigh(int query, float largest, const uint8_t* seen) {
    constexpr float kLog2E = 1.44269504f;
    __m512 sum = _mm512_setzero_ps();
    for (int64_t block = 0; block < blocks_; ++block) {
      if (!seen[block]) continue;
      float* at = scores(query) + block * kLanes;
      const __m512 below = _mm512_sub_ps(_mm512_loadu_ps(at), _mm512_set1_ps(largest));
      const __m512 weight = exp2_or_zero(_mm512_mul_ps(below, _mm512_set1_ps(kLog2E)));
      _mm512_storeu_ps(at, weight);
      sum = _mm512_add_ps(sum, weight);
    }
    return 1.0f / _mm512_reduce_add_ps(sum);
  }

  // G queries, V vectors of each from value `d` on.
  template <int G, int V>
  void mix(int64_t d, int64_t first, int64_t head, int64_t batch, const float* inverse,
           const uint8_t* seen) {
    __m512 sums[G][V];
    XGENMM_UNROLL
    for (int g = 0; g < G; ++g) XGENMM_UNROLL
    for (int v = 0; v < V; ++v) sums[g][v] = _mm512_setzero_ps();
    const int64_t score_stride = blocks_ * kLanes;
    for (int64_t block = 0; block < blocks_; ++block) {
      if (!seen[block]) continue;
      const int64_t last = std::min((block + 1) * kLanes, a_.key_count);
      const bool odd = flags()[block] == kOdd;
      for (int64_t key = block * kLanes; key < last; ++key) {
        __m512 values[V];
        XGENMM_UNROLL
        for (int v = 0; v < V; ++v)
          values[v] = _mm512_loadu_ps(values_ + key * padded_size_ + d + v * kLanes);
        XGENMM_UNROLL
        for (int g = 0; g < G; ++g) {
          // Zero times what is not finite is not a number.
          if (odd && is_hidden(first + g, key, batch)) continue;
          const __m512 weight = _mm512_set1_ps(scores_[g * score_stride + key]);
          XGENMM_UNROLL
          for (int v = 0; v < V; ++v) sums[g][v] = _mm512_fmadd_ps(values[v], weight, sums[g][v]);
        }
      }
    }
    for (int g = 0; g < G; ++g) {
      float* out = a_.out + ((batch * a_.query_count + first + g) * a_.heads + head) * a_.head_size;
      for (int v = 0; v < V; ++v) {
        const int64_t left = a_.head_size - d - v * kLanes;
        const __mmask16 there = left >= kLanes ? 0xFFFF : static_cast<__mmask16>((1u << left) - 1);
        _mm512_mask_storeu_ps(out + d + v * kLanes, there,
                              _mm512_mul_ps(sums[g][v], _mm512_set1_ps(inverse[g])));
      }
    }
  }

  bool is_hidden(int64_t query, int64_t key, int64_t batch) const {
    constexpr ggml_fp16_t kMinusInfinity = 0xFC00;
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

}  // namespace

void attend_avx512(const Attention& a, int64_t first, int64_t last, float* scratch) {
  Head head(a, scratch);
  uint8_t* loaded = head.flags();
  uint8_t* seen = loaded + head.blocks();
  const int64_t sharing = a.heads / a.kv_heads;
  for (int64_t unit = first; unit < last; ++unit) {
    const int64_t kv_head = unit % a.kv_heads;
    const int64_t batch = unit / a.kv_heads;
    std::fill_n(loaded, head.blocks(), kMissing);
    for (int64_t query = 0; query < a.query_count;) {
      const int64_t left = a.query_count - query;
      const int64_t count = left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1;
      head.mark_seen(query, count, batch, seen);
      for (int64_t block = 0; block < head.blocks(); ++block) {
        if (seen[block] && loaded[block] == kMissing) head.load(block, kv_head, batch);
      }
      for (int64_t h = kv_head * sharing; h < (kv_head + 1) * sharing; ++h) {
        if (count == 8) {
          head.attend<8>(query, h, batch, seen);
        } else if (count == 4) {
          head.attend<4>(query, h, batch, seen);
        } else if (count == 2) {
          head.attend<2>(query, h, batch, seen);
        } else {
          head.attend<1>(query, h, batch, seen);
        }
      }
      query += count;
    }
  }
}

}  // namespace xgenmm
