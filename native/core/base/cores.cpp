#include "base/cores.h"

#include <algorithm>
#include <thread>

#if defined(__linux__)
#include <sched.h>

#include <vector>

#include "base/linux_cores.h"
#elif defined(__APPLE__)
#include <sys/sysctl.h>

#include <string>
#elif defined(_WIN32)
#include <windows.h>

#include <cstddef>
#include <cstdint>
#include <vector>
#endif

namespace xgenmm {

namespace {

// More would mostly wait for memory, and for each other.
constexpr int kMaxThreads = 16;
constexpr int kEnoughFast = 4;

int limit(int threads, int quota) {
  return std::max(quota > 0 ? std::min(threads, quota) : threads, 1);
}

// What the standard library knows: processors.
Cores unknown_cores() {
  const int processors = static_cast<int>(std::max(std::thread::hardware_concurrency(), 1u));
  Cores cores;
  cores.processors = cores.physical = cores.fast = processors;
  return cores;
}

#if defined(__linux__)

// As many as kernels can be built for, eight times over.
constexpr int kMaxProcessors = 1 << 16;

// Those that the calling thread, and hence its threads, may run on; empty where Linux does not say.
std::vector<int> allowed_processors() {
  // The call fails as long as the set is smaller than the kernel's.
  for (int count = CPU_SETSIZE; count <= kMaxProcessors; count *= 2) {
    std::vector<cpu_set_t> set(static_cast<size_t>(count / CPU_SETSIZE));
    const size_t bytes = set.size() * sizeof(cpu_set_t);
    if (sched_getaffinity(0, bytes, set.data()) != 0) continue;
    std::vector<int> processors;
    for (int processor = 0; processor < count; ++processor) {
      if (CPU_ISSET_S(processor, bytes, set.data())) processors.push_back(processor);
    }
    return processors;
  }
  return {};
}

#elif defined(__APPLE__)

// 0: not said.
int read_number(const std::string& name) {
  int number = 0;
  size_t size = sizeof(number);
  const bool known = sysctlbyname(name.c_str(), &number, &size, nullptr, 0) == 0;
  return known && size == sizeof(number) ? std::max(number, 0) : 0;
}

bool is_efficient(const std::string& level) {
  char name[64] = {};
  size_t size = sizeof(name) - 1;
  return sysctlbyname((level + ".name").c_str(), name, &size, nullptr, 0) == 0 &&
         std::string(name) == "Efficiency";
}

// Kinds of cores are levels, the fastest first; macOS may call more than one of them fast.
int count_fast(int physical) {
  int fast = 0;
  const int levels = std::min(read_number("hw.nperflevels"), 8);
  for (int i = 0; i < levels; ++i) {
    const std::string level = "hw.perflevel" + std::to_string(i);
    if (i == 0 || !is_efficient(level)) fast += read_number(level + ".physicalcpu");
  }
  return fast > 0 ? std::min(fast, physical) : physical;
}

#elif defined(_WIN32)

struct Core {
  std::vector<GROUP_AFFINITY> masks;
  int efficiency;  // the higher, the faster
};

std::vector<Core> list_cores() {
  DWORD size = 0;
  GetLogicalProcessorInformationEx(RelationProcessorCore, nullptr, &size);
  std::vector<uint8_t> bytes(size);
  using Record = SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX;
  auto* const first = reinterpret_cast<Record*>(bytes.data());
  if (size == 0 || !GetLogicalProcessorInformationEx(RelationProcessorCore, first, &size)) {
    return {};
  }
  std::vector<Core> cores;
  // Records are of different lengths.
  for (size_t at = 0; at + sizeof(DWORD) * 2 <= size;) {
    const auto* const record = reinterpret_cast<const Record*>(bytes.data() + at);
    if (record->Size == 0 || record->Size > size - at) break;
    const PROCESSOR_RELATIONSHIP& processor = record->Processor;
    cores.push_back({{processor.GroupMask, processor.GroupMask + processor.GroupCount},
                     processor.EfficiencyClass});
    at += record->Size;
  }
  return cores;
}

// Of this core, those that the process may use.
int count_processors(const Core& core, const std::vector<USHORT>& groups, DWORD_PTR mask) {
  int count = 0;
  for (const GROUP_AFFINITY& part : core.masks) {
    if (std::find(groups.begin(), groups.end(), part.Group) == groups.end()) continue;
    // A mask is of one group. That of a process in several is 0, and says nothing.
    const bool masked = groups.size() == 1 && mask != 0;
    for (KAFFINITY bits = masked ? part.Mask & mask : part.Mask; bits != 0; bits &= bits - 1) {
      ++count;
    }
  }
  return count;
}

std::vector<USHORT> process_groups() {
  USHORT count = 0;
  GetProcessGroupAffinity(GetCurrentProcess(), &count, nullptr);
  std::vector<USHORT> groups(count);
  if (count == 0 || !GetProcessGroupAffinity(GetCurrentProcess(), &count, groups.data())) return {};
  return groups;
}

#endif

}  // namespace

int Cores::threads() const {
  // A virtual machine may call two processors one core although they are not: then a single thread
  // would do half, while two on one core are little slower than one.
  const int least = std::min(processors, 2);
  const int wanted = std::max(fast >= kEnoughFast ? fast : physical, least);
  return limit(std::min(wanted, kMaxThreads), quota);
}

int Cores::independent_threads() const {
  return limit(processors, quota);
}

#if defined(__linux__)

Cores read_cores() {
  const std::vector<int> allowed = allowed_processors();
  return allowed.empty() ? unknown_cores() : read_linux_cores("", allowed);
}

#elif defined(__APPLE__)

Cores read_cores() {
  Cores cores = unknown_cores();
  const int physical = read_number("hw.physicalcpu");
  if (physical == 0) return cores;
  cores.physical = std::min(physical, cores.processors);
  cores.fast = count_fast(cores.physical);
  return cores;
}

#elif defined(_WIN32)

Cores read_cores() {
  DWORD_PTR mask = 0;
  DWORD_PTR system = 0;
  if (!GetProcessAffinityMask(GetCurrentProcess(), &mask, &system)) return unknown_cores();
  const std::vector<USHORT> groups = process_groups();
  Cores cores;
  cores.processors = cores.physical = cores.fast = 0;
  int best = -1;
  for (const Core& core : list_cores()) {
    const int processors = count_processors(core, groups, mask);
    if (processors == 0) continue;
    cores.processors += processors;
    ++cores.physical;
    if (core.efficiency > best) cores.fast = 0;
    best = std::max(best, core.efficiency);
    if (core.efficiency == best) ++cores.fast;
  }
  return cores.processors > 0 ? cores : unknown_cores();
}

#else

Cores read_cores() {
  return unknown_cores();
}

#endif

}  // namespace xgenmm
