#pragma once

#include <string>
#include <vector>

namespace xgenmm {

// Sets of instructions that kernels are written for.
enum class CpuFeature {
  kSse42,  // SSE up to 4.2, SSSE3 among them
  kAvx2,  // with FMA and F16C; needs the former
  kAvxVnni,  // needs AVX2
  kAvx512,  // F, BW, DQ and VL; needs AVX2
  kAvx512Vnni,  // needs AVX-512, as does the next
  kAvx512Bf16,
  kAmx,  // its tiles, for bytes; needs AVX-512 VNNI; on Linux only
  kSlowBf16,  // Intel's, where products in bf16 take twice as long as in f32
  kNeon,  // of arm64
  kDotProd,  // products of signed bytes; needs NEON
  kI8mm,  // those of unsigned with signed ones as well; needs the former
};

// Whether the processor has it, the build knows it and nobody wants to do without it: the
// environment variable XGENMM_WITHOUT may name features (sse42, avx2, avxvnni, avx512, avx512vnni,
// avx512bf16, slowbf16, amx, neon, dotprod, i8mm, separated by commas), for tests and comparisons.
// What needs a feature goes with it. engine/model knows `speculation` there.
bool cpu_has(CpuFeature feature);

// The names of all sets of instructions that cpu_has().
std::vector<std::string> cpu_feature_names();

// Asks the system for the registers of AMX, which a process must before it uses them; they make
// what a thread's signal stack must hold larger. Whether it may.
bool may_use_amx();

// For tests: from here on, as if XGENMM_WITHOUT were this. Models that are loaded already must not
// be used until it is taken back.
void do_without(const char* features);

}  // namespace xgenmm
