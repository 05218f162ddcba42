#pragma once

#include <immintrin.h>

namespace xgenmm {

// 2^x for |x| <= 126.
inline __m512 exp2_avx512(__m512 x) {
  const __m512 whole = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 r = _mm512_sub_ps(x, whole);
  // Minimax polynomial of 2^r for |r| <= 0.5, relative error 2e-9.
  __m512 p = _mm512_set1_ps(1.5345812e-4f);
  for (const float c :
       {1.33999312e-3f, 9.61848896e-3f, 5.55032878e-2f, 0.240226469f, 0.693147206f, 1.0f}) {
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(c));
  }
  return _mm512_scalef_ps(p, whole);
}

}  // namespace xgenmm
