// machine-peaks [--threads N] [--megabytes N]: what this machine can do at most, as one line of
// JSON: multiplications and additions in registers with each instruction that multiplies matrices,
// and reading memory, all threads together. Of three turns the best counts.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__) && ((defined(__clang__) && __clang_major__ >= 12) || \
                            (!defined(__clang__) && defined(__GNUC__) && __GNUC__ >= 11))
#define XGENMM_X86_PEAKS
#include <cpuid.h>
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;

constexpr int kTurns = 3;
constexpr double kTurnSeconds = 0.3;
constexpr int64_t kSteps = 1 << 14;
// Enough to hide the latency of every one of these instructions, few enough for the registers.
constexpr int kAccumulators = 12;

// Runs `kSteps` times one instruction for each accumulator. Returns something that depends on all.
using Kernel = float (*)();

struct Arithmetic {
  const char* kind;
  const char* instructions;
  Kernel kernel;  // null: not available
  int operations;  // of one instruction: a multiplication and an addition are two
};

// The registers are made opaque again and again: nothing may be computed once for all steps.
#if defined(XGENMM_X86_PEAKS)
#define XGENMM_KERNEL(name, features, type, zero, one, step, sum)        \
  __attribute__((target(features))) float name() {                       \
    type sums[kAccumulators];                                            \
    for (type & s : sums) s = zero;                                      \
    auto a = one, b = one;                                               \
    for (int64_t i = 0; i < kSteps; ++i) {                               \
      __asm__ volatile("" : "+x"(a), "+x"(b));                           \
      _Pragma("GCC unroll 12") for (int k = 0; k < kAccumulators; ++k) { \
        type& s = sums[k];                                               \
        s = step;                                                        \
      }                                                                  \
    }                                                                    \
    type s = sums[0];                                                    \
    for (int k = 1; k < kAccumulators; ++k) s = sum(s, sums[k]);         \
    float out;                                                           \
    std::memcpy(&out, &s, sizeof(out));                                  \
    return out;                                                          \
  }

XGENMM_KERNEL(f32_avx2, "avx2,fma", __m256, _mm256_setzero_ps(), _mm256_set1_ps(1.0f),
              _mm256_fmadd_ps(a, b, s), _mm256_add_ps)
XGENMM_KERNEL(f32_avx512, "avx512f", __m512, _mm512_setzero_ps(), _mm512_set1_ps(1.0f),
              _mm512_fmadd_ps(a, b, s), _mm512_add_ps)
XGENMM_KERNEL(int8_avxvnni, "avx2,avxvnni", __m256i, _mm256_setzero_si256(), _mm256_set1_epi8(1),
              _mm256_dpbusd_avx_epi32(s, a, b), _mm256_add_epi32)
XGENMM_KERNEL(int8_avx512vnni, "avx512f,avx512bw,avx512vnni", __m512i, _mm512_setzero_si512(),
              _mm512_set1_epi8(1), _mm512_dpbusd_epi32(s, a, b), _mm512_add_epi32)
XGENMM_KERNEL(bf16_avx512, "avx512f,avx512bw,avx512bf16", __m512, _mm512_setzero_ps(),
              reinterpret_cast<__m512bh>(_mm512_set1_epi16(0x3f80)), _mm512_dpbf16_ps(s, a, b),
              _mm512_add_ps)

std::vector<Arithmetic> list_arithmetic() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx);
  // The first three ask the system as well whether it saves the registers.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
  const bool avx512_vnni = avx512 && __builtin_cpu_supports("avx512vnni");
  const bool avx_vnni = avx2 && (eax & 1u << 4) != 0;
  const bool avx512_bf16 = avx512 && (eax & 1u << 5) != 0;
  return {
      {"int8", "AVX-512 VNNI", avx512_vnni ? int8_avx512vnni : nullptr, 128},
      {"int8", "AVX-VNNI", avx_vnni ? int8_avxvnni : nullptr, 64},
      {"bf16", "AVX-512 BF16", avx512_bf16 ? bf16_avx512 : nullptr, 64},
      {"f32", "AVX-512", avx512 ? f32_avx512 : nullptr, 32},
      {"f32", "AVX2 and FMA", avx2 ? f32_avx2 : nullptr, 16},
  };
}

#elif defined(__aarch64__)
#define XGENMM_KERNEL(name, type, zero, one, step, sum)          \
  float name() {                                                 \
    type sums[kAccumulators];                                    \
    for (type & s : sums) s = zero;                              \
    auto a = one, b = one;                                       \
    for (int64_t i = 0; i < kSteps; ++i) {                       \
      __asm__ volatile("" : "+w"(a), "+w"(b));                   \
      for (int k = 0; k < kAccumulators; ++k) {                  \
        type& s = sums[k];                                       \
        s = step;                                                \
      }                                                          \
    }                                                            \
    type s = sums[0];                                            \
    for (int k = 1; k < kAccumulators; ++k) s = sum(s, sums[k]); \
    float out;                                                   \
    std::memcpy(&out, &s, sizeof(out));                          \
    return out;                                                  \
  }

XGENMM_KERNEL(f32_neon, float32x4_t, vdupq_n_f32(0.0f), vdupq_n_f32(1.0f), vfmaq_f32(s, a, b),
              vaddq_f32)
