#include "image/tiling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "image/resize.h"

namespace xgenmm {
namespace {

constexpr uint8_t kPadGrey = 127;
constexpr int kMaxCanvasTiles = 256;

void check_canvases(const std::vector<Canvas>& canvases, int side) {
  if (canvases.empty()) {
    throw Error(ErrorCode::kModelInvalid,
                "expected at least one any-resolution canvas, received none");
  }
  for (const Canvas& canvas : canvases) {
    if (canvas.width < side || canvas.height < side || canvas.width % side != 0 ||
        canvas.height % side != 0 ||
        int64_t{canvas.width / side} * (canvas.height / side) > kMaxCanvasTiles) {
      throw Error(ErrorCode::kModelInvalid,
                  "expected any-resolution canvases of 1 to " + std::to_string(kMaxCanvasTiles) +
                      " tiles of " + std::to_string(side) + " x " + std::to_string(side) +
                      " pixels, received " + std::to_string(canvas.width) + " x " +
                      std::to_string(canvas.height));
    }
  }
}

// Copies the part of `picture` at (x, y) of the canvas that falls on the tile at (left, top) of the
// canvas.
void paste(const PictureView& picture, int x, int y, int left, int top, int side, uint8_t* tile) {
  const int x_begin = std::max(x, left), x_end = std::min(x + picture.width, left + side);
  const int y_begin = std::max(y, top), y_end = std::min(y + picture.height, top + side);
  if (x_begin >= x_end) return;
  for (int row = y_begin; row < y_end; ++row) {
    const uint8_t* from =
        picture.rgb + (size_t{3} * picture.width * (row - y) + size_t{3} * (x_begin - x));
    std::copy_n(from, 3 * (x_end - x_begin),
                tile + (size_t{3} * side * (row - top) + size_t{3} * (x_begin - left)));
  }
}

}  // namespace

CanvasFit fit_canvas(int width, int height, const std::vector<Canvas>& canvases) {
  const double w = width, h = height;
  const Canvas* best = nullptr;
  int64_t best_kept = 0;
  int64_t best_waste = std::numeric_limits<int64_t>::max();
  for (const Canvas& canvas : canvases) {
    const double s = std::min(canvas.width / w, canvas.height / h);
    const int64_t kept = std::min(static_cast<int64_t>(w * s) * static_cast<int64_t>(h * s),
                                  int64_t{width} * height);
    const int64_t waste = int64_t{canvas.width} * canvas.height - kept;
    if (kept > best_kept || (kept == best_kept && waste < best_waste)) {
      best = &canvas;
      best_kept = kept;
      best_waste = waste;
    }
  }
  CanvasFit fit{*best, best->width, best->height, 0, 0};
  const double sw = best->width / w, sh = best->height / h;
  if (sw < sh) {
    fit.height = std::min(static_cast<int>(std::ceil(h * sw)), best->height);
  } else {
    fit.width = std::min(static_cast<int>(std::ceil(w * sh)), best->width);
  }
  fit.x = (best->width - fit.width) / 2;
  fit.y = (best->height - fit.height) / 2;
  return fit;
}

Tiles make_tiles(const PictureView& picture, ImageMode mode, int side,
                 const std::vector<Canvas>& canvases) {
  check_picture(picture);
  check_picture_size(side, side);
  if (mode != ImageMode::kAnyres) {
    Picture tile = mode == ImageMode::kPad ? resize_bicubic_on_square(picture, side, kPadGrey)
                                           : resize_bicubic(picture, side, side);
    return {side, 1, 0, 0, std::move(tile.rgb)};
  }

  check_canvases(canvases, side);
  const CanvasFit fit = fit_canvas(picture.width, picture.height, canvases);
  const int columns = fit.canvas.width / side, rows = fit.canvas.height / side;
  Tiles tiles{side, 1 + columns * rows, columns, rows, resize_bicubic(picture, side, side).rgb};
  const size_t tile_size = tiles.pixels.size();
  tiles.pixels.resize(tile_size * tiles.count);  // black

  const Picture fitted = resize_bicubic(picture, fit.width, fit.height);
  uint8_t* tile = tiles.pixels.data() + tile_size;
  for (int row = 0; row < rows; ++row) {
    for (int column = 0; column < columns; ++column, tile += tile_size) {
      paste(fitted, fit.x, fit.y, column * side, row * side, side, tile);
    }
  }
  return tiles;
}

}  // namespace xgenmm
