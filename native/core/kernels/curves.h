#pragma once

// After one of lanes_*.h.

namespace xgenmm {
namespace {

// 2^x for |x| <= 126.
inline Floats exp2(Floats x) {
  const Floats whole = nearest(x);
  const Floats r = sub(x, whole);
  // Minimax polynomial of 2^r for |r| <= 0.5, relative error 2e-9.
  constexpr float kLower[] = {1.33999312e-3f, 9.61848896e-3f, 5.55032878e-2f,
                              0.240226469f,   0.693147206f,   1.0f};
  Floats p = spread(1.5345812e-4f);
  for (const float c : kLower) p = fma(p, r, spread(c));
  return scale_by_power(p, whole);
}

// 2^x for x <= 0, exactly 0 below -126 and where x is no number.
inline Floats exp2_or_zero(Floats x) {
  const Mask normal = is_greater(x, spread(-126.0f));
  return choose(normal, exp2(choose(normal, x, zeros())), zeros());
}

inline Floats clamp(Floats x, float limit) {
  return min(max(x, spread(-limit)), spread(limit));
}

// x / (1 + 2^t)
inline Floats gated(Floats x, Floats t) {
  return div(x, add(spread(1.0f), exp2(t)));
}

// As gelu_tanh() in gelu.cpp.
inline Floats gelu(Floats x) {
  const Floats c = clamp(x, 10.0f);
  const Floats slope = fma(spread(-0.1029432396f), mul(c, c), spread(-2.302208198f));
  return gated(x, mul(c, slope));
}

inline Floats silu(Floats x) {
  constexpr float kMinusLog2E = -1.44269504f;
  return gated(x, clamp(mul(x, spread(kMinusLog2E)), 126.0f));
}

}  // namespace
}  // namespace xgenmm
