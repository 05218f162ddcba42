# The kernels of native/core/kernels for AVX-512, its VNNI and its BF16; elsewhere ggml's own are used. gcc on Windows does
# not align the stack for the vectors.
include(CheckCXXSourceCompiles)
set(avx512_options -mavx512f -mavx512bw -mavx512dq -mavx512vl)
string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "${avx512_options} -mavx512vnni -mavx512bf16")
check_cxx_source_compiles("
#include <immintrin.h>
#if !defined(__x86_64__) || !defined(__GNUC__) || (defined(_WIN32) && !defined(__clang__))
#error
#endif
int main() {
  const __m512 sums = _mm512_dpbf16_ps(__m512(), __m512bh(), __m512bh());
  return _mm512_reduce_add_epi32(_mm512_dpbusd_epi32(__m512i(), __m512i(), _mm512_cvtps_epi32(sums)));
}" XGENMM_AVX512)
unset(CMAKE_REQUIRED_FLAGS)

if(XGENMM_AVX512)
  # gcc 12 takes the undefined values in its own intrinsics for ours.
  list(APPEND avx512_options -Wno-maybe-uninitialized -Wno-uninitialized)
  set_source_files_properties(native/core/kernels/attention_avx512.cpp native/core/kernels/norm_avx512.cpp
    PROPERTIES COMPILE_OPTIONS "${avx512_options}")
  set_source_files_properties(native/core/kernels/packed_product_vnni.cpp
    PROPERTIES COMPILE_OPTIONS "${avx512_options};-mavx512vnni")
  set_source_files_properties(native/core/kernels/packed_product_bf16.cpp
    PROPERTIES COMPILE_OPTIONS "${avx512_options};-mavx512bf16")
  set_source_files_properties(native/core/kernels/cpu_features.cpp native/core/kernels/packed_product.cpp
    native/core/kernels/attention.cpp native/core/kernels/norm.cpp
    PROPERTIES COMPILE_DEFINITIONS XGENMM_AVX512)
endif()
