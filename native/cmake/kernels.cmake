# The kernels of native/core/kernels are compiled once for each set of instructions that the compiler knows; elsewhere
# ggml's own are used. gcc on Windows does not align the stack for the vectors.
include(CheckCXXSourceCompiles)

set(kernels native/core/kernels)
set(kernel_definitions)
# Floats that are multiplied and added are rounded twice unless the kernel says otherwise, in every compiler.
set(kernel_options -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc 12 takes the undefined values in its own intrinsics for ours.
  list(APPEND kernel_options -Wno-maybe-uninitialized -Wno-uninitialized)
endif()

if(XGENMM_SANITIZE)
  # Sanitizers put so much into unrolled loops that a kernel takes half a minute otherwise.
  list(APPEND kernel_options -O1)
endif()

# Compiles the files *_<set>.cpp with `options` if the compiler can make `statement` of them; without it they are left
# out. The functions that choose among the sets are told (XGENMM_<SET>).
function(add_kernel_set set options statement)
  string(TOUPPER "XGENMM_${set}" definition)
  string(REPLACE ";" " " CMAKE_REQUIRED_FLAGS "-O2;${options}")
  check_cxx_source_compiles("
#if !defined(__GNUC__) || (defined(__x86_64__) && defined(_WIN32) && !defined(__clang__))
#error
#elif defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
int main(int count, char** values) { ${statement}; }" ${definition})
  file(GLOB files CONFIGURE_DEPENDS ${kernels}/*_${set}.cpp)
  if(${definition})
    set_source_files_properties(${files} PROPERTIES COMPILE_OPTIONS "${kernel_options};${options}")
    set(kernel_definitions "${kernel_definitions};${definition}" PARENT_SCOPE)
  else()
    set(unknown_kernels "${unknown_kernels};${files}" PARENT_SCOPE)
  endif()
endfunction()

if(NOT MSVC)
  file(GLOB plain_kernels CONFIGURE_DEPENDS ${kernels}/*_plain.cpp)
  set_source_files_properties(${plain_kernels} PROPERTIES COMPILE_OPTIONS "${kernel_options}")
endif()

# Processors are checked for these in cpu_features.cpp.
set(sse42 -msse4.2)
add_kernel_set(sse42 "${sse42}" "return _mm_movemask_ps(_mm_cvtepi32_ps(_mm_maddubs_epi16(_mm_cvtepi8_epi16(__m128i()), __m128i())))")
set(avx2 -mavx2 -mfma -mf16c)
set(avx512 ${avx2} -mavx512f -mavx512bw -mavx512dq -mavx512vl)
add_kernel_set(avx2 "${avx2}" "return _mm256_movemask_ps(_mm256_fmadd_ps(__m256(), __m256(), _mm256_cvtph_ps(__m128i())))")
add_kernel_set(avxvnni "${avx2};-mavxvnni"
  "return _mm256_movemask_epi8(_mm256_dpbusd_avx_epi32(__m256i(), __m256i(), __m256i()))")
add_kernel_set(avx512 "${avx512}" "return _mm512_reduce_add_epi32(_mm512_cvtps_epi32(_mm512_cvtph_ps(__m256i())))")
add_kernel_set(avx512vnni "${avx512};-mavx512vnni"
  "return _mm512_reduce_add_epi32(_mm512_dpbusd_epi32(__m512i(), __m512i(), __m512i()))")
# Linux alone, where a process asks for the registers.
add_kernel_set(amx "${avx512};-mavx512vnni;-mamx-tile;-mamx-int8" "
#ifndef __linux__
#error
#endif
  _tile_zero(0); _tile_dpbssd(0, 1, 2)")
# What clang 16 crashes on, if it optimises.
add_kernel_set(avx512bf16 "${avx512};-mavx512bf16" "return _mm512_reduce_add_epi32(_mm512_cvtps_epi32(
  _mm512_dpbf16_ps(__m512(), (__m512bh)_mm512_loadu_si512(values), (__m512bh)_mm512_set1_epi32(count))))")

# On arm64.
set(neon)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # gcc orders instructions before it assigns registers, and then has too few of them for the sums.
  set(neon -fno-schedule-insns)
endif()
set(dotprod ${neon} -march=armv8.2-a+dotprod)
set(i8mm ${neon} -march=armv8.2-a+dotprod+i8mm)
add_kernel_set(neon "${neon}" "return vaddvq_f32(vfmaq_f32(vdupq_n_f32(1), vdupq_n_f32(2), vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(3)))))")
add_kernel_set(dotprod "${dotprod}" "return vaddvq_s32(vdotq_s32(vdupq_n_s32(1), vdupq_n_s8(2), vdupq_n_s8(3)))")
add_kernel_set(i8mm "${i8mm}" "return vaddvq_s32(vusdotq_s32(vdupq_n_s32(1), vdupq_n_u8(2), vdupq_n_s8(3)))")

set_source_files_properties(${kernels}/cpu_features.cpp ${kernels}/packed_product.cpp ${kernels}/attention.cpp
  ${kernels}/cached_attention.cpp ${kernels}/norm.cpp ${kernels}/ggml_dots.cpp native/tests/tiled_product_amx_test.cpp
  PROPERTIES COMPILE_DEFINITIONS "${kernel_definitions}")

# Tests of the kernel for AMX, with tiles in plain C++, need only the lanes.
if(XGENMM_AVX512VNNI)
  set_source_files_properties(native/tests/tiled_product_emulated.cpp
    PROPERTIES COMPILE_OPTIONS "${kernel_options};${avx512};-mavx512vnni")
endif()
