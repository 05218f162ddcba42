#include "kernels/cpu_features.h"

#include <atomic>
#include <cstdlib>

#include "base/name_list.h"

#ifdef XGENMM_AVX2
#include <cpuid.h>
#endif
#ifdef XGENMM_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace xgenmm {
namespace {

constexpr unsigned bit(CpuFeature feature) {
  return 1u << static_cast<unsigned>(feature);
}

#ifdef XGENMM_AVX2

struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

  CpuId(unsigned leaf, unsigned part) { __get_cpuid_count(leaf, part, &eax, &ebx, &ecx, &edx); }
};

#ifdef XGENMM_AMX
// Whether the processor has AMX for bytes, and the system keeps its registers.
bool has_amx() {
  constexpr unsigned kTiles = 1u << 24, kBytes = 1u << 25;
  constexpr unsigned kKept = 1u << 17 | 1u << 18;  // the tiles' shapes and what is in them
  if ((~CpuId(7, 0).edx & (kTiles | kBytes)) != 0) return false;
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (~low & kKept) == 0;
}
#endif

// As in native/cmake/kernels.cmake. __builtin_cpu_supports() also asks whether the system keeps
// the registers, but older compilers do not let it be asked for everything.
unsigned of_processor() {
  const bool has_f16c = (CpuId(1, 0).ecx >> 29 & 1) != 0;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c) return 0;
  unsigned features = bit(CpuFeature::kAvx2);
  [[maybe_unused]] const unsigned more = CpuId(7, 1).eax;
#ifdef XGENMM_AVXVNNI
  if ((more >> 4 & 1) != 0) features |= bit(CpuFeature::kAvxVnni);
#endif
#ifdef XGENMM_AVX512
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512dq") || !__builtin_cpu_supports("avx512vl")) {
    return features;
  }
  features |= bit(CpuFeature::kAvx512);
  if (__builtin_cpu_supports("avx512vnni")) {
    features |= bit(CpuFeature::kAvx512Vnni);
#ifdef XGENMM_AMX
    if (has_amx()) features |= bit(CpuFeature::kAmx);
#endif
  }
#ifdef XGENMM_AVX512BF16
  if ((more >> 5 & 1) != 0) features |= bit(CpuFeature::kAvx512Bf16);
  if (__builtin_cpu_is("intel")) features |= bit(CpuFeature::kSlowBf16);
#endif
#endif
  return features;
}

#else

unsigned of_processor() {
  return 0;
}

#endif

// A name in XGENMM_WITHOUT, and all that cannot be without what it stands for.
struct Name {
  const char* name;
  unsigned features;
};

constexpr Name kNames[] = {
    {"avx2", ~0u},
    {"avxvnni", bit(CpuFeature::kAvxVnni)},
    {"avx512", bit(CpuFeature::kAvx512) | bit(CpuFeature::kAvx512Vnni) |
                   bit(CpuFeature::kAvx512Bf16) | bit(CpuFeature::kAmx)},
    {"avx512vnni", bit(CpuFeature::kAvx512Vnni) | bit(CpuFeature::kAmx)},
    {"avx512bf16", bit(CpuFeature::kAvx512Bf16)},
    {"slowbf16", bit(CpuFeature::kSlowBf16)},
    {"amx", bit(CpuFeature::kAmx)},
};

unsigned without(const char* names) {
  unsigned features = of_processor();
  for (const Name& entry : kNames) {
    if (lists_name(names, entry.name)) features &= ~entry.features;
  }
  return features;
}

std::atomic<unsigned>& features() {
  static std::atomic<unsigned> value(without(std::getenv("XGENMM_WITHOUT")));
  return value;
}

}  // namespace

bool cpu_has(CpuFeature feature) {
  return (features() & bit(feature)) != 0;
}

bool may_use_amx() {
#ifdef XGENMM_AMX
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

void do_without(const char* names) {
  features() = without(names);
}

}  // namespace xgenmm
