#pragma once

// As lanes_avx512.h, for NEON, which every arm64 processor has: sixteen lanes are four vectors.
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace xgenmm {
namespace {

constexpr int kLanes = 16;
constexpr int kTilesAtOnce = 1;
constexpr int kColumnsAtOnce = 6;
constexpr int kQueriesAtOnce = 6;
constexpr int kValuesAtOnce = 1;

// Four lanes each. Not arrays: compilers keep these in registers.
struct Floats {
  float32x4_t a, b, c, d;
};
struct Mask {
  uint32x4_t a, b, c, d;
};
struct Bytes {
  uint8x16_t a, b, c, d;
};

// Calls make(quarters of each x) for each of the four.
template <typename Make, typename... Xs>
inline Floats each(const Make& make, const Xs&... xs) {
  return {make(xs.a...), make(xs.b...), make(xs.c...), make(xs.d...)};
}

inline Mask first_lanes(int64_t count) {
  const uint32x4_t limit = vdupq_n_u32(count >= kLanes ? kLanes : static_cast<uint32_t>(count));
  constexpr uint32_t kNumbers[] = {0, 1, 2, 3};
  const uint32x4_t numbers = vld1q_u32(kNumbers);
  const auto from = [&](uint32_t first) {
    return vcltq_u32(vaddq_u32(numbers, vdupq_n_u32(first)), limit);
  };
  return {from(0), from(4), from(8), from(12)};
}

inline Floats spread(float x) {
  const float32x4_t all = vdupq_n_f32(x);
  return {all, all, all, all};
}
inline Floats zeros() {
  return spread(0.0f);
}
inline Floats load(const float* at) {
  return {vld1q_f32(at), vld1q_f32(at + 4), vld1q_f32(at + 8), vld1q_f32(at + 12)};
}
inline Floats load_first(const float* at, int64_t count) {
  if (count >= kLanes) return load(at);
  const auto quarter = [&](int64_t first) {
    const int64_t left = count - first;
    float32x4_t x = vdupq_n_f32(0.0f);
    if (left >= 4) return vld1q_f32(at + first);
    if (left >= 1) x = vld1q_lane_f32(at + first, x, 0);
    if (left >= 2) x = vld1q_lane_f32(at + first + 1, x, 1);
    if (left >= 3) x = vld1q_lane_f32(at + first + 2, x, 2);
    return x;
  };
  return {quarter(0), quarter(4), quarter(8), quarter(12)};
}
inline Floats load_f16(const void* at) {
  // Halves may lie anywhere, as bytes may.
  const uint8_t* bytes = static_cast<const uint8_t*>(at);
  const float16x8_t front = vreinterpretq_f16_u8(vld1q_u8(bytes));
  const float16x8_t back = vreinterpretq_f16_u8(vld1q_u8(bytes + 16));
  return {vcvt_f32_f16(vget_low_f16(front)), vcvt_high_f32_f16(front),
          vcvt_f32_f16(vget_low_f16(back)), vcvt_high_f32_f16(back)};
}
inline Floats load_first_f16(const void* at, int64_t count) {
  if (count >= kLanes) return load_f16(at);
  uint16_t halves[kLanes] = {};
  std::memcpy(halves, at, static_cast<size_t>(count) * 2);
  return load_f16(halves);
}
inline Floats spread_f16(const void* at) {
  uint16_t half;
  std::memcpy(&half, at, sizeof half);
  const float32x4_t all = vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(half)));
  return {all, all, all, all};
}
inline Floats load_i8(const void* at) {
  const int8x16_t bytes = vld1q_s8(static_cast<const int8_t*>(at));
  const int16x8_t front = vmovl_s8(vget_low_s8(bytes)), back = vmovl_high_s8(bytes);
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(front))), vcvtq_f32_s32(vmovl_high_s16(front)),
          vcvtq_f32_s32(vmovl_s16(vget_low_s16(back))), vcvtq_f32_s32(vmovl_high_s16(back))};
}
inline Floats load_u8(const void* at) {
  const uint8x16_t bytes = vld1q_u8(static_cast<const uint8_t*>(at));
  const uint16x8_t front = vmovl_u8(vget_low_u8(bytes)), back = vmovl_high_u8(bytes);
  return {vcvtq_f32_u32(vmovl_u16(vget_low_u16(front))), vcvtq_f32_u32(vmovl_high_u16(front)),
          vcvtq_f32_u32(vmovl_u16(vget_low_u16(back))), vcvtq_f32_u32(vmovl_high_u16(back))};
}
inline void store(float* at, Floats x) {
  vst1q_f32(at, x.a);
  vst1q_f32(at + 4, x.b);
  vst1q_f32(at + 8, x.c);
  vst1q_f32(at + 12, x.d);
}
inline void store_first(float* at, Floats x, int64_t count) {
  if (count >= kLanes) return store(at, x);
  const auto quarter = [&](float32x4_t part, int64_t first) {
    const int64_t left = count - first;
    if (left >= 4) return vst1q_f32(at + first, part);
    if (left >= 1) vst1q_lane_f32(at + first, part, 0);
    if (left >= 2) vst1q_lane_f32(at + first + 1, part, 1);
    if (left >= 3) vst1q_lane_f32(at + first + 2, part, 2);
  };
  quarter(x.a, 0);
  quarter(x.b, 4);
  quarter(x.c, 8);
  quarter(x.d, 12);
}
inline void store_i8(int8_t* at, Floats x) {
  const auto narrow = [](float32x4_t low, float32x4_t high) {
    const int16x4_t words = vqmovn_s32(vcvtnq_s32_f32(low));
    return vqmovn_s16(vqmovn_high_s32(words, vcvtnq_s32_f32(high)));
  };
  vst1_s8(at, narrow(x.a, x.b));
  vst1_s8(at + 8, narrow(x.c, x.d));
}

