#pragma once

namespace xgenmm {

// Sets of instructions that kernels are written for, each with those before it.
enum class CpuFeature {
  kAvx512,  // F, BW, DQ and VL
  kAvx512Vnni,
  kAvx512Bf16,
};

// Whether the processor has it, the build knows it and nobody wants to do without it: the
// environment variable XGENMM_WITHOUT may name features (avx512, avx512vnni, avx512bf16, separated
// by commas), for tests and comparisons. engine/model knows `speculation` there.
bool cpu_has(CpuFeature feature);

// For tests: from here on, as if XGENMM_WITHOUT were this. Models that are loaded already must not
// be used until it is taken back.
void do_without(const char* features);

}  // namespace xgenmm
