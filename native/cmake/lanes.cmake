# The lanes of native/core/quant give ggml's bytes where neither compiler fuses a multiplication with an addition:
# in ggml's C on x86-64 without FMA, in ours by a flag. Elsewhere ggml's own functions are used: also on Windows, where
# MSVC lacks the vector types and gcc does not align the stack for them.
include(CheckCSourceCompiles)
check_c_source_compiles("
#if !defined(__x86_64__) || !defined(__GNUC__) || defined(_WIN32) || defined(__FMA__) || defined(__FAST_MATH__)
#error
#endif
int main(void) { return 0; }" XGENMM_LANES)

if(XGENMM_LANES)
  # Without -fno-math-errno a square root may be a call. Processors are checked for these sets in lane_rows.cpp.
  set(lane_options -ffp-contract=off -fno-math-errno)
  set(lane_files native/core/quant/lane_kernel_)
  set_source_files_properties(${lane_files}sse2.cpp PROPERTIES COMPILE_OPTIONS "${lane_options}")
  set_source_files_properties(${lane_files}avx2.cpp PROPERTIES COMPILE_OPTIONS "${lane_options};-mavx2")
  set_source_files_properties(${lane_files}avx512.cpp PROPERTIES COMPILE_OPTIONS
    "${lane_options};-mavx512f;-mavx512bw;-mavx512dq;-mavx512vl")
  set_source_files_properties(native/core/quant/lane_rows.cpp PROPERTIES COMPILE_DEFINITIONS XGENMM_LANES)
endif()
