#pragma once

// Super-blocks of the K-quants, N at once, one in each lane.

#include "quant/scale_search.h"
#include "quant/tile.h"

namespace xgenmm {
namespace {

// The 6-bit scales and mins of a block of Q4_K or Q5_K as its 12 bytes; bits above the sixth land
// where ggml's do.
template <int N>
void pack_scales(const Ints<N>* scales, const Ints<N>* mins, Ints<N>* words) {
  words[0] = word_of<N>([&](int j) { return (scales[j] | scales[j + 4] >> 4 << 6) & 255; });
  words[1] = word_of<N>([&](int j) { return (mins[j] | mins[j + 4] >> 4 << 6) & 255; });
  words[2] = word_of<N>([&](int j) { return (scales[j + 4] & 15) | (mins[j + 4] & 15) << 4; });
}

// Scale j (of 8) read back from the words of pack_scales(), or with min min j.
template <int N>
Ints<N> packed_scale(const Ints<N>* words, int j, bool min) {
  const int shift = 8 * (j % 4);
  const Ints<N> byte = words[min ? 1 : 0] >> shift;
  if (j < 4) return byte & 63;
  return (words[2] >> (shift + (min ? 4 : 0)) & 15) | (byte >> 6 & 3) << 4;
}

// Q4_K and Q5_K: d, dmin, 8 scales and mins, for Q5_K the high bits, the low four bits.
template <int kBits>
struct AffineBlock {
  static constexpr int kValues = kSuperBlock;
  static constexpr int kHighest = (1 << kBits) - 1;
  static constexpr int kHighWords = kBits == 5 ? 8 : 0;
  static constexpr int kWords = 4 + kHighWords + 32;
  static constexpr int kBytes = 4 * kWords;
  static constexpr int kLength = 32;
  static constexpr int kSubBlocks = kSuperBlock / kLength;
  static constexpr bool kNeedsRow = false;
  static constexpr int kHighestScale = 63;

  template <int N>
  struct Found {
    Affine<N> sub_blocks[kSubBlocks];
    // What the 6-bit scales and mins are to be multiplied with.
    Floats<N> d, dmin;
    Ints<N> scales[kSubBlocks], mins[kSubBlocks];
  };

  template <int N>
  static void find_plain(const Tile<N>& tile, Found<N>& found) {
    constexpr AffineSteps kSteps = kBits == 4 ? AffineSteps{kHighest, -1.0f, 0.1f, 20}
                                              : AffineSteps{kHighest, -0.5f, 0.1f, 15};
    const Floats<N> zero = {};
    Floats<N> max_scale = zero, max_min = zero;
    for (int j = 0; j < kSubBlocks; ++j) {
      const Floats<N>* x = tile.x + kLength * j;
      Floats<N> sum = zero, weights[kLength];
      for (int i = 0; i < kLength; ++i) sum += x[i] * x[i];
      const Floats<N> average = square_root<N>(sum / static_cast<float>(kLength));
      for (int i = 0; i < kLength; ++i) weights[i] = average + magnitude<N>(x[i]);
      const Affine<N> best = search_affine<N, kLength>(x, weights, kSteps);
      const Floats<N> min = -best.min;
      max_scale = best.scale > max_scale ? best.scale : max_scale;
      max_min = min > max_min ? min : max_min;
      found.sub_blocks[j] = best;
    }
    constexpr float kTop = static_cast<float>(kHighestScale);
    const Floats<N> inverse_scale = max_scale > zero ? kTop / max_scale : zero;
    const Floats<N> inverse_min = max_min > zero ? kTop / max_min : zero;
    const auto level_of = [](const Floats<N>& v) {
      return clamp<N>(nearest<N>(v) & 255, 0, kHighestScale);
    };
    for (int j = 0; j < kSubBlocks; ++j) {
      found.scales[j] = level_of(inverse_scale * found.sub_blocks[j].scale);
      found.mins[j] = level_of(inverse_min * -found.sub_blocks[j].min);
    }
    found.d = max_scale / kTop;
    found.dmin = max_min / kTop;
  }

  template <int N>
  static void find_weighted(const Tile<N>& tile, Found<N>& found) {
    constexpr AffineSteps kSteps = {kHighest, -0.9f, 0.05f, 36};
    const Floats<N> zero = {};
    Floats<N> sum = zero;
    for (int i = 0; i < kSuperBlock; ++i) sum += tile.x[i] * tile.x[i];
    const Floats<N> variance = 2.0f * sum / static_cast<float>(kSuperBlock);
    Floats<N> scales[kSubBlocks], mins[kSubBlocks], sums[kSubBlocks];
    for (int j = 0; j < kSubBlocks; ++j) {
      const Floats<N>* x = tile.x + kLength * j;
      Floats<N> weights[kLength];
      sums[j] = zero;
      for (int i = 0; i < kLength; ++i) {
        weights[i] = tile.importance[kLength * j + i] * square_root<N>(variance + x[i] * x[i]);
        sums[j] += weights[i];
      }
      found.sub_blocks[j] = search_affine<N, kLength>(x, weights, kSteps);
      scales[j] = found.sub_blocks[j].scale;
      mins[j] = -found.sub_blocks[j].min;
    }
    found.d = search_scales<N, kSubBlocks, kHighestScale>(scales, sums, found.scales);
    found.dmin = search_scales<N, kSubBlocks, kHighestScale>(mins, sums, found.mins);
    if (kBits == 4) return;  // ggml limits them for Q5_K only
    for (int j = 0; j < kSubBlocks; ++j) {
      found.scales[j] = clamp<N>(found.scales[j], 0, kHighestScale);
      found.mins[j] = clamp<N>(found.mins[j], 0, kHighestScale);
    }
  }

