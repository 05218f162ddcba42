#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"

// Weights are exact only if each product is rounded before it is added, as Pillow's are.
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif

namespace xgenmm {
namespace {

constexpr int kWeightBits = 22;

// One axis of the picture, lying at `offset` on a ground of `ground` pixels that hold `fill`.
struct Axis {
  int size;
  int ground;
  int offset;
  uint8_t fill;
};

// What one output pixel reads: `count` pixels from `first` on, with weights from `weights` on.
// Rounding and the ground are already in `bias`.
struct Tap {
  int first;
  int count;
  int32_t bias;
  size_t weights;
};

struct Taps {
  std::vector<Tap> taps;
  std::vector<int32_t> weights;
};

// Keys' cubic kernel with a = -0.5.
double cubic(double x) {
  constexpr double a = -0.5;
  x = std::abs(x);
  if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
  if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
  return 0.0;
}

int32_t fixed_point(double weight) {
  const double scaled = weight * (1 << kWeightBits);
  return static_cast<int32_t>(scaled < 0.0 ? scaled - 0.5 : scaled + 0.5);
}

// MODEL 1.2. An axis that keeps its size gets the weights 0, 1, 0, so that skipping its pass is
// exact and not needed.
Taps make_taps(const Axis& axis, int out) {
  const double scale = static_cast<double>(axis.ground) / out;
  const double stretch = std::max(scale, 1.0);
  const double support = 2.0 * stretch;
  const double per_stretch = 1.0 / stretch;
  Taps result;
  result.taps.reserve(out);
  std::vector<double> exact;
  for (int o = 0; o < out; ++o) {
    const double centre = (o + 0.5) * scale;
    const int first = std::max(static_cast<int>(centre - support + 0.5), 0);
    const int last = std::min(static_cast<int>(centre + support + 0.5), axis.ground);
    double total = 0.0;
    exact.clear();
    for (int i = first; i < last; ++i) {
      exact.push_back(cubic((i - centre + 0.5) * per_stretch));
      total += exact.back();
    }
    Tap tap{0, 0, 1 << (kWeightBits - 1), result.weights.size()};
    for (int i = first; i < last; ++i) {
      const int32_t weight = fixed_point(exact[i - first] / total);
      const int inside = i - axis.offset;
      if (inside < 0 || inside >= axis.size) {
        tap.bias += weight * axis.fill;
      } else {
        if (tap.count++ == 0) tap.first = inside;
        result.weights.push_back(weight);
      }
    }
    result.taps.push_back(tap);
  }
  return result;
}

// Sums fit into 32 bits: the positive weights of a tap add up to at most 1.13, times 255 * 2^22
// that is 1.2e9.
uint8_t to_pixel(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

void resize_row(const uint8_t* row, const Taps& columns, uint8_t* out) {
  for (const Tap& tap : columns.taps) {
    const uint8_t* in = row + size_t{3} * tap.first;
    const int32_t* weights = columns.weights.data() + tap.weights;
    int32_t red = tap.bias, green = tap.bias, blue = tap.bias;
    for (int i = 0; i < tap.count; ++i) {
      red += weights[i] * in[3 * i];
      green += weights[i] * in[3 * i + 1];
      blue += weights[i] * in[3 * i + 2];
    }
    *out++ = to_pixel(red);
    *out++ = to_pixel(green);
    *out++ = to_pixel(blue);
  }
}

// Rows outside the picture count as `fill` after the horizontal pass as well. That is exact:
// rounding moves the sum of n weights by less than n / 2 of 2^-22, which cannot change a constant
// row while n is below 2^15.
Picture resize(const PictureView& picture, const Axis& x_axis, const Axis& y_axis, int width,
               int height) {
  check_picture(picture);
  check_picture_size(width, height);
  const Taps columns = make_taps(x_axis, width);
  const Taps rows = make_taps(y_axis, height);

  int longest = 1;
  for (const Tap& tap : rows.taps) longest = std::max(longest, tap.count);
  const size_t stride = size_t{3} * width;
  std::vector<uint8_t> ring(stride * longest);  // row y after the horizontal pass, at y % longest
  std::vector<int32_t> sums(stride);
  int ready = 0;  // rows that went through the horizontal pass

  Picture out{width, height, std::vector<uint8_t>(stride * height)};
  uint8_t* to = out.rgb.data();
  for (const Tap& tap : rows.taps) {
    for (; ready < tap.first + tap.count; ++ready) {
      resize_row(picture.rgb + size_t{3} * picture.width * ready, columns,
                 ring.data() + stride * (ready % longest));
    }
    std::fill(sums.begin(), sums.end(), tap.bias);
    for (int i = 0; i < tap.count; ++i) {
      const int32_t weight = rows.weights[tap.weights + i];
      const uint8_t* row = ring.data() + stride * ((tap.first + i) % longest);
      for (size_t k = 0; k < stride; ++k) sums[k] += weight * row[k];
    }
    for (size_t k = 0; k < stride; ++k) to[k] = to_pixel(sums[k]);
    to += stride;
  }
  return out;
}

}  // namespace

Picture resize_bicubic(const PictureView& picture, int width, int height) {
  return resize(picture, {picture.width, picture.width, 0, 0},
                {picture.height, picture.height, 0, 0}, width, height);
}

Picture resize_bicubic_on_square(const PictureView& picture, int side, uint8_t fill) {
  const int ground = std::max(picture.width, picture.height);
  const Axis x_axis{picture.width, ground, (ground - picture.width) / 2, fill};
  const Axis y_axis{picture.height, ground, (ground - picture.height) / 2, fill};
  return resize(picture, x_axis, y_axis, side, side);
}

}  // namespace xgenmm
