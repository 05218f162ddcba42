#include "image/resize.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/pace.h"

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

// Sums fit into 32 bits: the positive weights of a tap add up to at most 1.13, times 255 * 2^22
// that is 1.2e9.
uint8_t to_pixel(int32_t sum) {
  return static_cast<uint8_t>(std::clamp(sum >> kWeightBits, 0, 255));
}

}  // namespace

Resizer Resizer::stretch(const PictureView& picture, int width, int height) {
  return {picture,
          {picture.width, picture.width, 0, 0},
          {picture.height, picture.height, 0, 0},
          width,
          height};
}

Resizer Resizer::on_square(const PictureView& picture, int side, uint8_t fill) {
  const int ground = std::max(picture.width, picture.height);
  return {picture,
          {picture.width, ground, (ground - picture.width) / 2, fill},
          {picture.height, ground, (ground - picture.height) / 2, fill},
          side,
          side};
}

Resizer::Resizer(const PictureView& picture, const Axis& x_axis, const Axis& y_axis, int width,
                 int height)
    : picture_(picture) {
  check_picture(picture);
  check_picture_size(width, height);
  columns_ = make_taps(x_axis, width);
  rows_ = make_taps(y_axis, height);
  for (const Tap& tap : rows_.taps) longest_ = std::max(longest_, tap.count);
  stride_ = size_t{3} * width;
  ring_.resize(stride_ * longest_);
  sums_.resize(stride_);
  out_ = {width, height, std::vector<uint8_t>(stride_ * height)};
}

// MODEL 1.2. An axis that keeps its size gets the weights 0, 1, 0, so that skipping its pass is
// exact and not needed.
Resizer::Taps Resizer::make_taps(const Axis& axis, int out) {
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

void Resizer::resize_row(const uint8_t* row, const Taps& columns, uint8_t* out) {
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
bool Resizer::advance(double budget_ms) {
  const Stopwatch stopwatch;
  for (; next_ < rows_.taps.size(); ++next_) {
    const Tap& tap = rows_.taps[next_];
    while (ready_ < tap.first + tap.count) {
      resize_row(picture_.rgb + size_t{3} * picture_.width * ready_, columns_,
                 ring_.data() + stride_ * (ready_ % longest_));
      ++ready_;
      if (stopwatch.ms() > budget_ms) return false;
    }
    std::fill(sums_.begin(), sums_.end(), tap.bias);
    for (int i = 0; i < tap.count; ++i) {
      const int32_t weight = rows_.weights[tap.weights + i];
      const uint8_t* row = ring_.data() + stride_ * ((tap.first + i) % longest_);
      for (size_t k = 0; k < stride_; ++k) sums_[k] += weight * row[k];
    }
    uint8_t* to = out_.rgb.data() + stride_ * next_;
    for (size_t k = 0; k < stride_; ++k) to[k] = to_pixel(sums_[k]);
  }
  return true;
}

}  // namespace xgenmm
