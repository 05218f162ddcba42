#include "image/mask.h"

#include <algorithm>
#include <string>
#include <vector>

#include "fixture.h"
#include "harness.h"

namespace xgenmm {
namespace {

using test::sha256_hex;

void check_masks(const std::string& name) {
  const auto list = test::read_json(test::fixture_path("preprocess/" + name));
  const int grid = list["patch_grid"];
  for (const auto& image : list["images"]) {
    const int columns = image["grid_cols"], rows = image["grid_rows"];
    const auto masks = tile_masks(image["width"], image["height"], columns, rows, grid);
    CHECK_EQ(sha256_hex(masks.data(), masks.size()), image["mask_sha256"].get<std::string>());

    std::vector<int> valid;
    for (auto run = masks.begin(); run != masks.end(); run += grid * grid) {
      valid.push_back(static_cast<int>(std::count(run, run + grid * grid, 1)));
    }
    CHECK_EQ(valid, image["valid_per_tile"].get<std::vector<int>>());
  }
}

void check_regroup(const std::string& name) {
  const auto list = test::read_json(test::fixture_path("preprocess/" + name));
  CHECK(!list["regroup"].empty());
  for (const auto& table : list["regroup"]) {
    const auto indices = regroup_indices(table["cols"], table["rows"], list["patch_grid"]);
    CHECK_EQ(indices.size(), table["entries"].get<size_t>());
    for (const auto& sample : table["samples"]) {
      CHECK_EQ(indices[sample[0].get<size_t>()], sample[1].get<int32_t>());
    }
    std::vector<uint8_t> little_endian;
    for (const int32_t index : indices) {
      for (int shift = 0; shift < 32; shift += 8)
        little_endian.push_back(static_cast<uint8_t>(index >> shift));
    }
    CHECK_EQ(sha256_hex(little_endian.data(), little_endian.size()),
             table["index_sha256"].get<std::string>());
  }
}

}  // namespace

TEST(mask_matches_the_real_geometry) {
  check_masks("real_384.json");
}

TEST(mask_matches_the_tiny_geometry) {
  check_masks("tiny_76.json");
}

TEST(mask_of_extreme_sizes_covers_every_tile) {
  for (const auto& [width, height] : {std::pair{1, 50000}, {50000, 1}, {1, 1}}) {
    const auto masks = tile_masks(width, height, 3, 1, 27);
    CHECK_EQ(masks.size(), size_t{4 * 27 * 27});
    CHECK_EQ(std::count(masks.begin(), masks.begin() + 27 * 27, 1), 27 * 27);
  }
}

TEST(regroup_matches_the_real_geometry) {
  check_regroup("real_384.json");
}

TEST(regroup_matches_the_tiny_geometry) {
  check_regroup("tiny_76.json");
}

}  // namespace xgenmm
