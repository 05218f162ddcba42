#pragma once

// Blocks of 32 values with a scale of their own, N at once, one in each lane: d, then 16 bytes,
// value i in the low and value i + 16 in the high bits of byte i.

#include "quant/scale_search.h"
#include "quant/tile.h"

namespace xgenmm {
namespace {

template <int N>
void pack_small_block(const Ints<N>& d, const Ints<N>* levels, Ints<N>* words) {
  const auto byte = [&](int i) {
    if (i < 2) return d >> 8 * i & 255;
    return i < 18 ? levels[i - 2] | levels[i + 14] << 4 : Ints<N>{};
  };
  for (int k = 0; k < 5; ++k) words[k] = word_of<N>([&](int i) { return byte(4 * k + i); });
}

// Q4_0 with importance; without, ggml searches for nothing.
struct WeightedQ4Block {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 18;
  static constexpr int kWords = 5;
  static constexpr bool kNeedsRow = true;
  static constexpr int kHighest = 8;

  template <int N>
  static void quantize(const Tile<N>& tile, bool, Ints<N>* words) {
    Floats<N> weights[kValues];
    for (int i = 0; i < kValues; ++i) {
      const Floats<N> x = tile.x[i];
      weights[i] = tile.importance[i] * square_root<N>(tile.row_mean_square + x * x);
    }
    const Symmetric<N> found = search_symmetric<N, kValues, kHighest>(tile.x, weights);
    Ints<N> levels[kValues];
    for (int i = 0; i < kValues; ++i) {
      const Ints<N> l =
          clamp<N>(nearest<N>(found.level_scale * tile.x[i]), -kHighest, kHighest - 1);
      levels[i] = found.empty ? Ints<N>{} : l + kHighest;
    }
    pack_small_block<N>(to_half<N>(found.scale), levels, words);
  }
};

// What the levels of IQ4_NL stand for.
constexpr float kCurve[] = {-127, -104, -83, -65, -49, -35, -22, -10,
                            1,    13,   25,  38,  53,  69,  89,  113};

// The level nearest to `v`, the upper one where two are as near. Differences are exact where it
// matters, so that this is ggml's best_index_int8(), also in that what is no number gets the last
// level.
template <int N>
Ints<N> nearest_on_curve(const Floats<N>& v) {
  Ints<N> level = {};
  for (int k = 1; k < 16; ++k) {
    // A comparison that holds is -1.
    level -= ~(v < 0.5f * (kCurve[k - 1] + kCurve[k]));
  }
  return level;
}

// kCurve at that level.
template <int N>
Floats<N> nearest_value_on_curve(const Floats<N>& v) {
  Floats<N> value = Floats<N>{} + kCurve[0];
  for (int k = 1; k < 16; ++k) {
    const Floats<N> step = Floats<N>{} + (kCurve[k] - kCurve[k - 1]);
    value += v < 0.5f * (kCurve[k - 1] + kCurve[k]) ? Floats<N>{} : step;
  }
  return value;
}

// IQ4_NL
struct CurveBlock {
  static constexpr int kValues = 32;
  static constexpr int kBytes = 18;
  static constexpr int kWords = 5;
  static constexpr bool kNeedsRow = false;

  template <int N>
  static void quantize(const Tile<N>& tile, bool weighted, Ints<N>* words) {
    const Floats<N> zero = {};
    const Floats<N>* x = tile.x;
    Floats<N> sum = zero, max = zero, largest = zero, weights[kValues];
    for (int i = 0; i < kValues; ++i) {
      const Floats<N> size = magnitude<N>(x[i]);
      max = size > largest ? x[i] : max;
      largest = size > largest ? size : largest;
      sum += x[i] * x[i];
    }
    const Floats<N> variance = sum * (2.0f / kValues);
    for (int i = 0; i < kValues; ++i) {
      const Floats<N> square = x[i] * x[i];
      weights[i] = weighted ? tile.importance[i] * square_root<N>(variance + square) : square;
    }

    Floats<N> scale = zero, best = zero;
    for (int i = 0; i < 16; ++i) {
      const Floats<N> level_scale =
          i == 0 ? 1.0f / (-max / kCurve[0]) : (static_cast<float>(i - 8) + kCurve[0]) / max;
      Floats<N> sum_qx = zero, sum_qq = zero;
      for (int k = 0; k < kValues; ++k) {
        const Floats<N> q = nearest_value_on_curve<N>(level_scale * x[k]);
        const Floats<N> wq = weights[k] * q;
        sum_qx += wq * x[k];
        sum_qq += wq * q;
      }
      const Floats<N> quotient = sum_qx / sum_qq;
      if (i == 0) {
        scale = sum_qq > zero ? quotient : zero;
        best = scale * sum_qx;
        continue;
      }
      const Ints<N> better = (sum_qq > zero) & (sum_qx * sum_qx > best * sum_qq);
      scale = better ? quotient : scale;
      best = better ? quotient * sum_qx : best;
    }
    scale = largest < kEmptyBelow ? zero : scale;
    const Floats<N> inverse = scale != zero ? 1.0f / scale : zero;
    Ints<N> levels[kValues];
    for (int i = 0; i < kValues; ++i) levels[i] = nearest_on_curve<N>(inverse * x[i]);
    pack_small_block<N>(to_half<N>(scale), levels, words);
  }
};

}  // namespace
}  // namespace xgenmm
