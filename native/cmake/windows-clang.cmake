# Toolchain for Windows: clang with Microsoft's headers and libraries, in a developer's command prompt. cl does not know
# the vectors of native/core/kernels.
set(CMAKE_C_COMPILER clang)
set(CMAKE_CXX_COMPILER clang++)
set(CMAKE_RC_COMPILER llvm-rc)
