#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "image/resize.h"

namespace xgenmm {

enum class ImageMode {
  kAnyres,  // the whole picture squashed to one tile, then a canvas of tiles with the picture
            // letterboxed on it
  kSquash,  // one tile, aspect ratio ignored
  kPad,  // one tile, the picture centred on a grey square
};

// In pixels.
struct Canvas {
  int width;
  int height;
};

// Where kAnyres puts a picture: resized to `width` x `height` with its corner at (x, y) of the
// canvas.
struct CanvasFit {
  Canvas canvas;
  int width;
  int height;
  int x;
  int y;
};

struct Tiles {
  int side;
  int count;  // 1 + columns * rows; tile 0 is the whole picture
  int columns;  // of the canvas in tiles; 0 in the single-tile modes
  int rows;  // likewise
  std::vector<uint8_t> pixels;  // [count, side, side, 3]
};

// Chooses the canvas that keeps most pixels, then the one that wastes fewest, then the first
// (MODEL 1.3). `canvases` must not be empty.
CanvasFit fit_canvas(int width, int height, const std::vector<Canvas>& canvases);

// Makes the tiles of a picture in steps.
class Tiler {
 public:
  // The picture must stay as it is until the tiles are complete. Throws kInvalidArgument or
  // kImageLimit for a picture or side that `check_picture` refuses; kModelInvalid for canvases that
  // are no whole number of tiles. `canvases` is read in kAnyres only.
  Tiler(const PictureView& picture, ImageMode mode, int side, const std::vector<Canvas>& canvases);

  // Works for about budget_ms; true when the tiles are complete.
  bool advance(double budget_ms);
  Tiles take() { return std::move(tiles_); }

 private:
  Resizer whole_;
  std::optional<Resizer> fitted_;  // on the canvas of kAnyres
  CanvasFit fit_{};
  Tiles tiles_{};
};

}  // namespace xgenmm
