#include "image/mask.h"

#include <algorithm>

namespace xgenmm {

std::vector<uint8_t> tile_masks(int width, int height, int columns, int rows, int grid) {
  const int map_width = columns * grid, map_height = rows * grid;
  const double w = width, h = height, mw = map_width, mh = map_height;
  int bar_x = 0, bar_y = 0;
  if (w / h > mw / mh) {
    bar_y = (map_height - static_cast<int>(h * (mw / w))) / 2;
  } else {
    bar_x = (map_width - static_cast<int>(w * (mh / h))) / 2;
  }

  const size_t whole = size_t{1} * grid * grid;
  std::vector<uint8_t> masks(whole + size_t{1} * map_width * map_height);
  std::fill_n(masks.begin(), whole, uint8_t{1});
  for (int y = bar_y; y < map_height - bar_y; ++y) {
    std::fill_n(masks.begin() + whole + size_t{1} * y * map_width + bar_x, map_width - 2 * bar_x,
                uint8_t{1});
  }
  return masks;
}

std::vector<int32_t> regroup_indices(int columns, int rows, int grid) {
  std::vector<int32_t> indices;
  indices.reserve(size_t{1} * columns * rows * grid * grid);
  for (int y = 0; y < rows * grid; ++y) {
    for (int x = 0; x < columns * grid; ++x) {
      const int crop = y / grid * columns + x / grid;
      const int patch = y % grid * grid + x % grid;
      indices.push_back(crop * grid * grid + patch);
    }
  }
  return indices;
}

}  // namespace xgenmm
