#pragma once

// Puts every round of the loop that follows into a row, so that arrays become registers.
#if defined(__clang__)
#define XGENMM_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__GNUC__)
#define XGENMM_UNROLL _Pragma("GCC unroll 16")
#else
#define XGENMM_UNROLL
#endif
