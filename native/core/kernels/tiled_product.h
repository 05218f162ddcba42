#pragma once

// Products of weights of 4 to 8 bits in whole numbers on tiles in the sense of AMX, which multiply
// two small matrices of bytes. After lanes_avx512.h, its dots and a class Tiles as in tiles_amx.h.
// "Tiles" of weights are still 16 rows of them.
//
// A full panel has the values of a column's block together: one operand is the block of its twelve
// columns. The other is a block of a tile of weights, unpacked to signed bytes, so that Q8_0 and
// Q6_K need no corrections. Since a block has scales of its own, its sums leave the tiles after it,
// for the lanes to scale exactly as in whole_product.h. Panels that are not full are computed
// there.
#include "kernels/whole_product.h"

namespace xgenmm {
namespace {

inline void store_bytes(uint8_t* at, Bytes x) {
  _mm512_store_si512(at, x);
}

// A tile of weights in steps of as many values as have one scale. unpack() makes an operand of a
// step, signed: a row of 64 bytes for each group of four values of sixteen weights. A super-block
// is kTogether steps, which have one scale of a column and super_scales() in common.
struct Q8Steps {
  static constexpr int kInBlock = 1, kTogether = 1;
  static constexpr bool kHasMinima = false;
  const uint8_t *scales, *values;

  void unpack(int64_t step, uint8_t* out) const {
    XGENMM_UNROLL
    for (int g = 0; g < 8; ++g) {
      const Bytes weights = load_bytes(values + step * 512 + g * 64);
      store_bytes(out + g * 64, _mm512_xor_si512(weights, _mm512_set1_epi8(-128)));
    }
  }
  Floats row_scales(int64_t step) const { return load_f16(scales + step * 32); }
};

struct Q4Steps {
  static constexpr int kInBlock = 1, kTogether = 8;
  static constexpr bool kHasMinima = true;
  const uint8_t *scales, *values;

  void unpack(int64_t step, uint8_t* out) const {
    XGENMM_UNROLL
    for (int g = 0; g < 4; ++g) {
      const Bytes both = load_bytes(values + step * 256 + g * 64);
      store_bytes(out + g * 64, low_nibbles(both));
      store_bytes(out + (g + 4) * 64, high_nibbles(both));
    }
  }
  Floats row_scales(int64_t step) const {
    return load_u8(scales + step / 8 * 320 + 64 + step % 8 * 16);
  }
  Floats row_minima(int64_t step) const {
    const uint8_t* at = scales + step / 8 * 320;
    return mul(load_f16(at + 32), load_u8(at + 192 + step % 8 * 16));
  }
  Floats super_scales(int64_t index) const { return load_f16(scales + index * 320); }
};

// The halves of a block.
struct Q6Steps {
  static constexpr int kInBlock = 2, kTogether = 16;
  static constexpr bool kHasMinima = false;
  const uint8_t *scales, *values;

  void unpack(int64_t step, uint8_t* out) const {
    const uint8_t* block = values + step / 2 * 384;
    const bool front = step % 2 == 0;
    const Bytes bits = load_bytes(block + (front ? 256 : 320));
    XGENMM_UNROLL
    for (int g = 0; g < 4; ++g) {
      const Bytes both = load_bytes(block + g * 64);
      const Bytes low = front ? low_nibbles(both) : high_nibbles(both);
      const Bytes weights = add_pair_of_bits(low, bits, g);
      store_bytes(out + g * 64, _mm512_sub_epi8(weights, _mm512_set1_epi8(32)));
    }
  }
  Floats row_scales(int64_t step) const {
    return load_i8(scales + step / 16 * 288 + 32 + step % 16 * 16);
  }
  Floats super_scales(int64_t index) const { return load_f16(scales + index * 288); }
};

template <typename Sums>
struct StepsOf;
template <>
struct StepsOf<Q8Sums> {
  using Type = Q8Steps;
};
template <>
struct StepsOf<Q4Sums> {
  using Type = Q4Steps;
};
template <>
struct StepsOf<Q6Sums> {
  using Type = Q6Steps;
};

// Tiles 0 and 1 have sums, of one panel each, and so have 2 and 3; 4 and 5 a panel's columns; 6 and
// 7 weights.
void configure_tiles(ggml_type weights) {
  constexpr uint8_t kRows = kPanelColumns;
  const uint8_t groups = weights == GGML_TYPE_Q6_K ? 4 : 8;
  const uint8_t bytes = groups * 4;
  Tiles::configure({kRows, kRows, kRows, kRows, kRows, kRows, groups, groups},
                   {64, 64, 64, 64, bytes, bytes, 64, 64});
}

// One tile of weights with P full panels, one or two. While a step's sums are scaled, those of the
// next are stored and those of the one after it are made: two sets of tiles and memory take turns,
// so that nothing waits for what has just begun.
template <typename Steps, int P>
class TiledColumns {
 public:
  TiledColumns(const Steps& weights, const PanelShape& shape, const uint8_t* panels)
      : weights_(weights), steps_(shape.blocks() * Steps::kInBlock) {
    for (int p = 0; p < P; ++p) {
      panels_[p] = {panels, reinterpret_cast<const float*>(panels + shape.scales_at(kPanelColumns)),
                    reinterpret_cast<const float*>(panels + shape.corrections_at(kPanelColumns))};
      panels += kPanelColumns * shape.bytes_per_column();
    }
  }

