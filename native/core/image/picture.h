#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace xgenmm {

// 8-bit RGB, row-major: rgb[(y * width + x) * 3 + channel]; somebody else's memory.
struct PictureView {
  int width = 0;
  int height = 0;
  const uint8_t* rgb = nullptr;
  size_t size = 0;  // bytes
};

struct Picture {
  int width = 0;
  int height = 0;
  std::vector<uint8_t> rgb;

  operator PictureView() const { return {width, height, rgb.data(), rgb.size()}; }
};

constexpr int kMaxPictureSide = 1 << 17;
constexpr int64_t kMaxPicturePixels = int64_t{0x3FFF} * 0x3FFF;  // sharp's default limit

// kInvalidArgument for a size below 1, kImageLimit for one beyond the limits above.
void check_picture_size(int width, int height);
// The same, and kInvalidArgument unless `rgb` holds width * height * 3 bytes.
void check_picture(const PictureView& picture);

}  // namespace xgenmm
