// Compiled for AVX-512 with VNNI; packed_product.cpp asks the processor first.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "kernels/packed_product_vnni.h"
#include "kernels/tile_loop_avx512.h"

namespace xgenmm {
namespace {

__m512i load(const uint8_t* data) {
  return _mm512_loadu_si512(data);
}
__m512 load_f16(const uint8_t* data) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(data)));
}
__m128i load_16(const uint8_t* data) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(data));
}

// The sums of N columns: whole numbers within a block, floats over all blocks.
template <int N>
struct Sums {
  __m512i whole[N];
  __m512 total[N];

  Sums() {
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) total[c] = _mm512_setzero_ps();
  }
  void start() {
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) whole[c] = _mm512_setzero_si512();
  }
  void start(const int32_t* at) {
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) whole[c] = _mm512_set1_epi32(at[c]);
  }
  // weights: four values of each row; values: of each column the four that they meet.
  void add(__m512i weights, const int32_t* values) {
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c)
      whole[c] = _mm512_dpbusd_epi32(whole[c], weights, _mm512_set1_epi32(values[c]));
  }
  void finish(__m512 row_scales, const float* column_scales) {
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) {
      const __m512 scale = _mm512_mul_ps(row_scales, _mm512_set1_ps(column_scales[c]));
      total[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(whole[c]), scale, total[c]);
    }
  }
  void subtract(__m512 row_minima, const float* column_sums) {
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c)
      total[c] = _mm512_fnmadd_ps(row_minima, _mm512_set1_ps(column_sums[c]), total[c]);
  }
};

// A panel of N columns, block by block.
template <int N>
struct Panel {
  const int32_t* values;
  const float* scales;
  const uint8_t* corrections;

  Panel(const PanelShape& shape, const uint8_t* data)
      : values(reinterpret_cast<const int32_t*>(data)),
        scales(reinterpret_cast<const float*>(data + shape.scales_at(N))),
        corrections(data + shape.corrections_at(N)) {}
  const int32_t* group(int index) const { return values + index * N; }
  const int32_t* whole_corrections(int index) const {
    return reinterpret_cast<const int32_t*>(corrections) + index * N;
  }
  const float* float_corrections() const { return reinterpret_cast<const float*>(corrections); }
  void advance(int corrections_per_block) {
    values += 8 * N;
    scales += N;
    corrections += static_cast<size_t>(4 * N * corrections_per_block);
  }
};

template <int N>
void multiply_q8(const uint8_t* scales, const uint8_t* values, int64_t blocks, Panel<N> panel,
                 Sums<N>& sums) {
  for (int64_t b = 0; b < blocks; ++b, scales += 32, values += 512) {
    sums.start(panel.whole_corrections(0));
    XGENMM_UNROLL
    for (int g = 0; g < 8; ++g) sums.add(load(values + g * 64), panel.group(g));
    sums.finish(load_f16(scales), panel.scales);
    panel.advance(1);
  }
}

template <int N>
void multiply_q4(const uint8_t* scales, const uint8_t* values, int64_t blocks, Panel<N> panel,
                 Sums<N>& sums) {
  const __m512i low = _mm512_set1_epi8(15);
  for (int64_t b = 0; b < blocks; b += 8, scales += 320) {
    const __m512 d = load_f16(scales);
    const __m512 d_min = load_f16(scales + 32);
    for (int j = 0; j < 8; ++j, values += 256) {
      sums.start();
      XGENMM_UNROLL
      for (int g = 0; g < 4; ++g) {
        const __m512i both = load(values + g * 64);
        sums.add(_mm512_and_si512(both, low), panel.group(g));
        sums.add(_mm512_and_si512(_mm512_srli_epi16(both, 4), low), panel.group(g + 4));
      }
      const __m512 scale = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_16(scales + 64 + j * 16)));
      const __m512 minimum =
          _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load_16(scales + 192 + j * 16)));
      sums.finish(_mm512_mul_ps(d, scale), panel.scales);
      sums.subtract(_mm512_mul_ps(d_min, minimum), panel.float_corrections());
      panel.advance(1);
    }
  }
}

template <int N>
void multiply_q6(const uint8_t* scales, const uint8_t* values, int64_t blocks, Panel<N> panel,
                 Sums<N>& sums) {
  const __m512i low = _mm512_set1_epi8(15);
  const __m512i high = _mm512_set1_epi8(48);
  // a | (b & c)
  constexpr int kMerge = 0xF8;
  for (int64_t b = 0; b < blocks; b += 8, scales += 288) {
    const __m512 d = load_f16(scales);
    for (int j = 0; j < 8; ++j, values += 384) {
      XGENMM_UNROLL
      for (int half = 0; half < 2; ++half) {
        sums.start(panel.whole_corrections(half));
        const __m512i bits = load(values + 256 + half * 64);
        XGENMM_UNROLL
        for (int g = 0; g < 4; ++g) {
          __m512i four = load(values + g * 64);
          if (half == 1) four = _mm512_srli_epi16(four, 4);
          const __m512i two =
              g < 2 ? _mm512_slli_epi16(bits, 4 - 2 * g) : _mm512_srli_epi16(bits, 2 * g - 4);
          sums.add(_mm512_ternarylogic_epi32(_mm512_and_si512(four, low), two, high, kMerge),
                   panel.group(half * 4 + g));
        }
        const __m512 scale =
            _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16(scales + 32 + (2 * j + half) * 16)));
        sums.finish(_mm512_mul_ps(d, scale), panel.scales);
      }
      panel.advance(2);
    }
  }
}

