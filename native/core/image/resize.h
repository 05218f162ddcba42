#pragma once

#include <cstdint>

#include "image/picture.h"

namespace xgenmm {

// Pillow's default resize of 8-bit RGB (bicubic, anti-aliased), bit for bit, as Pillow did it in
// 2024: horizontal pass first, whatever the shape. Working memory is a few rows of the result.
Picture resize_bicubic(const PictureView& picture, int width, int height);

// The picture centred on a square of its longer side that is filled with `fill` in all channels,
// then resized to `side` x `side`. The square itself is never built.
Picture resize_bicubic_on_square(const PictureView& picture, int side, uint8_t fill);

}  // namespace xgenmm
