#pragma once

#include <cstdint>

namespace xgenmm {

// Cuts a tile [side, side, 3] into the patches that the patch convolution sees, normalised to the
// range from -1 to 1 (MODEL 1.4, 1.5). out: [grid * grid, 3 * patch * patch], grid = side div
// patch, patches row by row, each in (channel, y, x) order like the kernel. Pixels beyond grid *
// patch are not read.
void tile_to_patches(const uint8_t* tile, int side, int patch, float* out);

}  // namespace xgenmm
