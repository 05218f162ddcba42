#include "kernels/packed_weights.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

namespace xgenmm {
namespace {

constexpr std::align_val_t kAlignment{64};

// Where four neighbouring values of a row have their place among those of 16 rows, a word.
size_t place(int group, int row) {
  return static_cast<size_t>(group) * 64 + static_cast<size_t>(row) * 4;
}

// Four bytes at once, in the order of memory.
uint32_t load_word(const uint8_t* at) {
  uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

void store_word(uint8_t* at, uint32_t word) {
  std::memcpy(at, &word, sizeof word);
}

// ggml's block types are not in its public headers; these are their layouts.
constexpr size_t kQ8Bytes = 34;  // f16 d; i8 values[32]
constexpr size_t kQ4Bytes = 144;  // f16 d, dmin; u8 scales[12], values[128]
constexpr size_t kQ6Bytes = 210;  // u8 low[128], high[64]; i8 scales[16]; f16 d

void pack_q8_row(const uint8_t* in, int64_t blocks, int row, uint8_t* scales, uint8_t* values) {
  for (int64_t b = 0; b < blocks; ++b, in += kQ8Bytes) {
    std::memcpy(scales + (b * kTileRows + row) * 2, in, 2);
    uint8_t* out = values + b * 512;
    for (int g = 0; g < 8; ++g)
      store_word(out + place(g, row), load_word(in + 2 + 4 * g) ^ 0x80808080u);  // + 128
  }
}

// The 32 four-bit values of one block, which are `shift` bits up in as many bytes -> the low and
// high halves of four groups.
void pack_nibbles(const uint8_t* values, int shift, int row, uint8_t* out) {
  for (int g = 0; g < 4; ++g) {
    const uint32_t low = load_word(values + 4 * g) >> shift & 0x0F0F0F0Fu;
    const uint32_t high = load_word(values + 16 + 4 * g) >> shift & 0x0F0F0F0Fu;
    store_word(out + place(g, row), low | high << 4);
  }
}

void pack_q4_row(const uint8_t* in, int64_t super_blocks, int row, uint8_t* scales,
                 uint8_t* values) {
  for (int64_t s = 0; s < super_blocks; ++s, in += kQ4Bytes, scales += 320) {
    std::memcpy(scales + row * 2, in, 2);
    std::memcpy(scales + 32 + row * 2, in + 2, 2);
    const uint8_t* six_bits = in + 4;
    for (int j = 0; j < 8; ++j) {
      const int scale =
          j < 4 ? six_bits[j] & 63 : (six_bits[j + 4] & 15) | (six_bits[j - 4] >> 6) << 4;
      const int minimum =
          j < 4 ? six_bits[j + 4] & 63 : (six_bits[j + 4] >> 4) | (six_bits[j] >> 6) << 4;
      scales[64 + j * kTileRows + row] = static_cast<uint8_t>(scale);
      scales[192 + j * kTileRows + row] = static_cast<uint8_t>(minimum);
      // Two blocks share 32 bytes: one in their low halves, one in their high ones.
      pack_nibbles(in + 16 + j / 2 * 32, j % 2 * 4, row, values + (s * 8 + j) * 256);
    }
  }
}

void pack_q6_row(const uint8_t* in, int64_t super_blocks, int row, uint8_t* scales,
                 uint8_t* values) {
  for (int64_t s = 0; s < super_blocks; ++s, in += kQ6Bytes, scales += 288) {
    std::memcpy(scales + row * 2, in + 208, 2);
    for (int j = 0; j < 16; ++j) scales[32 + j * kTileRows + row] = in[192 + j];
    for (int j = 0; j < 8; ++j) {
      // Of each half of the super-block: 32 bytes have the low bits of blocks 0 and 2, the next 32
      // those of 1 and 3; 32 others the high bits of all four.
      const uint8_t* low = in + j / 4 * 64 + j % 2 * 32;
      const uint8_t* high = in + 128 + j / 4 * 32;
      uint8_t* out = values + (s * 8 + j) * 384;
      pack_nibbles(low, j % 4 / 2 * 4, row, out);
      for (int half = 0; half < 2; ++half) {
        uint32_t word = 0;
        for (int g = 0; g < 4; ++g) {
          const uint32_t bits = load_word(high + half * 16 + 4 * g) >> (j % 4 * 2) & 0x03030303u;
          word |= bits << (2 * g);
        }
        store_word(out + 256 + place(half, row), word);
      }
    }
  }
}

// Rounds a row in f16 to Q8_0, as ggml does. Values that are not finite give a scale that is not.
void round_f16_row(const uint8_t* in, int64_t width, int row, uint8_t* scales, uint8_t* values) {
  for (int64_t b = 0; b < blocks_in(width); ++b) {
    const int64_t count = std::min<int64_t>(kBlock, width - b * kBlock);
    ggml_fp16_t halves[kBlock] = {};
    float floats[kBlock];
    std::memcpy(halves, in + b * kBlock * 2, static_cast<size_t>(count) * 2);
    ggml_fp16_to_fp32_row(halves, floats, kBlock);
    float largest = 0;
    bool finite = true;
    for (const float value : floats) {
      largest = std::max(largest, std::fabs(value));
      finite = finite && std::isfinite(value);
    }
    const float scale = finite ? largest / 127.0f : NAN;
    const float inverse = scale > 0 ? 1.0f / scale : 0.0f;
    const ggml_fp16_t half = ggml_fp32_to_fp16(scale);
    std::memcpy(scales + (b * kTileRows + row) * 2, &half, 2);
    uint8_t* out = values + b * 512;
    for (int i = 0; i < kBlock; ++i) {
      const int value = finite ? static_cast<int>(std::round(floats[i] * inverse)) : 0;
      out[place(i / 4, row) + i % 4] = static_cast<uint8_t>(value + 128);
    }
  }
}

// Values of `size` bytes.
template <size_t size>
void pack_float_row(const uint8_t* in, int64_t width, int row, uint8_t* values) {
  for (int64_t i = 0; i < width; ++i)
    std::memcpy(values + static_cast<size_t>(i * kTileRows + row) * size,
                in + static_cast<size_t>(i) * size, size);
}

void pack_bf16_row(const uint8_t* in, int64_t width, int row, uint8_t* values) {
  for (int64_t i = 0; i < width; ++i)
    std::memcpy(values + (i / 2 * kTileRows + row) * 4 + i % 2 * 2, in + i * 2, 2);
}

}  // namespace

PackedWeights::PackedWeights(ggml_type stored, ggml_type packed, int64_t width, int64_t rows)
    : stored_(stored),
      type_(packed),
      width_(width),
      rows_(rows),
      shape_(type_, width),
      panel_shape_(type_, width),
      data_(static_cast<uint8_t*>(::operator new(bytes(), kAlignment))) {}

void PackedWeights::Free::operator()(uint8_t* data) const {
  ::operator delete(data, kAlignment);
}

void PackedWeights::pack(const void* rows, int64_t first_tile, int64_t last_tile) {
  const size_t row_bytes = ggml_row_size(stored_, width_);
  const int64_t blocks = blocks_in(width_);
  for (int64_t t = first_tile; t < last_tile; ++t) {
    uint8_t* scales = data_.get() + static_cast<size_t>(t) * shape_.bytes;
    uint8_t* values = scales + shape_.scale_bytes;
    std::memset(scales, 0, shape_.bytes);
    const int64_t first = t * kTileRows;
    const int count = static_cast<int>(std::min<int64_t>(kTileRows, rows_ - first));
    for (int row = 0; row < count; ++row) {
      const uint8_t* in =
          static_cast<const uint8_t*>(rows) + static_cast<size_t>(first + row) * row_bytes;
      if (stored_ != type_) {
        round_f16_row(in, width_, row, scales, values);
        continue;
      }
      switch (type_) {
        case GGML_TYPE_Q8_0:
          pack_q8_row(in, blocks, row, scales, values);
          break;
        case GGML_TYPE_Q4_K:
          pack_q4_row(in, blocks / 8, row, scales, values);
          break;
        case GGML_TYPE_Q6_K:
          pack_q6_row(in, blocks / 8, row, scales, values);
          break;
        case GGML_TYPE_BF16:
          pack_bf16_row(in, width_, row, values);
          break;
        case GGML_TYPE_F16:
          pack_float_row<2>(in, width_, row, values);
          break;
        default:
          pack_float_row<4>(in, width_, row, values);
      }
    }
  }
}

}  // namespace xgenmm
