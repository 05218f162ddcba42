#pragma once

#include <cstdint>
#include <vector>

namespace xgenmm {

// 8-bit RGB, row-major: rgb[(y * width + x) * 3 + channel].
struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;
};

constexpr int kMaxPictureSide = 1 << 17;
constexpr int64_t kMaxPicturePixels = int64_t{0x3FFF} * 0x3FFF;  // sharp's default limit

// kInvalidArgument for a size below 1, kImageLimit for one beyond the limits above.
void check_picture_size(int width, int height);
// The same, and kInvalidArgument unless `rgb` holds width * height * 3 bytes.
void check_picture(const Picture& picture);

}  // namespace xgenmm
