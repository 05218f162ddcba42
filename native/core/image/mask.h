#pragma once

#include <cstdint>
#include <vector>

namespace xgenmm {

// Which patches of a kAnyres picture lie on the picture (1) and which on the letterbox bars (0), as
// [1 + columns * rows, grid * grid]: first the whole picture, then the runs of `regroup_indices`
// (MODEL 1.7). `width` and `height` are the original picture's, in pixels.
std::vector<uint8_t> tile_masks(int width, int height, int columns, int rows, int grid);

// The crops' features are laid out as one map that is read row by row (MODEL 1.8). For each of its
// columns * rows * grid * grid entries: where it comes from, as crop * grid * grid + patch. Every
// run of grid * grid entries is what the resampler gets as one tile.
std::vector<int32_t> regroup_indices(int columns, int rows, int grid);

}  // namespace xgenmm
