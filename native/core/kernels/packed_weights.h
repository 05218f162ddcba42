#pragma once

#include <cstdint>
#include <memory>

#include "kernels/product_types.h"

namespace xgenmm {

// A weight matrix in tiles of 16 rows (TileShape), in memory of its own. Missing rows of the last
// tile are zero, and so is what a row lacks to whole blocks.
class PackedWeights {
 public:
  // Reserves the memory; the tiles are to be packed afterwards. stored: the type of the rows.
  // packed: that of the tiles, the same or, for F16, Q8_0. Throws std::bad_alloc.
  PackedWeights(ggml_type stored, ggml_type packed, int64_t width, int64_t rows);

  ggml_type type() const { return type_; }
  int64_t width() const { return width_; }
  int64_t rows() const { return rows_; }
  const TileShape& shape() const { return shape_; }
  const PanelShape& panel_shape() const { return panel_shape_; }
  // How many of a tile's 16 rows the matrix has.
  int rows_in(int64_t tile) const {
    const int64_t left = rows_ - tile * kTileRows;
    return left >= kTileRows ? kTileRows : static_cast<int>(left);
  }
  int64_t tiles() const { return (rows_ + kTileRows - 1) / kTileRows; }
  size_t bytes() const { return static_cast<size_t>(tiles()) * shape_.bytes; }
  const uint8_t* tile(int64_t index) const {
    return data_.get() + static_cast<size_t>(index) * shape_.bytes;
  }

  // rows: the whole matrix as ggml stores it. Different tiles may be packed by
  // different threads.
  void pack(const void* rows, int64_t first_tile, int64_t last_tile);

 private:
  struct Free {
    void operator()(uint8_t* data) const;
  };
  ggml_type stored_, type_;
  int64_t width_, rows_;
  TileShape shape_;
  PanelShape panel_shape_;
  std::unique_ptr<uint8_t[], Free> data_;
};

}  // namespace xgenmm