inline Floats add(Floats x, Floats y) {
  return each([](float32x4_t p, float32x4_t q) { return vaddq_f32(p, q); }, x, y);
}
inline Floats sub(Floats x, Floats y) {
  return each([](float32x4_t p, float32x4_t q) { return vsubq_f32(p, q); }, x, y);
}
inline Floats mul(Floats x, Floats y) {
  return each([](float32x4_t p, float32x4_t q) { return vmulq_f32(p, q); }, x, y);
}
inline Floats div(Floats x, Floats y) {
  return each([](float32x4_t p, float32x4_t q) { return vdivq_f32(p, q); }, x, y);
}
// vminq_f32 would give what is no number.
inline float32x4_t min_of(float32x4_t p, float32x4_t q) {
  return vbslq_f32(vcltq_f32(p, q), p, q);
}
inline float32x4_t max_of(float32x4_t p, float32x4_t q) {
  return vbslq_f32(vcgtq_f32(p, q), p, q);
}
inline Floats min(Floats x, Floats y) {
  return each(min_of, x, y);
}
inline Floats max(Floats x, Floats y) {
  return each(max_of, x, y);
}
inline Floats abs(Floats x) {
  return each([](float32x4_t p) { return vabsq_f32(p); }, x);
}
inline Floats fma(Floats x, Floats y, Floats z) {
  return each([](float32x4_t p, float32x4_t q, float32x4_t r) { return vfmaq_f32(r, p, q); }, x, y,
              z);
}
inline Floats fnma(Floats x, Floats y, Floats z) {
  return each([](float32x4_t p, float32x4_t q, float32x4_t r) { return vfmsq_f32(r, p, q); }, x, y,
              z);
}
inline Floats nearest(Floats x) {
  return each([](float32x4_t p) { return vrndnq_f32(p); }, x);
}
inline Floats scale_by_power(Floats x, Floats power) {
  return each(
      [](float32x4_t p, float32x4_t q) {
        const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(q), vdupq_n_s32(127));
        return vmulq_f32(p, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
      },
      x, power);
}

inline Mask is_greater(Floats x, Floats y) {
  return {vcgtq_f32(x.a, y.a), vcgtq_f32(x.b, y.b), vcgtq_f32(x.c, y.c), vcgtq_f32(x.d, y.d)};
}
inline Floats choose(Mask mask, Floats yes, Floats no) {
  return each([](uint32x4_t m, float32x4_t p, float32x4_t q) { return vbslq_f32(m, p, q); }, mask,
              yes, no);
}
inline bool has_nan(Floats x) {
  const uint32x4_t front = vandq_u32(vceqq_f32(x.a, x.a), vceqq_f32(x.b, x.b));
  const uint32x4_t back = vandq_u32(vceqq_f32(x.c, x.c), vceqq_f32(x.d, x.d));
  return vminvq_u32(vandq_u32(front, back)) == 0;
}

