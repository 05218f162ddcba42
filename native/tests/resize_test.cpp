#include "image/resize.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "fixture.h"
#include "harness.h"

namespace xgenmm {
namespace {

// Grey levels as a picture of one row or one column.
Picture strip(const std::vector<uint8_t>& levels, bool upright) {
  const int length = static_cast<int>(levels.size());
  Picture picture{upright ? 1 : length, upright ? length : 1, {}};
  for (const uint8_t level : levels) picture.rgb.insert(picture.rgb.end(), 3, level);
  return picture;
}

}  // namespace

using test::formula_picture;

TEST(resize_keeps_a_picture_of_the_wanted_size) {
  const Picture picture = formula_picture(31, 17);
  CHECK(test::stretched(picture, 31, 17).rgb == picture.rgb);
}

TEST(resize_spreads_one_pixel) {
  const Picture picture{1, 1, {10, 200, 255}};
  const Picture out = test::stretched(picture, 3, 2);
  CHECK_EQ(out.rgb, (std::vector<uint8_t>{10, 200, 255, 10, 200, 255, 10, 200, 255, 10, 200, 255,
                                          10, 200, 255, 10, 200, 255}));
}

TEST(resize_matches_pillow_along_each_axis) {
  const std::vector<uint8_t> levels = {0, 0, 255, 255, 0, 255};
  const std::vector<std::vector<uint8_t>> resized = {
      {94, 171},
      {21, 207, 140},
      {0, 180, 171, 155},
      {0, 0, 31, 224, 255, 221, 16, 120, 255},
      {0, 0, 0, 52, 203, 255, 255, 197, 34, 39, 201, 255},
  };
  for (const auto& expected : resized) {
    const int length = static_cast<int>(expected.size());
    CHECK_EQ(test::stretched(strip(levels, false), length, 1).rgb, strip(expected, false).rgb);
    CHECK_EQ(test::stretched(strip(levels, true), 1, length).rgb, strip(expected, true).rgb);
  }
}

TEST(resize_on_a_square_equals_building_the_square) {
  for (const auto& [width, height] : {std::pair{90, 37}, {37, 90}, {64, 64}, {1, 200}}) {
    const Picture picture = formula_picture(width, height);
    const int ground = std::max(width, height);
    Picture square{ground, ground, std::vector<uint8_t>(size_t{3} * ground * ground, 127)};
    for (int y = 0; y < height; ++y) {
      const size_t row = size_t{3} * (ground * ((ground - height) / 2 + y) + (ground - width) / 2);
      std::copy_n(picture.rgb.begin() + 3 * width * y, 3 * width, square.rgb.begin() + row);
    }
    for (const int side : {16, 90, 130}) {
      CHECK(test::on_square(picture, side, 127).rgb == test::stretched(square, side, side).rgb);
    }
  }
}

TEST(resize_refuses_an_empty_result) {
  CHECK_THROWS(ErrorCode::kInvalidArgument, test::stretched(formula_picture(4, 4), 0, 4));
  CHECK_THROWS(ErrorCode::kInvalidArgument, test::on_square(formula_picture(4, 4), -3, 127));
}

}  // namespace xgenmm
