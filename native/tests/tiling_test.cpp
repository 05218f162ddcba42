#include "image/tiling.h"

#include <algorithm>
#include <string>
#include <vector>

#include "fixture.h"
#include "harness.h"
#include "image/patches.h"
#include "image/resize.h"

namespace xgenmm {
namespace {

using test::fixture_path;
using test::formula_picture;
using test::read_json;
using test::sha256_hex;

std::vector<Canvas> read_canvases(const nlohmann::json& list) {
  std::vector<Canvas> canvases;
  for (const auto& canvas : list) canvases.push_back({canvas[0], canvas[1]});
  return canvases;
}

// The canvases of the official models.
std::vector<Canvas> default_canvases(int side) {
  return {
      {side, 2 * side}, {2 * side, side}, {2 * side, 2 * side}, {3 * side, side}, {side, 3 * side}};
}

std::string hash(const std::vector<uint8_t>& bytes) {
  return sha256_hex(bytes.data(), bytes.size());
}

std::vector<uint8_t> tile_of(const Tiles& tiles, int index) {
  const size_t size = size_t{3} * tiles.side * tiles.side;
  const auto begin = tiles.pixels.begin() + size * index;
  return {begin, begin + size};
}

// The crops put together again: [rows * side, columns * side, 3].
std::vector<uint8_t> canvas_of(const Tiles& tiles) {
  const size_t row_size = size_t{3} * tiles.side;
  std::vector<uint8_t> canvas;
  for (int row = 0; row < tiles.rows; ++row) {
    for (int y = 0; y < tiles.side; ++y) {
      for (int column = 0; column < tiles.columns; ++column) {
        const int tile = 1 + row * tiles.columns + column;
        const auto begin = tiles.pixels.begin() + (size_t{1} * tile * tiles.side + y) * row_size;
        canvas.insert(canvas.end(), begin, begin + row_size);
      }
    }
  }
  return canvas;
}

void check_list(const std::string& name) {
  const auto list = read_json(fixture_path("preprocess/" + name));
  const int side = list["tile"];
  const auto canvases = read_canvases(list["canvases"]);
  CHECK(!list["images"].empty());
  for (const auto& image : list["images"]) {
    const int width = image["width"], height = image["height"];
    const Picture picture = formula_picture(width, height);
    CHECK_EQ(hash(picture.rgb), image["input_sha256"].get<std::string>());

    const CanvasFit fit = fit_canvas(width, height, canvases);
    CHECK_EQ((std::vector<int>{fit.canvas.width, fit.canvas.height}),
             image["canvas"].get<std::vector<int>>());
    CHECK_EQ((std::vector<int>{fit.width, fit.height}), image["resized"].get<std::vector<int>>());
    CHECK_EQ((std::vector<int>{fit.x, fit.y}), image["paste"].get<std::vector<int>>());

    const Tiles tiles = test::make_tiles(picture, ImageMode::kAnyres, side, canvases);
    CHECK_EQ(tiles.columns, image["grid_cols"].get<int>());
    CHECK_EQ(tiles.rows, image["grid_rows"].get<int>());
    CHECK_EQ(tiles.count, 1 + tiles.columns * tiles.rows);
    CHECK_EQ(hash(tile_of(tiles, 0)), image["base_tile_sha256"].get<std::string>());
    CHECK_EQ(hash(canvas_of(tiles)), image["canvas_sha256"].get<std::string>());

    const Tiles padded = test::make_tiles(picture, ImageMode::kPad, side, {});
    CHECK_EQ(padded.count, 1);
    CHECK_EQ(hash(padded.pixels), image["square_pad_tile_sha256"].get<std::string>());
    const Tiles squashed = test::make_tiles(picture, ImageMode::kSquash, side, {});
    CHECK_EQ(hash(squashed.pixels), image["base_tile_sha256"].get<std::string>());
  }
}

}  // namespace

TEST(tiling_matches_the_real_geometry) {
  check_list("real_384.json");
}

TEST(tiling_matches_the_tiny_geometry) {
  check_list("tiny_76.json");
}

TEST(tiling_matches_the_cases_with_pixels) {
  int compared = 0;
  for (const std::string& name : test::fixture_folders("cases")) {
    const auto expected =
        test::read_safetensors(fixture_path("cases/" + name + "/expected.safetensors"));
    const auto rgb = expected.find("image_0_rgb");
    if (rgb == expected.end()) continue;
    const auto& shape = rgb->second.shape;
    const Picture picture{static_cast<int>(shape[1]), static_cast<int>(shape[0]),
                          rgb->second.values<uint8_t>()};
    const Tiles tiles = test::make_tiles(picture, ImageMode::kAnyres, 76, default_canvases(76));
    CHECK(tiles.pixels == expected.at("tiles_u8").values<uint8_t>());
    ++compared;
  }
  CHECK_EQ(compared, 5);
}

TEST(tiling_survives_extreme_sizes) {
  const int side = 64;
  for (const auto& [width, height] :
       {std::pair{1, 1}, {1, 50000}, {50000, 1}, {kMaxPictureSide, 2}}) {
    const Picture picture{width, height, std::vector<uint8_t>(size_t{3} * width * height, 127)};
    for (const ImageMode mode : {ImageMode::kSquash, ImageMode::kPad}) {
      // Grey on grey stays grey.
      CHECK(test::make_tiles(picture, mode, side, {}).pixels ==
            std::vector<uint8_t>(3 * side * side, 127));
    }
    const Tiles tiles = test::make_tiles(picture, ImageMode::kAnyres, side, default_canvases(side));
    CHECK(tile_of(tiles, 0) == std::vector<uint8_t>(3 * side * side, 127));
    // The canvas holds the picture's grey and the bars' black, both of them.
    const auto canvas = canvas_of(tiles);
    const auto grey = std::count(canvas.begin(), canvas.end(), 127);
    const auto black = std::count(canvas.begin(), canvas.end(), 0);
    CHECK(grey > 0);
    CHECK(black > 0);
    CHECK_EQ(static_cast<size_t>(grey + black), canvas.size());
  }
}

TEST(tiling_refuses_bad_pictures) {
  const auto squash = [](int width, int height, size_t bytes) {
    const Picture picture{width, height, std::vector<uint8_t>(bytes)};
    return test::make_tiles(picture, ImageMode::kSquash, 64, {});
  };
  CHECK_THROWS(ErrorCode::kInvalidArgument, squash(0, 4, 0));
  CHECK_THROWS(ErrorCode::kInvalidArgument, squash(4, -1, 0));
  CHECK_THROWS(ErrorCode::kInvalidArgument, squash(4, 4, 47));
  CHECK_THROWS(ErrorCode::kInvalidArgument, squash(4, 4, 64));
  CHECK_THROWS(ErrorCode::kImageLimit, squash(kMaxPictureSide + 1, 1, 0));
  CHECK_THROWS(ErrorCode::kImageLimit, squash(100000, 100000, 0));
}

TEST(tiling_refuses_bad_canvases) {
  const auto tile = [](const std::vector<Canvas>& canvases) {
    return test::make_tiles(formula_picture(5, 5), ImageMode::kAnyres, 64, canvases);
  };
  CHECK_THROWS(ErrorCode::kModelInvalid, tile({}));
  CHECK_THROWS(ErrorCode::kModelInvalid, tile({{64, 0}}));
  CHECK_THROWS(ErrorCode::kModelInvalid, tile({{64, 128}, {100, 64}}));
  CHECK_THROWS(ErrorCode::kModelInvalid, tile({{64 << 20, 64 << 20}}));
  CHECK_THROWS(ErrorCode::kInvalidArgument,
               test::make_tiles(formula_picture(5, 5), ImageMode::kAnyres, 0, default_canvases(0)));
}

TEST(patches_follow_the_kernel_layout) {
  const int side = 11, patch = 3, grid = 3;
  const Picture tile = formula_picture(side, side);
  std::vector<float> out(grid * grid * 3 * patch * patch);
  tile_to_patches(tile.rgb.data(), side, patch, out.data());
  size_t i = 0;
  for (int row = 0; row < grid; ++row) {
    for (int column = 0; column < grid; ++column) {
      for (int channel = 0; channel < 3; ++channel) {
        for (int y = 0; y < patch; ++y) {
          for (int x = 0; x < patch; ++x) {
            const float level =
                tile.rgb[((row * patch + y) * side + column * patch + x) * 3 + channel];
            CHECK_EQ(out[i++], (level / 255.0f - 0.5f) / 0.5f);
          }
        }
      }
    }
  }
}

TEST(patches_match_the_reference_pixels) {
  const auto expected =
      test::read_safetensors(fixture_path("cases/01_square/expected.safetensors"));
  const auto tiles = expected.at("tiles_u8").values<uint8_t>();
  const auto& tensor = expected.at("debug.pixel_values");  // [.., 3, side, side] of the first tile
  const auto pixels = tensor.values<float>();
  const int side = static_cast<int>(tensor.shape.back());
  // A tile that is one patch has the layout of the pixel values.
  std::vector<float> out(size_t{3} * side * side);
  tile_to_patches(tiles.data(), side, side, out.data());
  CHECK(out == pixels);
}

}  // namespace xgenmm
