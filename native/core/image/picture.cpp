#include "image/picture.h"

#include <string>

#include "base/error.h"

namespace xgenmm {

void check_picture_size(int width, int height) {
  const std::string size = std::to_string(width) + " x " + std::to_string(height);
  if (width < 1 || height < 1) {
    throw Error(ErrorCode::kInvalidArgument,
                "a picture must be at least 1 x 1 pixels, received " + size);
  }
  if (width > kMaxPictureSide || height > kMaxPictureSide ||
      int64_t{width} * height > kMaxPicturePixels) {
    throw Error(ErrorCode::kImageLimit,
                "a picture may have at most " + std::to_string(kMaxPictureSide) +
                    " pixels a side and " + std::to_string(kMaxPicturePixels) +
                    " in all, received " + size);
  }
}

void check_picture(const PictureView& picture) {
  check_picture_size(picture.width, picture.height);
  const size_t expected = size_t{3} * picture.width * picture.height;
  if (picture.size != expected) {
    throw Error(ErrorCode::kInvalidArgument,
                "the pixels of a " + std::to_string(picture.width) + " x " +
                    std::to_string(picture.height) + " RGB picture take " +
                    std::to_string(expected) + " bytes, received " + std::to_string(picture.size));
  }
}

}  // namespace xgenmm