  void add_up(Floats (&sums)[P * kPanelColumns]) {
    // Of their own, so that the compiler keeps them in registers.
    Totals<kPanelColumns> front, back;
    Totals<kPanelColumns> front_total, back_total;
    multiply<0>(0);
    store<0>();
    multiply<1>(1);
    for (int64_t step = 0; step < steps_; step += 2) {
      store<1>();
      multiply<0>(step + 2);
      scale<0>(step, front, back);
      if (step + 1 == steps_) break;
      store<0>();
      multiply<1>(step + 3);
      scale<1>(step + 1, front, back);
      if constexpr (kHasSuperBlocks) {
        if ((step + 2) % Steps::kTogether != 0) continue;
        end_super_block<0>(step / Steps::kTogether, front, front_total);
        if constexpr (P == 2) end_super_block<1>(step / Steps::kTogether, back, back_total);
      }
    }
    put(kHasSuperBlocks ? front_total : front, sums);
    if constexpr (P == 2) put(kHasSuperBlocks ? back_total : back, sums + kPanelColumns);
  }

 private:
  static constexpr int kColumnTile = 4, kWeightTile = 6;
  static constexpr bool kHasSuperBlocks = Steps::kTogether > 1;

  struct FullPanel {
    const uint8_t* values;
    const float *scales, *corrections;
  };

  // After the last step that one again, to no purpose.
  template <int Set>
  void multiply(int64_t step) {
    if (step >= steps_) step = steps_ - 1;
    weights_.unpack(step, unpacked_[Set]);
    Tiles::load<kWeightTile + Set>(unpacked_[Set], 64);
    multiply<Set, 0>(step);
    if constexpr (P == 2) multiply<Set, 1>(step);
  }
  template <int Set, int OfPanel>
  void multiply(int64_t step) {
    constexpr int kSums = 2 * Set + OfPanel;
    constexpr int64_t kHalf = kBlock / Steps::kInBlock;
    const uint8_t* block =
        panels_[OfPanel].values + step / Steps::kInBlock * kBlock * kPanelColumns;
    Tiles::load<kColumnTile + OfPanel>(block + step % Steps::kInBlock * kHalf, kBlock);
    Tiles::clear<kSums>();
    Tiles::multiply<kSums, kColumnTile + OfPanel, kWeightTile + Set>();
  }

  template <int Set>
  void store() {
    Tiles::store<2 * Set>(sums_[Set][0], 64);
    if constexpr (P == 2) Tiles::store<2 * Set + 1>(sums_[Set][1], 64);
  }

  template <int Set>
  void scale(int64_t step, Totals<kPanelColumns>& front, Totals<kPanelColumns>& back) const {
    const Floats row_scales = weights_.row_scales(step);
    scale<Set, 0>(step, row_scales, front);
    if constexpr (P == 2) scale<Set, 1>(step, row_scales, back);
  }
  // As Totals::add().
  template <int Set, int OfPanel>
  void scale(int64_t step, Floats row_scales, Totals<kPanelColumns>& sums) const {
    XGENMM_UNROLL
    for (int c = 0; c < kPanelColumns; ++c) {
      const Floats sum = _mm512_cvtepi32_ps(load_bytes(sums_[Set][OfPanel][c]));
      Floats factors = row_scales;
      if constexpr (!kHasSuperBlocks)
        factors = mul(factors, spread(panels_[OfPanel].scales[step * kPanelColumns + c]));
      sums.of[c] = fma(sum, factors, sums.of[c]);
    }
  }

  // What whole_product.h does after the blocks of a super-block.
  template <int OfPanel>
  void end_super_block(int64_t index, Totals<kPanelColumns>& sums,
                       Totals<kPanelColumns>& total) const {
    const FullPanel& panel = panels_[OfPanel];
    if constexpr (Steps::kHasMinima) {
      for (int64_t step = index * Steps::kTogether; step < (index + 1) * Steps::kTogether; ++step)
        total.subtract(weights_.row_minima(step), panel.corrections + step * kPanelColumns);
    }
    total.add(sums, weights_.super_scales(index), panel.scales + index * kPanelColumns);
    sums = {};
  }

  static void put(const Totals<kPanelColumns>& sums, Floats* out) {
    XGENMM_UNROLL
    for (int c = 0; c < kPanelColumns; ++c) out[c] = sums.of[c];
  }

  const Steps weights_;
  const int64_t steps_;
  FullPanel panels_[P];
  alignas(64) int32_t sums_[2][P][kPanelColumns][kLanes];
  alignas(64) uint8_t unpacked_[2][512];
};

template <typename Format>
struct TiledSums {
  static constexpr int kTiles = 1;
  static constexpr int kColumns = 2 * kPanelColumns;

  template <int N, int T, int C>
  static void add_up(const PackedWeights& weights, const PanelShape& shape, const uint8_t* panel,
                     int at, int64_t tile, Floats (&sums)[T][C]) {
    if constexpr (N % kPanelColumns == 0) {
      const uint8_t* scales = weights.tile(tile);
      using Steps = typename StepsOf<Format>::Type;
      TiledColumns<Steps, N / kPanelColumns>(Steps{scales, scales + weights.shape().scale_bytes},
                                             shape, panel)
          .add_up(sums[0]);
    } else {
      WholeSums<Format>::template add_up<N, T, C>(weights, shape, panel, at, tile, sums);
    }
  }
};

void tiled_product(const PackedWeights& weights, const uint8_t* panels, int64_t columns,
                   const Epilogue& epilogue, int64_t first_tile, int64_t last_tile, float* out) {
  configure_tiles(weights.type());
  whole_product<TiledSums>(weights, panels, columns, epilogue, first_tile, last_tile, out);
  Tiles::release();
}

}  // namespace
}  // namespace xgenmm