struct WholeSums {
  template <int N>
  static void add_up(const PackedWeights& weights, const PanelShape& shape,
                     const uint8_t* panel_data, int64_t tile, __m512 (&sums)[N]) {
    const TileShape tile_shape(weights.type(), weights.width());
    const uint8_t* scales = weights.tile(tile);
    const uint8_t* values = scales + tile_shape.scale_bytes;
    const Panel<N> panel(shape, panel_data);
    Sums<N> all;
    switch (weights.type()) {
      case GGML_TYPE_Q8_0:
        multiply_q8<N>(scales, values, shape.blocks(), panel, all);
        break;
      case GGML_TYPE_Q4_K:
        multiply_q4<N>(scales, values, shape.blocks(), panel, all);
        break;
      default:
        multiply_q6<N>(scales, values, shape.blocks(), panel, all);
    }
    XGENMM_UNROLL
    for (int c = 0; c < N; ++c) sums[c] = all.total[c];
  }
};

// Quantises one block of a column that is column `place` of a panel of n.
template <typename Correct>
void pack_block(const float* x, int n, int8_t* values, float* scale, Correct&& correct) {
  const __m512 a = _mm512_loadu_ps(x);
  const __m512 b = _mm512_loadu_ps(x + 16);
  const float largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
  // Zero times anything that is not finite is not a number, which maxima may lose.
  const __m512 zero = _mm512_setzero_ps();
  const float poison = _mm512_reduce_add_ps(_mm512_fmadd_ps(a, zero, _mm512_mul_ps(b, zero)));
  *scale = largest / 127.0f + poison;
  const __m512 inverse = _mm512_set1_ps(largest > 0.0f ? 127.0f / largest : 0.0f);
  const __m512i whole_a = _mm512_cvtps_epi32(_mm512_mul_ps(a, inverse));
  const __m512i whole_b = _mm512_cvtps_epi32(_mm512_mul_ps(b, inverse));
  alignas(32) int8_t bytes[kBlock];
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes), _mm512_cvtsepi32_epi8(whole_a));
  _mm_store_si128(reinterpret_cast<__m128i*>(bytes + 16), _mm512_cvtsepi32_epi8(whole_b));
  for (int g = 0; g < 8; ++g) std::memcpy(values + g * 4 * n, bytes + g * 4, 4);
  // The bytes may have been cut, so the sums are theirs.
  const auto sum = [&](const int8_t* half) {
    return _mm512_reduce_add_epi32(
        _mm512_cvtepi8_epi32(_mm_load_si128(reinterpret_cast<const __m128i*>(half))));
  };
  correct(sum(bytes), sum(bytes + 16), *scale);
}

}  // namespace

void pack_columns_vnni(const PanelShape& shape, const float* x, int64_t stride, int64_t columns,
                       int64_t first, int64_t last, uint8_t* panels) {
  for (int64_t start = first; start < last;) {
    const int n = panel_width(columns - start);
    uint8_t* panel = panels + static_cast<size_t>(start) * shape.bytes_per_column();
    float* scales = reinterpret_cast<float*>(panel + shape.scales_at(n));
    uint8_t* corrections = panel + shape.corrections_at(n);
    for (int c = 0; c < n; ++c) {
      const float* column = x + (start + c) * stride;
      for (int64_t b = 0; b < shape.blocks(); ++b) {
        int8_t* values = reinterpret_cast<int8_t*>(panel) + (b * 8 * n + c) * 4;
        int32_t* whole =
            reinterpret_cast<int32_t*>(corrections) + b * shape.corrections_per_block * n + c;
        float* fraction = reinterpret_cast<float*>(whole);
        alignas(64) float rest[kBlock] = {};
        const float* block = column + b * kBlock;
        const int64_t left = shape.width - b * kBlock;
        if (left < kBlock) {
          std::copy_n(block, left, rest);
          block = rest;
        }
        pack_block(block, n, values, scales + b * n + c,
                   [&](int32_t front, int32_t back, float scale) {
                     if (shape.weights == GGML_TYPE_Q8_0) {
                       *whole = -128 * (front + back);
                     } else if (shape.weights == GGML_TYPE_Q4_K) {
                       *fraction = scale * static_cast<float>(front + back);
                     } else {
                       whole[0] = -32 * front;
                       whole[n] = -32 * back;
                     }
                   });
      }
    }
    start += n;
  }
}

void packed_product_vnni(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                         const Epilogue& epilogue, int64_t first_tile, int64_t last_tile,
                         float* out) {
  TileLoop<WholeSums>::run(weights, panels, columns, epilogue, first_tile, last_tile, out);
}

}  // namespace xgenmm
