#pragma once

// After one of lanes_*.h.
#include "kernels/curves.h"
#include "kernels/epilogue.h"
#include "kernels/packed_weights.h"
#include "kernels/unroll.h"

namespace xgenmm {
namespace {

// The most of a panel's columns that are computed at once if at most `limit` can be.
constexpr int part_of(int columns, int limit) {
  int part = columns < limit ? columns : limit;
  while (columns % part != 0) --part;
  return part;
}

// What the kernels of all types of weights share: the order in which tiles meet panels, and the
// epilogue. `AddUp` has
//   static constexpr int kTiles, kColumns;  // how many at once have their sums in registers
//   template <int N, int T, int C> static void add_up(const PackedWeights&, const PanelShape&,
//       const uint8_t* panel, int at, int64_t tile, Floats (&sums)[T][C]);
// which gives the products of T tiles from `tile` on with columns [at, at + C) of a panel of N; if
// kColumns is several full panels, N may be as many columns, of one panel after the other.
template <typename AddUp>
class TileLoop {
 public:
  // As packed_product().
  static void run(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                  const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
    const PanelShape& shape = weights.panel_shape();
    const int64_t rows = epilogue.rows(weights.rows());
    const int64_t full =
        static_cast<int64_t>(kCachedBytes / shape.bytes_per_column()) / kWide * kWide;
    const int64_t cached = full > kWide ? full : kWide;
    for (int64_t from = 0; from < columns; from += cached) {
      const int64_t to = from + cached < columns ? from + cached : columns;
      for (int64_t tile = first_tile; tile < last_tile;) {
        const bool many = last_tile - tile >= AddUp::kTiles;
        for (int64_t start = from; start < to;) {
          const int n = panel_width(columns - start);
          const Meeting meeting{
              weights,
              shape,
              panels + static_cast<size_t>(start) * shape.bytes_per_column(),
              epilogue,
              epilogue.residual == nullptr ? nullptr : epilogue.residual + start * rows,
              tile,
              out + start * rows};
          if constexpr (kWide > kPanelColumns) {
            if (to - start >= kWide) {
              meet<kWide>(meeting, many);
              start += kWide;
              continue;
            }
          }
          switch (n) {
            case kPanelColumns:
              meet<kPanelColumns>(meeting, many);
              break;
            case 8:
              meet<8>(meeting, many);
              break;
            case 4:
              meet<4>(meeting, many);
              break;
            case 2:
              meet<2>(meeting, many);
              break;
            default:
              meet<1>(meeting, many);
          }
          start += n;
        }
        tile += many ? AddUp::kTiles : 1;
      }
    }
  }

 private:
  // Columns whose panels stay in a core's cache while all its tiles meet them.
  static constexpr size_t kCachedBytes = 1 << 20;
  // Columns of the full panels that are computed at once.
  static constexpr int kWide = AddUp::kColumns < 2 * kPanelColumns
                                   ? kPanelColumns
                                   : AddUp::kColumns / kPanelColumns * kPanelColumns;

  // Tiles from `tile` on and one panel, or kWide columns. residual, out: of the panel's first
  // column.
  struct Meeting {
    const PackedWeights& weights;
    const PanelShape& shape;
    const uint8_t* panel;
    const Epilogue& epilogue;
    const float* residual;
    int64_t tile;
    float* out;
  };

  // kTiles tiles or one.
  template <int N>
  static void meet(const Meeting& meeting, bool many) {
    constexpr int kPart = part_of(N, AddUp::kColumns);
    for (int at = 0; at < N; at += kPart) {
      if (many) {
        multiply<N, AddUp::kTiles, kPart>(meeting, at);
      } else {
        multiply<N, 1, kPart>(meeting, at);
      }
    }
  }

  template <int N, int T, int C>
  static void add_up(const Meeting& m, int at, int64_t tile, Floats (&sums)[T][C]) {
    AddUp::template add_up<N, T, C>(m.weights, m.shape, m.panel, at, tile, sums);
    if (m.epilogue.bias == nullptr) return;
    for (int t = 0; t < T; ++t) {
      const float* bias = m.epilogue.bias + (tile + t) * kTileRows;
      const Floats more = load_first(bias, m.weights.rows_in(tile + t));
      XGENMM_UNROLL
      for (int c = 0; c < C; ++c) sums[t][c] = add(sums[t][c], more);
    }
  }

  template <int N, int T, int C>
  static void multiply(const Meeting& m, int at) {
    Floats sums[T][C];
    add_up<N, T, C>(m, at, m.tile, sums);
    const int64_t rows = m.epilogue.rows(m.weights.rows());
    if (m.epilogue.curve == Epilogue::Curve::kGelu) {
      for (auto& of_tile : sums) {
        for (Floats& sum : of_tile) sum = gelu(sum);
      }
    } else if (m.epilogue.curve == Epilogue::Curve::kGatedSilu) {
      Floats values[T][C];
      add_up<N, T, C>(m, at, m.tile + rows / kTileRows, values);
      for (int t = 0; t < T; ++t) {
        for (int c = 0; c < C; ++c) sums[t][c] = mul(silu(sums[t][c]), values[t][c]);
      }
    }
    for (int t = 0; t < T; ++t) {
      const int count = m.weights.rows_in(m.tile + t);
      for (int c = 0; c < C; ++c) {
        const int64_t place = (at + c) * rows + (m.tile + t) * kTileRows;
        Floats y = sums[t][c];
        if (m.residual != nullptr) y = add(y, load_first(m.residual + place, count));
        store_first(m.out + place, y, count);
      }
    }
  }
};

}  // namespace
}  // namespace xgenmm
