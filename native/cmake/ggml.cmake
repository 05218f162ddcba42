# The pinned ggml as static libraries with hidden symbols, so that another package's copy in the same process is
# never bound to ours. GGML_SOURCE_DIR is set by scripts/build-addon.mjs.
if(NOT EXISTS "${GGML_SOURCE_DIR}/CMakeLists.txt")
  message(FATAL_ERROR "GGML_SOURCE_DIR must be ggml's source folder; run `npm run build`, which fetches it")
endif()

set(BUILD_SHARED_LIBS OFF)
set(GGML_STATIC OFF CACHE BOOL "" FORCE)
set(GGML_OPENMP OFF CACHE BOOL "" FORCE)
set(GGML_CCACHE OFF CACHE BOOL "" FORCE)
set(GGML_ACCELERATE OFF CACHE BOOL "" FORCE)
set(GGML_BLAS OFF CACHE BOOL "" FORCE)
set(XGENMM_GPU "" CACHE STRING "GPUs to compute on beside the CPU: cuda, metal or vulkan; none if empty")
set(known_gpus cuda metal vulkan)
if(XGENMM_GPU AND NOT XGENMM_GPU IN_LIST known_gpus)
  message(FATAL_ERROR "XGENMM_GPU must be one of cuda, metal, vulkan or empty, received \"${XGENMM_GPU}\"")
endif()
foreach(gpu IN LISTS known_gpus)
  string(TOUPPER ${gpu} upper)
  if(gpu STREQUAL XGENMM_GPU)
    set(GGML_${upper} ON CACHE BOOL "" FORCE)
  else()
    set(GGML_${upper} OFF CACHE BOOL "" FORCE)
  endif()
endforeach()
set(GGML_METAL_EMBED_LIBRARY ON CACHE BOOL "" FORCE)
# tinyBLAS adds up a column in another order when it stands alone, so decode and prefill would differ in the last bits.
set(GGML_LLAMAFILE OFF CACHE BOOL "" FORCE)
# Repacked weights need buffers of their own; ours stay mapped from the file.
set(GGML_CPU_REPACK OFF CACHE BOOL "" FORCE)
# One file runs on every processor of its kind: what is worth an instruction set is in native/core/kernels, which is
# compiled in every set and chooses at run time.
set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
foreach(set SSE42 AVX AVX2 BMI2 FMA F16C)
  set(GGML_${set} OFF CACHE BOOL "" FORCE)
endforeach()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_CXX_VISIBILITY_PRESET hidden)
set(CMAKE_VISIBILITY_INLINES_HIDDEN ON)
add_subdirectory("${GGML_SOURCE_DIR}" "${CMAKE_BINARY_DIR}/ggml" EXCLUDE_FROM_ALL)

# Where the processor can, ggml adds up products of f16 values in f16, which costs more than the fixtures allow.
include(CheckCCompilerFlag)
check_c_compiler_flag(-mno-avx512fp16 XGENMM_KNOWS_AVX512FP16)
if(XGENMM_KNOWS_AVX512FP16)
  target_compile_options(ggml-cpu PRIVATE -mno-avx512fp16)
endif()
