#include "kernels/cpu_features.h"

#include <atomic>
#include <cstdlib>

#include "base/name_list.h"

#ifdef XGENMM_SSE42
#include <cpuid.h>
#endif
#ifdef XGENMM_AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif
#ifdef XGENMM_NEON
#if defined(__APPLE__)
#include <sys/sysctl.h>
#elif defined(_WIN32)
#include <windows.h>
#elif defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

namespace xgenmm {
namespace {

constexpr unsigned bit(CpuFeature feature) {
  return 1u << static_cast<unsigned>(feature);
}

#ifdef XGENMM_SSE42

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
  // SSE4.2 comes with what is older.
  if (!__builtin_cpu_supports("sse4.2")) return 0;
  unsigned features = bit(CpuFeature::kSse42);
#ifdef XGENMM_AVX2
  const bool has_f16c = (CpuId(1, 0).ecx >> 29 & 1) != 0;
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") || !has_f16c)
    return features;
  features |= bit(CpuFeature::kAvx2);
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
#endif
  return features;
}

#elif defined(XGENMM_NEON)

// What the system says of products of bytes.
#if defined(__APPLE__)

bool says(const char* name) {
  int value = 0;
  size_t size = sizeof value;
  return sysctlbyname(name, &value, &size, nullptr, 0) == 0 && value != 0;
}
bool has_dot_products() {
  return says("hw.optional.arm.FEAT_DotProd");
}
bool has_mixed_products() {
  return says("hw.optional.arm.FEAT_I8MM");
}

#elif defined(_WIN32)

bool has_dot_products() {
  constexpr DWORD kDotProducts = 43;  // PF_ARM_V82_DP_INSTRUCTIONS_AVAILABLE
  return IsProcessorFeaturePresent(kDotProducts) != 0;
}
// Windows does not say.
bool has_mixed_products() {
  return false;
}

#elif defined(__linux__)

bool has_dot_products() {
  return (getauxval(AT_HWCAP) >> 20 & 1) != 0;  // HWCAP_ASIMDDP
}
bool has_mixed_products() {
  return (getauxval(AT_HWCAP2) >> 13 & 1) != 0;  // HWCAP2_I8MM
}

#else

bool has_dot_products() {
  return false;
}
bool has_mixed_products() {
  return false;
}

#endif

unsigned of_processor() {
  unsigned features = bit(CpuFeature::kNeon);
  if (!has_dot_products()) return features;
  features |= bit(CpuFeature::kDotProd);
  if (has_mixed_products()) features |= bit(CpuFeature::kI8mm);
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

constexpr unsigned kAllAvx512 = bit(CpuFeature::kAvx512) | bit(CpuFeature::kAvx512Vnni) |
                                bit(CpuFeature::kAvx512Bf16) | bit(CpuFeature::kAmx);
constexpr unsigned kAllAvx2 = bit(CpuFeature::kAvx2) | bit(CpuFeature::kAvxVnni) | kAllAvx512;
constexpr unsigned kAllDotProducts = bit(CpuFeature::kDotProd) | bit(CpuFeature::kI8mm);

constexpr Name kNames[] = {
    {"sse42", bit(CpuFeature::kSse42) | kAllAvx2},
    {"avx2", kAllAvx2},
    {"avxvnni", bit(CpuFeature::kAvxVnni)},
    {"avx512", kAllAvx512},
    {"avx512vnni", bit(CpuFeature::kAvx512Vnni) | bit(CpuFeature::kAmx)},
    {"avx512bf16", bit(CpuFeature::kAvx512Bf16)},
    {"slowbf16", bit(CpuFeature::kSlowBf16)},
    {"amx", bit(CpuFeature::kAmx)},
    {"neon", bit(CpuFeature::kNeon) | kAllDotProducts},
    {"dotprod", kAllDotProducts},
    {"i8mm", bit(CpuFeature::kI8mm)},
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

std::vector<std::string> cpu_feature_names() {
  std::vector<std::string> names;
  for (const auto& [name, features_of_name] : kNames) {
    // What needs others stands after them: the first is its own.
    const unsigned own = features_of_name & (~features_of_name + 1);
    if (own != bit(CpuFeature::kSlowBf16) && (features() & own) != 0) names.emplace_back(name);
  }
  return names;
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
