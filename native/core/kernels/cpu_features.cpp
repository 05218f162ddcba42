#include "kernels/cpu_features.h"

#include <atomic>
#include <cstdlib>

#include "base/name_list.h"

namespace xgenmm {
namespace {

#ifdef XGENMM_AVX512

unsigned bit(CpuFeature feature) {
  return 1u << static_cast<unsigned>(feature);
}

unsigned of_processor() {
  // As in native/cmake/kernels.cmake.
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return 0;
  }
  unsigned features = bit(CpuFeature::kAvx512);
  if (__builtin_cpu_supports("avx512vnni")) features |= bit(CpuFeature::kAvx512Vnni);
  if (__builtin_cpu_supports("avx512bf16")) features |= bit(CpuFeature::kAvx512Bf16);
  return features;
}

unsigned without(const char* names) {
  unsigned features = of_processor();
  if (lists_name(names, "avx512")) return 0;
  if (lists_name(names, "avx512vnni")) features &= ~bit(CpuFeature::kAvx512Vnni);
  if (lists_name(names, "avx512bf16")) features &= ~bit(CpuFeature::kAvx512Bf16);
  return features;
}

std::atomic<unsigned>& features() {
  static std::atomic<unsigned> value(without(std::getenv("XGENMM_WITHOUT")));
  return value;
}

#endif

}  // namespace

#ifdef XGENMM_AVX512

bool cpu_has(CpuFeature feature) {
  return (features() & bit(feature)) != 0;
}

void do_without(const char* names) {
  features() = without(names);
}

#else

bool cpu_has(CpuFeature) {
  return false;
}

void do_without(const char*) {}

#endif

}  // namespace xgenmm
