#include "image/patches.h"

#include <array>
#include <cstddef>

namespace xgenmm {
namespace {

std::array<float, 256> normalised_levels() {
  std::array<float, 256> levels;
  for (int i = 0; i < 256; ++i) levels[i] = (static_cast<float>(i) / 255.0f - 0.5f) / 0.5f;
  return levels;
}

}  // namespace

void tile_to_patches(const uint8_t* tile, int side, int patch, float* out) {
  static const std::array<float, 256> kLevels = normalised_levels();
  const int grid = side / patch;
  for (int row = 0; row < grid; ++row) {
    for (int column = 0; column < grid; ++column) {
      const uint8_t* corner = tile + 3 * (size_t{1} * side * row + column) * patch;
      for (int channel = 0; channel < 3; ++channel) {
        for (int y = 0; y < patch; ++y) {
          const uint8_t* in = corner + size_t{3} * side * y + channel;
          for (int x = 0; x < patch; ++x) *out++ = kLevels[in[3 * x]];
        }
      }
    }
  }
}

}  // namespace xgenmm
