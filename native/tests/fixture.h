#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "image/tiling.h"
#include "nlohmann/json.hpp"

namespace xgenmm::test {

// Absolute paths of test/fixtures/<name> and of a converted model.
std::string fixture_path(const std::string& name);
std::string model_path(const std::string& name);
// For model_path(): the one that the package brings.
constexpr const char* kDemoModel = "../../models/demo.gguf";

std::string read_bytes(const std::string& path);
nlohmann::json read_json(const std::string& path);

// Names of the folders in test/fixtures/<name>, sorted.
std::vector<std::string> fixture_folders(const std::string& name);

// A tensor of a .safetensors file.
struct Tensor {
  std::string dtype;  // F32, I32, U8, …
  std::vector<int64_t> shape;  // row-major, the last dimension is contiguous
  std::string bytes;  // little-endian

  // The values; T must fit `dtype`.
  template <typename T>
  std::vector<T> values() const;
};

std::map<std::string, Tensor> read_safetensors(const std::string& path);

// The picture that preprocess/*.json describes: a formula of x, y and channel.
Picture formula_picture(int width, int height);

// Run to the end, in steps as short as they can be.
Picture stretched(const PictureView& picture, int width, int height);
Picture on_square(const PictureView& picture, int side, uint8_t fill);
Tiles make_tiles(const PictureView& picture, ImageMode mode, int side,
                 const std::vector<Canvas>& canvases);

// The error of `actual` over the length of `expected`, both in L2; of as many values.
double relative_l2(const std::vector<float>& actual, const std::vector<float>& expected);

std::string hex(const void* data, size_t size);
std::string sha256_hex(const void* data, size_t size);

}  // namespace xgenmm::test