  template <int N>
  static void quantize(const Tile<N>& tile, bool weighted, Ints<N>* words) {
    Found<N> found;
    weighted ? find_weighted<N>(tile, found) : find_plain<N>(tile, found);
    const Ints<N> d_bits = to_half<N>(found.d), dmin_bits = to_half<N>(found.dmin);
    words[0] = d_bits | dmin_bits << 16;
    pack_scales<N>(found.scales, found.mins, words + 1);

    const Floats<N> d = from_half<N>(d_bits), dmin = from_half<N>(dmin_bits);
    Ints<N> levels[kSuperBlock];
    for (int j = 0; j < kSubBlocks; ++j) {
      const Floats<N> scale = d * to_floats<N>(packed_scale<N>(words + 1, j, false));
      const Floats<N> min = dmin * to_floats<N>(packed_scale<N>(words + 1, j, true));
      const Affine<N>& searched = found.sub_blocks[j];
      for (int i = kLength * j; i < kLength * (j + 1); ++i) {
        const Floats<N> x = tile.x[i];
        const Floats<N> v = scale != Floats<N>{} ? (x + min) / scale
                                                 : searched.level_scale * (x - searched.level_min);
        levels[i] = clamp<N>(nearest<N>(v), 0, kHighest);
      }
    }
    // Each 64 values are 32 bytes, the first half in the low bits.
    for (int k = 0; k < 32; ++k) {
      const Ints<N>* low = levels + k / 8 * 64 + k % 8 * 4;
      words[4 + kHighWords + k] =
          word_of<N>([&](int i) { return (low[i] & 15) | (low[i + 32] & 15) << 4; });
    }
    for (int k = 0; k < kHighWords; ++k) {
      words[4 + k] = word_of<N>([&](int i) {
        Ints<N> bits = {};
        for (int run = 0; run < kSubBlocks; ++run) bits |= levels[32 * run + 4 * k + i] >> 4 << run;
        return bits;
      });
    }
  }
};

// Q6_K: the low four bits, the high two, 16 scales, d.
struct SymmetricBlock {
  static constexpr int kValues = kSuperBlock;
  static constexpr int kHighest = 32;
  static constexpr int kBytes = 210;
  static constexpr int kWords = 53;  // half of the last one does not count
  static constexpr int kLength = 16;
  static constexpr int kSubBlocks = kSuperBlock / kLength;
  static constexpr bool kNeedsRow = false;

  template <int N>
  static void quantize(const Tile<N>& tile, bool weighted, Ints<N>* words) {
    const Floats<N> zero = {};
    Symmetric<N> found[kSubBlocks];
    Floats<N> max_scale = zero, largest = zero;
    for (int j = 0; j < kSubBlocks; ++j) {
      const Floats<N>* x = tile.x + kLength * j;
      Floats<N> weights[kLength];
      for (int i = 0; i < kLength; ++i) {
        weights[i] = weighted ? tile.importance[kLength * j + i] : x[i] * x[i];
      }
      found[j] = search_symmetric<N, kLength, kHighest>(x, weights);
      const Floats<N> size = magnitude<N>(found[j].scale);
      max_scale = size > largest ? found[j].scale : max_scale;
      largest = size > largest ? size : largest;
    }
    const Ints<N> empty = largest < kEmptyBelow;

    const Floats<N> inverse = -128.0f / max_scale;
    const Ints<N> d_bits = to_half<N>(1.0f / inverse);
    const Floats<N> d = from_half<N>(d_bits);
    Ints<N> levels[kSuperBlock], scales[kSubBlocks];
    for (int j = 0; j < kSubBlocks; ++j) {
      const Ints<N> level = nearest<N>(inverse * found[j].scale);
      scales[j] = (level < 127 ? level : Ints<N>{} + 127) & 255;
      // A byte with a sign.
      const Floats<N> scale = d * to_floats<N>((scales[j] ^ 128) - 128);
      for (int i = kLength * j; i < kLength * (j + 1); ++i) {
        const Floats<N> v = scale != zero ? tile.x[i] / scale : found[j].level_scale * tile.x[i];
        const Ints<N> l = clamp<N>(nearest<N>(v), -kHighest, kHighest - 1) + kHighest;
        levels[i] = ((scale == zero) & found[j].empty) ? Ints<N>{} : l;
      }
    }
    // Each 128 values, in four runs of 32, are 64 bytes of low bits and 32 of high ones.
    for (int k = 0; k < 32; ++k) {
      const Ints<N>* low = levels + k / 16 * 128 + k % 16 * 4;
      words[k] = word_of<N>([&](int i) { return (low[i] & 15) | (low[i + 64] & 15) << 4; });
    }
    for (int k = 0; k < 16; ++k) {
      const Ints<N>* first = levels + k / 8 * 128 + k % 8 * 4;
      words[32 + k] = word_of<N>([&](int i) {
        return first[i] >> 4 | first[i + 32] >> 4 << 2 | first[i + 64] >> 4 << 4 |
               first[i + 96] >> 4 << 6;
      });
    }
    for (int k = 0; k < 4; ++k) {
      words[48 + k] = word_of<N>([&](int i) { return scales[4 * k + i]; });
    }
    words[52] = d_bits;
    for (int k = 0; k < kWords; ++k) words[k] = empty ? Ints<N>{} : words[k];
  }
};

}  // namespace
}  // namespace xgenmm
