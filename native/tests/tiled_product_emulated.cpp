// Compiled for AVX-512 with VNNI, where the compiler knows it.
#ifdef __AVX512VNNI__
#include "tiled_product_emulated.h"

#include <cstring>

#include "kernels/lanes_avx512.h"
// Before what is made of it.
#include "kernels/dots_avx512vnni.h"

namespace xgenmm {
namespace {

// As the class in tiles_amx.h.
class Tiles {
 public:
  static inline int errors = 0;
  static inline bool are_weights_unsigned = false;

  static void configure(const uint8_t (&rows)[8], const uint8_t (&bytes)[8]) {
    if (configured_) ++errors;
    configured_ = true;
    for (int i = 0; i < 8; ++i) tiles_[i] = Tile{rows[i], bytes[i], {}};
  }
  static void release() {
    if (!configured_) ++errors;
    configured_ = false;
    for (Tile& tile : tiles_) tile = {};
  }
  template <int Of>
  static void load(const void* at, int64_t stride) {
    Tile& tile = shaped(Of);
    std::memset(tile.data, 0, sizeof tile.data);
    for (int row = 0; row < tile.rows; ++row)
      std::memcpy(tile.data[row], static_cast<const uint8_t*>(at) + row * stride, tile.bytes);
  }
  template <int Of>
  static void store(void* at, int64_t stride) {
    const Tile& tile = shaped(Of);
    for (int row = 0; row < tile.rows; ++row)
      std::memcpy(static_cast<uint8_t*>(at) + row * stride, tile.data[row], tile.bytes);
  }
  template <int Of>
  static void clear() {
    Tile& tile = shaped(Of);
    std::memset(tile.data, 0, sizeof tile.data);
  }
  template <int Sums, int A, int B>
  static void multiply() {
    Tile& sums = shaped(Sums);
    const Tile &a = shaped(A), &b = shaped(B);
    if (sums.rows != a.rows || sums.bytes != b.bytes || a.bytes != 4 * b.rows) ++errors;
    for (int m = 0; m < sums.rows; ++m) {
      for (int n = 0; n < sums.bytes / 4; ++n) {
        int32_t sum;
        std::memcpy(&sum, &sums.data[m][4 * n], 4);
        for (int k = 0; k < a.bytes; ++k) {
          const uint8_t weight = b.data[k / 4][4 * n + k % 4];
          sum += static_cast<int8_t>(a.data[m][k]) *
                 (are_weights_unsigned ? weight : static_cast<int8_t>(weight));
        }
        std::memcpy(&sums.data[m][4 * n], &sum, 4);
      }
    }
  }

 private:
  struct Tile {
    int rows, bytes;
    uint8_t data[16][64];
  };
  static inline bool configured_ = false;
  static inline Tile tiles_[8] = {};

  static Tile& shaped(int index) {
    Tile& tile = tiles_[index];
    if (!configured_ || tile.rows == 0 || tile.rows > 16 || tile.bytes == 0 || tile.bytes > 64)
      ++errors;
    return tile;
  }
};

}  // namespace
}  // namespace xgenmm

#include "kernels/tiled_product.h"

namespace xgenmm {
namespace {

void wrong_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                   const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  Tiles::are_weights_unsigned = true;
  tiled_product(weights, panels, columns, epilogue, first_tile, last_tile, out);
  Tiles::are_weights_unsigned = false;
}

}  // namespace

namespace test {

const ProductKernel kEmulatedProduct{pack_whole_columns<true>, tiled_product};
const ProductKernel kWrongProduct{pack_whole_columns<true>, wrong_product};

int tile_errors() {
  return Tiles::errors;
}

}  // namespace test
}  // namespace xgenmm
#endif
