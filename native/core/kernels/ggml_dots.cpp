#include "kernels/ggml_dots.h"

#include "kernels/cpu_features.h"

// What native/cmake/ggml_dots.cmake compiles again, for x86-64 and arm64 alike: the types of
// weights, and how ggml names their functions.
#define XGENMM_DOTS(DOT, set)     \
  DOT(Q4_0, q4_0_q8_0, set)       \
  DOT(Q4_1, q4_1_q8_1, set)       \
  DOT(Q5_0, q5_0_q8_0, set)       \
  DOT(Q5_1, q5_1_q8_1, set)       \
  DOT(Q8_0, q8_0_q8_0, set)       \
  DOT(MXFP4, mxfp4_q8_0, set)     \
  DOT(NVFP4, nvfp4_q8_0, set)     \
  DOT(Q2_K, q2_K_q8_K, set)       \
  DOT(Q3_K, q3_K_q8_K, set)       \
  DOT(Q4_K, q4_K_q8_K, set)       \
  DOT(Q5_K, q5_K_q8_K, set)       \
  DOT(Q6_K, q6_K_q8_K, set)       \
  DOT(IQ1_S, iq1_s_q8_K, set)     \
  DOT(IQ1_M, iq1_m_q8_K, set)     \
  DOT(IQ2_XXS, iq2_xxs_q8_K, set) \
  DOT(IQ2_XS, iq2_xs_q8_K, set)   \
  DOT(IQ2_S, iq2_s_q8_K, set)     \
  DOT(IQ3_XXS, iq3_xxs_q8_K, set) \
  DOT(IQ3_S, iq3_s_q8_K, set)     \
  DOT(IQ4_NL, iq4_nl_q8_0, set)   \
  DOT(IQ4_XS, iq4_xs_q8_K, set)   \
  DOT(TQ1_0, tq1_0_q8_K, set)     \
  DOT(TQ2_0, tq2_0_q8_K, set)
#define XGENMM_DECLARE_DOT(type, name, set)                                                       \
  void ggml_vec_dot_##name##_##set(int, float*, size_t, const void*, size_t, const void*, size_t, \
                                   int);
#define XGENMM_DOT_CASE(type, name, set) \
  case GGML_TYPE_##type:                 \
    return ggml_vec_dot_##name##_##set;
// Declares the functions of a set, and find_dot_<set>() and find_round_<set>(), which are null for
// other types.
#define XGENMM_DOT_SET(set)                                   \
  extern "C" {                                                \
  void quantize_row_q8_0_##set(const float*, void*, int64_t); \
  void quantize_row_q8_1_##set(const float*, void*, int64_t); \
  void quantize_row_q8_K_##set(const float*, void*, int64_t); \
  XGENMM_DOTS(XGENMM_DECLARE_DOT, set)                        \
  }                                                           \
  static ggml_vec_dot_t find_dot_##set(ggml_type type) {      \
    switch (type) {                                           \
      XGENMM_DOTS(XGENMM_DOT_CASE, set)                       \
      default:                                                \
        return nullptr;                                       \
    }                                                         \
  }                                                           \
  static ggml_from_float_t find_round_##set(ggml_type type) { \
    switch (type) {                                           \
      case GGML_TYPE_Q8_0:                                    \
        return quantize_row_q8_0_##set;                       \
      case GGML_TYPE_Q8_1:                                    \
        return quantize_row_q8_1_##set;                       \
      case GGML_TYPE_Q8_K:                                    \
        return quantize_row_q8_K_##set;                       \
      default:                                                \
        return nullptr;                                       \
    }                                                         \
  }

#ifdef XGENMM_SSE42
XGENMM_DOT_SET(sse42)
#endif
#ifdef XGENMM_AVX2
XGENMM_DOT_SET(avx2)
#endif
#ifdef XGENMM_DOTPROD
XGENMM_DOT_SET(dotprod)
#endif

namespace xgenmm {

GgmlDots::GgmlDots(ggml_type weights) {
  const ggml_type_traits_cpu* traits = ggml_get_type_traits_cpu(weights);
  columns = traits->vec_dot_type;
  round = ggml_get_type_traits_cpu(columns)->from_float;
  dot = traits->vec_dot;
  [[maybe_unused]] const auto take = [this](ggml_vec_dot_t better_dot,
                                            ggml_from_float_t better_round) {
    if (better_dot == nullptr || better_round == nullptr) return;
    dot = better_dot;
    round = better_round;
  };
  // The best is asked last.
#ifdef XGENMM_SSE42
  if (cpu_has(CpuFeature::kSse42)) take(find_dot_sse42(weights), find_round_sse42(columns));
#endif
#ifdef XGENMM_AVX2
  if (cpu_has(CpuFeature::kAvx2)) take(find_dot_avx2(weights), find_round_avx2(columns));
#endif
#ifdef XGENMM_DOTPROD
  if (cpu_has(CpuFeature::kDotProd)) take(find_dot_dotprod(weights), find_round_dotprod(columns));
#endif
}

}  // namespace xgenmm
