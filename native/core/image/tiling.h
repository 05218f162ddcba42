#pragma once

#include <cstdint>
#include <vector>

#include "image/picture.h"

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

// kInvalidArgument or kImageLimit for a picture or side that `check_picture` refuses; kModelInvalid
// for canvases that are no whole number of tiles. `canvases` is read in kAnyres only.
Tiles make_tiles(const PictureView& picture, ImageMode mode, int side,
                 const std::vector<Canvas>& canvases);

}  // namespace xgenmm
