#include "fixture.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "base/sha256.h"
#include "harness.h"

namespace xgenmm::test {

std::string fixture_path(const std::string& name) {
  return std::string(XGENMM_FIXTURES_DIR) + "/" + name;
}

std::string model_path(const std::string& name) {
  return std::string(XGENMM_MODELS_DIR) + "/" + name;
}

std::string read_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

nlohmann::json read_json(const std::string& path) {
  return nlohmann::json::parse(read_bytes(path));
}

std::vector<std::string> fixture_folders(const std::string& name) {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator(fixture_path(name))) {
    if (entry.is_directory()) folders.push_back(entry.path().filename().string());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

template <typename T>
std::vector<T> Tensor::values() const {
  const char* expected = std::is_same_v<T, float>     ? "F32"
                         : std::is_same_v<T, int32_t> ? "I32"
                                                      : "U8";
  if (dtype != expected) throw std::runtime_error("the tensor is " + dtype + ", not " + expected);
  std::vector<T> values(bytes.size() / sizeof(T));
  std::memcpy(values.data(), bytes.data(), values.size() * sizeof(T));
  return values;
}

template std::vector<float> Tensor::values() const;
template std::vector<int32_t> Tensor::values() const;
template std::vector<uint8_t> Tensor::values() const;

std::map<std::string, Tensor> read_safetensors(const std::string& path) {
  const std::string bytes = read_bytes(path);
  uint64_t header_size = 0;
  std::memcpy(&header_size, bytes.data(), sizeof header_size);
  const auto header = nlohmann::json::parse(bytes.substr(8, header_size));
  std::map<std::string, Tensor> tensors;
  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") continue;
    const size_t begin = entry["data_offsets"][0], end = entry["data_offsets"][1];
    tensors[name] = {entry["dtype"], entry["shape"],
                     bytes.substr(8 + header_size + begin, end - begin)};
  }
  return tensors;
}

Picture formula_picture(int width, int height) {
  Picture picture{width, height, {}};
  picture.rgb.reserve(size_t{3} * width * height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int k = 0; k < 3; ++k) {
        const int value = 7 * x + 13 * y + 101 * k + ((x * y) >> 3) + 5 * ((x ^ (3 * y)) & 31);
        picture.rgb.push_back(static_cast<uint8_t>(value & 255));
      }
    }
  }
  return picture;
}

namespace {

Picture run(Resizer resizer) {
  while (!resizer.advance(0)) {
  }
  return resizer.take();
}

}  // namespace

Picture stretched(const PictureView& picture, int width, int height) {
  return run(Resizer::stretch(picture, width, height));
}

Picture on_square(const PictureView& picture, int side, uint8_t fill) {
  return run(Resizer::on_square(picture, side, fill));
}

Tiles make_tiles(const PictureView& picture, ImageMode mode, int side,
                 const std::vector<Canvas>& canvases) {
  Tiler tiler(picture, mode, side, canvases);
  while (!tiler.advance(0)) {
  }
  return tiler.take();
}

double relative_l2(const std::vector<float>& actual, const std::vector<float>& expected) {
  CHECK_EQ(actual.size(), expected.size());
  double difference = 0, norm = 0;
  for (size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(double{actual[i]} - double{expected[i]}, 2);
    norm += std::pow(double{expected[i]}, 2);
  }
  return std::sqrt(difference / norm);
}

std::string hex(const void* data, size_t size) {
  constexpr char kDigits[] = "0123456789abcdef";
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

std::string sha256_hex(const void* data, size_t size) {
  const auto digest = sha256(data, size);
  return hex(digest.data(), digest.size());
}

}  // namespace xgenmm::test
