#pragma once

#include <cstdlib>

#include "kernels/cpu_features.h"

namespace xgenmm::test {

// As long as it lives the processor does without some features.
class Without {
 public:
  explicit Without(const char* features) { do_without(features); }
  ~Without() { do_without(std::getenv("XGENMM_WITHOUT")); }
  Without(const Without&) = delete;
  Without& operator=(const Without&) = delete;
};

// What to do without so that each kernel that this processor has gets its turn.
#ifdef __aarch64__
constexpr const char* kEachInstructionSet[] = {"", "i8mm", "dotprod", "neon"};
#else
constexpr const char* kEachInstructionSet[] = {
    "", "amx", "slowbf16", "avx512vnni", "avx512", "avx512,avxvnni", "avx2", "sse42"};
#endif

// Whether products are added without being rounded first. Sets that do, and those that do not, give
// the same to the bit among themselves.
inline bool fuses_products() {
  return cpu_has(CpuFeature::kAvx2) || cpu_has(CpuFeature::kNeon);
}

}  // namespace xgenmm::test