inline float sum(Floats x) {
  const float32x4_t four = vaddq_f32(vaddq_f32(x.a, x.c), vaddq_f32(x.b, x.d));
  return vaddv_f32(vadd_f32(vget_low_f32(four), vget_high_f32(four)));
}
inline float largest(Floats x) {
  const float32x4_t four = max_of(max_of(x.a, x.c), max_of(x.b, x.d));
  const float32x4_t two = max_of(four, vextq_f32(four, four, 2));
  return vgetq_lane_f32(max_of(two, vdupq_laneq_f32(two, 1)), 0);
}

inline bool all_are(const uint16_t* at, int64_t count, uint16_t value) {
  if (count < kLanes) {
    for (int64_t i = 0; i < count; ++i) {
      if (at[i] != value) return false;
    }
    return true;
  }
  const uint16x8_t wanted = vdupq_n_u16(value);
  const uint16x8_t front = vceqq_u16(vld1q_u16(at), wanted);
  return vminvq_u16(vandq_u16(front, vceqq_u16(vld1q_u16(at + 8), wanted))) != 0;
}

inline void transpose_quarter(float32x4_t& a, float32x4_t& b, float32x4_t& c, float32x4_t& d) {
  const auto wide = [](float32x4_t x) { return vreinterpretq_f64_f32(x); };
  const auto narrow = [](float64x2_t x) { return vreinterpretq_f32_f64(x); };
  const float64x2_t even_ab = wide(vtrn1q_f32(a, b)), odd_ab = wide(vtrn2q_f32(a, b));
  const float64x2_t even_cd = wide(vtrn1q_f32(c, d)), odd_cd = wide(vtrn2q_f32(c, d));
  a = narrow(vtrn1q_f64(even_ab, even_cd));
  b = narrow(vtrn1q_f64(odd_ab, odd_cd));
  c = narrow(vtrn2q_f64(even_ab, even_cd));
  d = narrow(vtrn2q_f64(odd_ab, odd_cd));
}

inline void transpose(Floats rows[kLanes]) {
  // [four rows][four values] each
  float32x4_t parts[4][4][4];
  for (int i = 0; i < kLanes; ++i) {
    const float32x4_t row[] = {rows[i].a, rows[i].b, rows[i].c, rows[i].d};
    for (int j = 0; j < 4; ++j) parts[i / 4][j][i % 4] = row[j];
  }
  for (auto& four : parts) {
    for (auto& part : four) transpose_quarter(part[0], part[1], part[2], part[3]);
  }
  for (int i = 0; i < kLanes; ++i) {
    const auto part = [&](int j) { return parts[j][i / 4][i % 4]; };
    rows[i] = {part(0), part(1), part(2), part(3)};
  }
}

inline Bytes load_bytes(const void* at) {
  const uint8_t* bytes = static_cast<const uint8_t*>(at);
  return {vld1q_u8(bytes), vld1q_u8(bytes + 16), vld1q_u8(bytes + 32), vld1q_u8(bytes + 48)};
}
inline Bytes low_nibbles(Bytes x) {
  const uint8x16_t low = vdupq_n_u8(15);
  return {vandq_u8(x.a, low), vandq_u8(x.b, low), vandq_u8(x.c, low), vandq_u8(x.d, low)};
}
inline Bytes high_nibbles(Bytes x) {
  return {vshrq_n_u8(x.a, 4), vshrq_n_u8(x.b, 4), vshrq_n_u8(x.c, 4), vshrq_n_u8(x.d, 4)};
}
inline Bytes add_pair_of_bits(Bytes nibbles, Bytes pairs, int index) {
  // To the right where it is negative.
  const int8x16_t shift = vdupq_n_s8(static_cast<int8_t>(4 - 2 * index));
  const auto with = [&](uint8x16_t low, uint8x16_t bits) {
    return vbslq_u8(vdupq_n_u8(48), vshlq_u8(bits, shift), low);
  };
  return {with(nibbles.a, pairs.a), with(nibbles.b, pairs.b), with(nibbles.c, pairs.c),
          with(nibbles.d, pairs.d)};
}

inline Floats even_bf16(Bytes x) {
  const auto widen = [](uint8x16_t pairs) {
    return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_u8(pairs), 16));
  };
  return {widen(x.a), widen(x.b), widen(x.c), widen(x.d)};
}
inline Floats odd_bf16(Bytes x) {
  const auto widen = [](uint8x16_t pairs) {
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_u8(pairs), vdupq_n_u32(0xFFFF0000)));
  };
  return {widen(x.a), widen(x.b), widen(x.c), widen(x.d)};
}

}  // namespace
}  // namespace xgenmm