#if defined(__ARM_FEATURE_DOTPROD)
XGENMM_KERNEL(int8_dot, int32x4_t, vdupq_n_s32(0), vdupq_n_s8(1), vdotq_s32(s, a, b), vaddq_s32)
constexpr Kernel kInt8Dot = int8_dot;
#else
constexpr Kernel kInt8Dot = nullptr;
#endif
#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)
XGENMM_KERNEL(bf16_dot, float32x4_t, vdupq_n_f32(0.0f), vreinterpretq_bf16_u16(vdupq_n_u16(0x3f80)),
              vbfdotq_f32(s, a, b), vaddq_f32)
constexpr Kernel kBf16Dot = bf16_dot;
#else
constexpr Kernel kBf16Dot = nullptr;
#endif

std::vector<Arithmetic> list_arithmetic() {
  return {{"int8", "dot product", kInt8Dot, 32},
          {"bf16", "dot product", kBf16Dot, 16},
          {"f32", "NEON", f32_neon, 8}};
}

#else
std::vector<Arithmetic> list_arithmetic() {
  return {{"int8", "", nullptr, 0}, {"bf16", "", nullptr, 0}, {"f32", "", nullptr, 0}};
}
#endif

// Calls `work(thread)` on that many threads until the time is over; returns what its results add up
// to in a second. All begin together.
template <typename Work>
double rate_of(int count, Work work) {
  std::atomic<int> ready{0};
  std::vector<double> rates(count);
  std::vector<std::thread> threads;
  for (int t = 0; t < count; ++t) {
    threads.emplace_back([&, t] {
      ready.fetch_add(1);
      while (ready.load() < count) std::this_thread::yield();
      const Clock::time_point start = Clock::now();
      double done = 0, seconds = 0;
      do {
        done += work(t);
        seconds = std::chrono::duration<double>(Clock::now() - start).count();
      } while (seconds < kTurnSeconds);
      rates[t] = done / seconds;
    });
  }
  for (std::thread& thread : threads) thread.join();
  double sum = 0;
  for (const double rate : rates) sum += rate;
  return sum;
}

template <typename Work>
double best_rate(int count, Work work) {
  double best = 0;
  for (int turn = 0; turn < kTurns; ++turn) best = std::max(best, rate_of(count, work));
  return best;
}

void print(const char* kind, const char* name, const char* unit, double rate, bool last) {
  std::printf("{\"kind\":\"%s\",\"name\":\"%s\",\"unit\":\"%s\",\"value\":", kind, name, unit);
  if (rate > 0)
    std::printf("%.4g}%s", rate * 1e-9, last ? "" : ",");
  else
    std::printf("null}%s", last ? "" : ",");
}

// Keeps a result from being left out.
std::atomic<float> unused_float{0};
std::atomic<uint64_t> unused_bits{0};

double measure(const Arithmetic& arithmetic, int threads) {
  if (arithmetic.kernel == nullptr) return 0;
  return best_rate(threads, [&](int) {
    unused_float.store(arithmetic.kernel(), std::memory_order_relaxed);
    return static_cast<double>(kSteps) * kAccumulators * arithmetic.operations;
  });
}

// Each thread reads a part of its own, which it has written first.
double measure_reading(int threads, size_t bytes) {
  const size_t part = bytes / threads / sizeof(uint64_t) / 8 * 8;
  std::vector<std::vector<uint64_t>> parts(threads);
  std::atomic<bool> failed{false};
  std::vector<std::thread> writers;
  for (int t = 0; t < threads; ++t) {
    writers.emplace_back([&, t] {
      try {
        parts[t].assign(part, 1);
      } catch (const std::bad_alloc&) {
        failed = true;
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  if (failed) return 0;
  return best_rate(threads, [&](int t) {
    const uint64_t* p = parts[t].data();
    uint64_t sums[8] = {};
    for (size_t i = 0; i < part; i += 8) {
      for (int k = 0; k < 8; ++k) sums[k] += p[i + k];
    }
    uint64_t sum = 0;
    for (const uint64_t s : sums) sum += s;
    unused_bits.store(sum, std::memory_order_relaxed);
    return static_cast<double>(part) * sizeof(uint64_t);
  });
}

int usage() {
  std::fprintf(stderr, "usage: machine-peaks [--threads N] [--megabytes N]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  // Many times what any cache holds.
  int megabytes = 2048;
  for (int i = 1; i < argc; i += 2) {
    const int value = i + 1 < argc ? std::atoi(argv[i + 1]) : 0;
    if (value < 1) return usage();
    if (std::strcmp(argv[i], "--threads") == 0)
      threads = std::min(value, 1024);
    else if (std::strcmp(argv[i], "--megabytes") == 0)
      megabytes = value;
    else
      return usage();
  }
  std::printf("{\"threads\":%d,\"peaks\":[", threads);
  for (const Arithmetic& arithmetic : list_arithmetic()) {
    print(arithmetic.kind, arithmetic.instructions, "Gop/s", measure(arithmetic, threads), false);
  }
  print("read", "memory", "GB/s", measure_reading(threads, static_cast<size_t>(megabytes) << 20),
        true);
  std::printf("]}\n");
}
