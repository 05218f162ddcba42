#pragma once

// N values side by side, for the files that are compiled once for each instruction set: everything
// here and in what includes it has internal linkage and calls nothing inline from elsewhere, so
// that no function made for a newer processor can take the place of one made for every processor.
// GCC's and Clang's vector types.

#include <cstdint>
#include <cstring>

namespace xgenmm {
namespace {

template <int N>
struct VectorTypes {
  typedef float Floats __attribute__((vector_size(N * sizeof(float))));
  typedef int32_t Ints __attribute__((vector_size(N * sizeof(int32_t))));
};

template <int N>
using Floats = typename VectorTypes<N>::Floats;
// Also what comparing gives: all bits of a lane set, or none.
template <int N>
using Ints = typename VectorTypes<N>::Ints;

template <int N>
Ints<N> bits_of(const Floats<N>& x) {
  Ints<N> bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

template <int N>
Floats<N> from_bits(const Ints<N>& bits) {
  Floats<N> x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

template <int N>
Floats<N> magnitude(const Floats<N>& x) {
  return from_bits<N>(bits_of<N>(x) & 0x7FFFFFFF);
}

template <int N>
Floats<N> square_root(const Floats<N>& x) {
  Floats<N> root;
  for (int lane = 0; lane < N; ++lane) root[lane] = __builtin_sqrtf(x[lane]);
  return root;
}

template <int N>
Floats<N> to_floats(const Ints<N>& x) {
  return __builtin_convertvector(x, Floats<N>);
}

template <int N>
bool any(const Ints<N>& mask) {
  int32_t lanes[N];
  std::memcpy(lanes, &mask, sizeof lanes);
  int32_t some = 0;
  for (int lane = 0; lane < N; ++lane) some |= lanes[lane];
  return some != 0;
}

template <int N>
Ints<N> clamp(const Ints<N>& x, int32_t lowest, int32_t highest) {
  const Ints<N> limited = x < highest ? x : Ints<N>{} + highest;
  return limited > lowest ? limited : Ints<N>{} + lowest;
}

// Adding 1.5 * 2^23 rounds to an integer, which then is in the low bits of the sum.
constexpr float kRound = 12582912.0f;

// Beyond kRoundLimit the result is as meaningless, but also the same, as that of ggml's
// nearest_int().
constexpr float kRoundLimit = 4194303.0f;
template <int N>
Ints<N> nearest(const Floats<N>& x) {
  return (bits_of<N>(x + kRound) & 0x007FFFFF) - 0x00400000;
}

// clamp(nearest(x)) as floats, for |x| <= kRoundLimit.
template <int N>
Floats<N> nearest_within(const Floats<N>& x, float lowest, float highest) {
  const Floats<N> shifted = x + kRound;
  const Floats<N> low = Floats<N>{} + (kRound + lowest), high = Floats<N>{} + (kRound + highest);
  const Floats<N> limited = shifted < high ? shifted : high;
  return (limited > low ? limited : low) - kRound;
}

}  // namespace
}  // namespace xgenmm
