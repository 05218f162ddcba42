#pragma once

#include <cstdint>
#include <vector>

#include "image/picture.h"

namespace xgenmm {

// Pillow's default resize of 8-bit RGB (bicubic, anti-aliased), bit for bit, as Pillow did it in
// 2024: horizontal pass first, whatever the shape. Goes through the picture in steps; working
// memory is a few rows of the result.
class Resizer {
 public:
  // The picture must stay as it is until the result is complete. Throw what check_picture() throws,
  // for the size of the result too.
  static Resizer stretch(const PictureView& picture, int width, int height);
  // The picture centred on a square of its longer side that is filled with `fill` in all channels,
  // then resized to `side` x `side`. The square itself is never built.
  static Resizer on_square(const PictureView& picture, int side, uint8_t fill);

  // Works for about budget_ms; true when the result is complete.
  bool advance(double budget_ms);
  Picture take() { return std::move(out_); }

 private:
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

  Resizer(const PictureView& picture, const Axis& x_axis, const Axis& y_axis, int width,
          int height);
  static Taps make_taps(const Axis& axis, int out);
  static void resize_row(const uint8_t* row, const Taps& columns, uint8_t* out);

  PictureView picture_;
  Taps columns_;
  Taps rows_;
  size_t stride_ = 0;  // bytes of a row of the result
  int longest_ = 1;  // rows of the picture that a row of the result reads, at most
  std::vector<uint8_t> ring_;  // row y after the horizontal pass, at y % longest_
  std::vector<int32_t> sums_;
  int ready_ = 0;  // rows that went through the horizontal pass
  size_t next_ = 0;  // row of the result
  Picture out_;
};

}  // namespace xgenmm
