#pragma once

// As lanes_avx512.h, in plain C++ for every processor; compilers make vectors of it where they can.
#include <cmath>
#include <cstdint>
#include <cstring>

#include "ggml.h"

namespace xgenmm {
namespace {

constexpr int kLanes = 16;
constexpr int kTilesAtOnce = 1;
constexpr int kColumnsAtOnce = 2;
constexpr int kQueriesAtOnce = 4;
constexpr int kValuesAtOnce = 1;

struct Floats {
  float lanes[kLanes];
};
struct Mask {
  bool lanes[kLanes];
};

// Calls make(lane) for each.
template <typename Make>
inline Floats each(const Make& make) {
  Floats x;
  for (int i = 0; i < kLanes; ++i) x.lanes[i] = make(i);
  return x;
}

inline Mask first_lanes(int64_t count) {
  Mask mask;
  for (int i = 0; i < kLanes; ++i) mask.lanes[i] = i < count;
  return mask;
}

inline Floats spread(float x) {
  return each([=](int) { return x; });
}
inline Floats zeros() {
  return spread(0.0f);
}
inline Floats load(const float* at) {
  Floats x;
  std::memcpy(x.lanes, at, sizeof x.lanes);
  return x;
}
inline Floats load_first(const float* at, int64_t count) {
  return each([=](int i) { return i < count ? at[i] : 0.0f; });
}
inline Floats load_first_f16(const void* at, int64_t count) {
  uint16_t halves[kLanes] = {};
  std::memcpy(halves, at, static_cast<size_t>(count < kLanes ? count : kLanes) * 2);
  return each([&](int i) { return ggml_fp16_to_fp32(halves[i]); });
}
inline Floats load_f16(const void* at) {
  return load_first_f16(at, kLanes);
}
inline Floats spread_f16(const void* at) {
  uint16_t half;
  std::memcpy(&half, at, sizeof half);
  return spread(ggml_fp16_to_fp32(half));
}
inline Floats load_i8(const void* at) {
  int8_t bytes[kLanes];
  std::memcpy(bytes, at, sizeof bytes);
  return each([&](int i) { return static_cast<float>(bytes[i]); });
}
inline void store(float* at, Floats x) {
  std::memcpy(at, x.lanes, sizeof x.lanes);
}
inline void store_first(float* at, Floats x, int64_t count) {
  std::memcpy(at, x.lanes, static_cast<size_t>(count < kLanes ? count : kLanes) * sizeof(float));
}

inline Floats add(Floats a, Floats b) {
  return each([&](int i) { return a.lanes[i] + b.lanes[i]; });
}
inline Floats sub(Floats a, Floats b) {
  return each([&](int i) { return a.lanes[i] - b.lanes[i]; });
}
inline Floats mul(Floats a, Floats b) {
  return each([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
inline Floats div(Floats a, Floats b) {
  return each([&](int i) { return a.lanes[i] / b.lanes[i]; });
}
inline Floats min(Floats a, Floats b) {
  return each([&](int i) { return a.lanes[i] < b.lanes[i] ? a.lanes[i] : b.lanes[i]; });
}
inline Floats max(Floats a, Floats b) {
  return each([&](int i) { return a.lanes[i] > b.lanes[i] ? a.lanes[i] : b.lanes[i]; });
}
inline Floats fma(Floats a, Floats b, Floats c) {
  return each([&](int i) { return a.lanes[i] * b.lanes[i] + c.lanes[i]; });
}
// By adding 1.5 * 2^23, for magnitudes below 2^22.
inline Floats nearest(Floats x) {
  constexpr float kRound = 12582912.0f;
  return each([&](int i) { return x.lanes[i] + kRound - kRound; });
}
inline Floats scale_by_power(Floats x, Floats power) {
  return each([&](int i) {
    const int32_t bits = (static_cast<int32_t>(power.lanes[i]) + 127) * (1 << 23);
    float factor;
    std::memcpy(&factor, &bits, sizeof factor);
    return x.lanes[i] * factor;
  });
}

inline Mask is_greater(Floats a, Floats b) {
  Mask mask;
  for (int i = 0; i < kLanes; ++i) mask.lanes[i] = a.lanes[i] > b.lanes[i];
  return mask;
}
inline Floats choose(Mask mask, Floats yes, Floats no) {
  return each([&](int i) { return mask.lanes[i] ? yes.lanes[i] : no.lanes[i]; });
}
inline bool has_nan(Floats x) {
  bool some = false;
  for (const float lane : x.lanes) some = some || std::isnan(lane);
  return some;
}

// Halves of the vector, of these and so on.
inline float sum(Floats x) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) x.lanes[i] += x.lanes[i + half];
  }
  return x.lanes[0];
}
inline float largest(Floats x) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) {
      if (x.lanes[i + half] > x.lanes[i]) x.lanes[i] = x.lanes[i + half];
    }
  }
  return x.lanes[0];
}

inline bool all_are(const uint16_t* at, int64_t count, uint16_t value) {
  for (int64_t i = 0; i < count && i < kLanes; ++i) {
    if (at[i] != value) return false;
  }
  return true;
}

inline void transpose(Floats rows[kLanes]) {
  for (int i = 0; i < kLanes; ++i) {
    for (int j = 0; j < i; ++j) {
      const float kept = rows[i].lanes[j];
      rows[i].lanes[j] = rows[j].lanes[i];
      rows[j].lanes[i] = kept;
    }
  }
}

}  // namespace
}  // namespace xgenmm
