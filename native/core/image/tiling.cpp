#include "image/tiling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/pace.h"

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

Tiler::Tiler(const PictureView& picture, ImageMode mode, int side,
             const std::vector<Canvas>& canvases)
    : whole_(mode == ImageMode::kPad ? Resizer::on_square(picture, side, kPadGrey)
                                     : Resizer::stretch(picture, side, side)) {
  tiles_.side = side;
  tiles_.count = 1;
  if (mode != ImageMode::kAnyres) return;
  check_canvases(canvases, side);
  fit_ = fit_canvas(picture.width, picture.height, canvases);
  tiles_.columns = fit_.canvas.width / side;
  tiles_.rows = fit_.canvas.height / side;
  tiles_.count += tiles_.columns * tiles_.rows;
  fitted_.emplace(Resizer::stretch(picture, fit_.width, fit_.height));
}

bool Tiler::advance(double budget_ms) {
  const Stopwatch stopwatch;
  if (!whole_.advance(budget_ms)) return false;
  if (fitted_ && !fitted_->advance(budget_ms - stopwatch.ms())) return false;
  tiles_.pixels = whole_.take().rgb;
  if (!fitted_) return true;
  const size_t tile_size = tiles_.pixels.size();
  tiles_.pixels.resize(tile_size * tiles_.count);  // black
  const Picture fitted = fitted_->take();
  uint8_t* tile = tiles_.pixels.data() + tile_size;
  for (int row = 0; row < tiles_.rows; ++row) {
    for (int column = 0; column < tiles_.columns; ++column, tile += tile_size) {
      paste(fitted, fit_.x, fit_.y, column * tiles_.side, row * tiles_.side, tiles_.side, tile);
    }
  }
  return true;
}

}  // namespace xgenmm
