#include "quant/plain_rows.h"

#include <algorithm>
#include <cstring>

#include "quant/float_bits.h"

namespace xgenmm {

namespace {

// Loops without a branch, so that compilers vectorise them; and without an addition after a
// multiplication, which compilers for some processors would fuse.

uint16_t narrow_half(float value) {
  const uint32_t sign = to_bits(value) >> 16 & 0x8000;
  const uint32_t magnitude = to_bits(value) & 0x7fffffff;
  // All ones below 2^-14: from the sign of a difference, for a comparison becomes a branch.
  const uint32_t small = 0 - ((magnitude - (uint32_t{127 - 14} << 23)) >> 31);
  // Beside 0.5 a float's last bit stands for 2^-24, as an f16's does below 2^-14: adding rounds.
  const uint32_t half = small & (uint32_t{127 - 1} << 23);
  const uint32_t bits = to_bits(from_bits(magnitude) + from_bits(half));
  const uint32_t rebased = bits - (uint32_t{127 - 15} << 23);
  const uint32_t rounded = (rebased + 0xfff + (rebased >> 13 & 1)) >> 13;
  return static_cast<uint16_t>(sign | ((bits - half) & small) | (rounded & ~small));
}

constexpr int kBlock = 32;

// As ggml-common.h has it.
struct BlockQ8 {
  ggml_fp16_t scale;
  int8_t values[kBlock];
};
static_assert(sizeof(BlockQ8) == 34, "q8_0's block has 34 bytes");

void convert_block(const float* values, BlockQ8& block) {
  int32_t largest = 0;
  for (int i = 0; i < kBlock; ++i)
    largest = std::max(largest, static_cast<int32_t>(to_bits(values[i]) & 0x7fffffff));
  const float scale = from_bits(static_cast<uint32_t>(largest)) / 127;
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  // The inverse of a subnormal may be infinite; what ggml makes of that is its own affair.
  if (!(inverse < 1e38f)) {
    ggml_quantize_chunk(GGML_TYPE_Q8_0, values, &block, 0, 1, kBlock, nullptr);
    return;
  }
  block.scale = ggml_fp32_to_fp16(scale);
  const float doubled = 2 * inverse;
  for (int i = 0; i < kBlock; ++i) {
    // Halves are rounded away from zero, as by roundf: whole numbers of halves, plus one, halved.
    const int32_t halves = static_cast<int32_t>(values[i] * doubled);
    block.values[i] = static_cast<int8_t>((halves + (halves < 0 ? -1 : 1)) / 2);
  }
}

}  // namespace

void convert_to_f16(const float* values, void* out, int64_t count) {
  uint16_t* halves = static_cast<uint16_t*>(out);
  for (int64_t i = 0; i < count; ++i) halves[i] = narrow_half(values[i]);
}

void convert_to_q8_0(const float* values, void* out, int64_t count) {
  BlockQ8* blocks = static_cast<BlockQ8*>(out);
  for (int64_t i = 0; i < count / kBlock; ++i) convert_block(values + i * kBlock, blocks[i]);
}

}  // namespace xgenmm
