#pragma once

// The searches for the scale of a block or sub-block, for N of them at once, one in each
// lane. A lane goes through the operations of ggml's make_qkx2_quants(), make_qkx3_quants(),
// make_qx_quants() or make_qp_quants() in their order, and none of them is fused with another, so
// every rounding is theirs.

#include "quant/lanes.h"

namespace xgenmm {
namespace {

// Values as scale * level + min, level in 0 .. highest.
template <int N>
struct Affine {
  Floats<N> scale, min;
  // The search's own levels: nearest(level_scale * (x - level_min)), clamped.
  Floats<N> level_scale, level_min;
};

struct AffineSteps {
  int highest;
  // Tried are the scales that would spread the values over highest + first + i * step levels, i in
  // 0 .. last.
  float first, step;
  int last;
};

// Sums over a sub-block at one scale: weights times levels, times levels squared, times levels and
// values.
template <int N>
struct LevelSums {
  Floats<N> l, ll, lx;
};

template <int N, int kLength, typename Level>
LevelSums<N> sum_levels(const Floats<N>* x, const Floats<N>* weights, Floats<N>* levels,
                        Level level) {
  LevelSums<N> sums = {};
  for (int i = 0; i < kLength; ++i) {
    const Floats<N> l = level(x[i]);
    levels[i] = l;
    const Floats<N> wl = weights[i] * l;
    sums.l += wl;
    sums.ll += wl * l;
    sums.lx += wl * x[i];
  }
  return sums;
}

template <int N, int kLength>
Floats<N> affine_error(const Floats<N>* x, const Floats<N>* weights, const Floats<N>* levels,
                       const Floats<N>& scale, const Floats<N>& min) {
  Floats<N> error = {};
  for (int i = 0; i < kLength; ++i) {
    const Floats<N> difference = scale * levels[i] + min - x[i];
    error += weights[i] * (difference * difference);
  }
  return error;
}

template <int N, int kLength>
Affine<N> search_affine(const Floats<N>* x, const Floats<N>* weights, const AffineSteps& steps) {
  const Floats<N> zero = {};
  Floats<N> least = x[0], max = x[0];
  Floats<N> sum_w = weights[0];
  Floats<N> sum_x = sum_w * x[0];
  for (int i = 1; i < kLength; ++i) {
    least = x[i] < least ? x[i] : least;
    max = x[i] > max ? x[i] : max;
    sum_w += weights[i];
    sum_x += weights[i] * x[i];
  }
  Floats<N> min = least > zero ? zero : least;
  const Ints<N> flat = max == min;

  Floats<N> levels[kLength];
  const float highest = static_cast<float>(steps.highest);
  const auto sums_at = [&](const Floats<N>& scale) {
    const Floats<N> lowest_v = scale * (least - min), highest_v = scale * (max - min);
    // What lies between two values that round well does so too; a lane that is flat does not count.
    const Ints<N> well =
        (magnitude<N>(lowest_v) <= kRoundLimit) & (magnitude<N>(highest_v) <= kRoundLimit);
    if (any<N>(~(well | flat))) {
      return sum_levels<N, kLength>(x, weights, levels, [&](const Floats<N>& value) {
        return to_floats<N>(clamp<N>(nearest<N>(scale * (value - min)), 0, steps.highest));
      });
    }
    return sum_levels<N, kLength>(x, weights, levels, [&](const Floats<N>& value) {
      return nearest_within<N>(scale * (value - min), 0.0f, highest);
    });
  };

  Floats<N> level_scale = highest / (max - min);
  Affine<N> best = {1.0f / level_scale, min, level_scale, min};
  sums_at(level_scale);
  Floats<N> best_error = affine_error<N, kLength>(x, weights, levels, best.scale, min);
  for (int i = 0; i <= steps.last; ++i) {
    level_scale = (steps.first + steps.step * static_cast<float>(i) + highest) / (max - min);
    const LevelSums<N> sums = sums_at(level_scale);
    const Floats<N> determinant = sum_w * sums.ll - sums.l * sums.l;
    Floats<N> scale = (sum_w * sums.lx - sum_x * sums.l) / determinant;
    Floats<N> offset = (sums.ll * sum_x - sums.l * sums.lx) / determinant;
    scale = offset > zero ? sums.lx / sums.ll : scale;
    offset = offset > zero ? zero : offset;
    const Floats<N> error = affine_error<N, kLength>(x, weights, levels, scale, offset);
    const Ints<N> better = (determinant > zero) & (error < best_error) & ~flat;
    best_error = better ? error : best_error;
    best.scale = better ? scale : best.scale;
    best.level_scale = better ? level_scale : best.level_scale;
    best.level_min = better ? min : best.level_min;
    // The next scales are tried from the min found last.
    min = better ? offset : min;
  }
  best.min = min;
  best.scale = flat ? zero : best.scale;
  best.level_scale = flat ? zero : best.level_scale;
  return best;
}

// Values as scale * level, level in -kHighest .. kHighest - 1.
template <int N>
struct Symmetric {
  Floats<N> scale;
  // The search's own levels: nearest(level_scale * x), clamped.
  Floats<N> level_scale;
  // No value is above ggml's GROUP_MAX_EPS.
  Ints<N> empty;
};

constexpr float kEmptyBelow = 1e-15f;

template <int N, int kLength, int kHighest>
Symmetric<N> search_symmetric(const Floats<N>* x, const Floats<N>* weights) {
  const Floats<N> zero = {};
  Floats<N> max = zero, largest = zero;
  Floats<N> wx[kLength];
  for (int i = 0; i < kLength; ++i) {
    const Floats<N> size = magnitude<N>(x[i]);
    max = size > largest ? x[i] : max;
    largest = size > largest ? size : largest;
    wx[i] = weights[i] * x[i];
  }
  Symmetric<N> found;
  found.empty = largest < kEmptyBelow;
  constexpr float kSteps = static_cast<float>(kHighest);
  Floats<N> best = zero;
  for (int i = 0; i < 19; ++i) {
    // The plain scale is tried first, and is better than nothing.
    const int step = i == 0 ? 0 : i <= 9 ? i - 10 : i - 9;
    const Floats<N> level_scale = -(kSteps + 0.1f * static_cast<float>(step)) / max;
    Floats<N> sum_lx = zero, sum_ll = zero;
    for (int k = 0; k < kLength; ++k) {
      const Floats<N> l = nearest_within<N>(level_scale * x[k], -kSteps, kSteps - 1.0f);
      sum_lx += wx[k] * l;
      sum_ll += weights[k] * l * l;
    }
    if (i == 0) {
      found.scale = sum_ll != zero ? sum_lx / sum_ll : zero;
      found.level_scale = level_scale;
      best = found.scale * sum_lx;
      continue;
    }
    const Ints<N> better = (sum_ll > zero) & (sum_lx * sum_lx > best * sum_ll);
    const Floats<N> scale = sum_lx / sum_ll;
    found.scale = better ? scale : found.scale;
    found.level_scale = better ? level_scale : found.level_scale;
    best = better ? scale * sum_lx : best;
  }
  found.scale = found.empty ? zero : found.scale;
  return found;
}

// kLength scales of sub-blocks as scale * level; levels are kept in a byte as in ggml, with the
// same wrapping round.
template <int N, int kLength, int kHighest>
Floats<N> search_scales(const Floats<N>* x, const Floats<N>* weights, Ints<N>* levels) {
  const Floats<N> zero = {};
  Floats<N> max = zero;
  for (int i = 0; i < kLength; ++i) max = max > x[i] ? max : x[i];
  const Ints<N> empty = max < kEmptyBelow;

  constexpr float kSteps = static_cast<float>(kHighest);
  const auto level_at = [](const Floats<N>& v) {
    const Ints<N> l = nearest<N>(v);
    return l < kHighest ? l : Ints<N>{} + kHighest;
  };
  Floats<N> best_scale = zero, best_error = zero;
  for (int i = 0; i < 9; ++i) {
    const int step = i == 0 ? 0 : i <= 4 ? i - 5 : i - 4;
    const Floats<N> level_scale = (kSteps + 0.1f * static_cast<float>(step)) / max;
    const Floats<N> scale = 1.0f / level_scale;
    Floats<N> error = zero;
    for (int k = 0; k < kLength; ++k) {
      const Floats<N> v = level_scale * x[k];
      const Ints<N> l = i == 0 ? nearest<N>(v) & 255 : level_at(v);
      const Floats<N> difference = x[k] - scale * to_floats<N>(l);
      error += weights[k] * difference * difference;
    }
    const Ints<N> better = i == 0 ? ~Ints<N>{} : error < best_error;
    best_scale = better ? level_scale : best_scale;
    best_error = better ? error : best_error;
  }
  Floats<N> sum_lx = zero, sum_ll = zero;
  for (int k = 0; k < kLength; ++k) {
    const Ints<N> l = level_at(best_scale * x[k]);
    levels[k] = l & 255;
    sum_lx += weights[k] * x[k] * to_floats<N>(l);
    sum_ll += weights[k] * to_floats<N>(l) * to_floats<N>(l);
  }
  for (int round = 0; round < 5; ++round) {
    Ints<N> changed = {};
    for (int k = 0; k < kLength; ++k) {
      const Floats<N> wx = weights[k] * x[k], old = to_floats<N>(levels[k]);
      const Floats<N> other_lx = sum_lx - wx * old;
      const Floats<N> other_ll = sum_ll - weights[k] * old * old;
      const Ints<N> l = level_at(x[k] * other_ll / other_lx);
      const Floats<N> lx = other_lx + wx * to_floats<N>(l);
      const Floats<N> ll = other_ll + weights[k] * to_floats<N>(l) * to_floats<N>(l);
      const Ints<N> better = (other_lx > zero) & (other_ll > zero) & (l != levels[k]) &
                             (lx * lx * sum_ll > sum_lx * sum_lx * ll);
      levels[k] = better ? l & 255 : levels[k];
      sum_lx = better ? lx : sum_lx;
      sum_ll = better ? ll : sum_ll;
      changed |= better;
    }
    if (!any<N>(changed)) break;
  }
  for (int k = 0; k < kLength; ++k) levels[k] = empty ? Ints<N>{} : levels[k];
  return (~empty & (sum_ll > zero)) ? sum_lx / sum_ll : zero;
}

}  // namespace
}  // namespace xgenmm
