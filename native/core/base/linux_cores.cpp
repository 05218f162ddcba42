#include "base/linux_cores.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <map>
#include <optional>
#include <system_error>

#include "base/cpu_list.h"
#include "base/cpu_quota.h"
#include "base/small_file.h"

namespace xgenmm {

namespace {

// POWER has the most. A virtual machine whose processors are said to be all one core says nothing.
constexpr int kMaxSiblings = 8;

std::optional<CpuList> read_list(const std::string& path) {
  const std::optional<std::string> text = read_small_file(path);
  return text ? CpuList::parse(*text) : std::nullopt;
}

std::string folder_of(const std::string& devices, int processor) {
  return devices + "/system/cpu/cpu" + std::to_string(processor);
}

// The lowest number of the processors that share this one's core.
int core_of(const std::string& devices, int processor) {
  const std::string topology = folder_of(devices, processor) + "/topology/";
  // The second is what kernels before 5.3 call it.
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {
    const std::optional<CpuList> siblings = read_list(topology + name);
    if (siblings && siblings->contains(processor) && siblings->size() <= kMaxSiblings) {
      return siblings->first();
    }
  }
  return processor;
}

// How much a processor does beside the fastest of the machine, which has 1024; 0: not said.
int read_capacity(const std::string& devices, int processor) {
  const std::string text =
      read_small_file(folder_of(devices, processor) + "/cpu_capacity").value_or("");
  int capacity = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), capacity);
  static_cast<void>(end);
  return error == std::errc() ? std::max(capacity, 0) : 0;
}

// Which of the processors are performance cores.
std::function<bool(int)> kinds_of(const std::string& devices, const std::vector<int>& processors) {
  // Intel.
  const std::optional<CpuList> fast = read_list(devices + "/cpu_core/cpus");
  const std::optional<CpuList> slow = read_list(devices + "/cpu_atom/cpus");
  if (fast && slow && !fast->empty() && !slow->empty()) {
    return [list = *fast](int processor) { return list.contains(processor); };
  }
  // Arm, which has up to three kinds, of which the middle one is nearer to the fast.
  std::map<int, int> capacities;
  int most = 0;
  for (const int processor : processors) {
    const int capacity = read_capacity(devices, processor);
    if (capacity == 0) return [](int) { return true; };
    capacities[processor] = capacity;
    most = std::max(most, capacity);
  }
  return [capacities, most](int processor) { return capacities.at(processor) > most / 2; };
}

}  // namespace

Cores read_linux_cores(const std::string& root, const std::vector<int>& allowed) {
  const std::string devices = root + "/sys/devices";
  std::vector<int> processors;
  const std::optional<CpuList> online = read_list(devices + "/system/cpu/online");
  for (const int processor : allowed) {
    if (!online || online->contains(processor)) processors.push_back(processor);
  }
  if (processors.empty()) processors = allowed;

  const std::function<bool(int)> is_fast = kinds_of(devices, processors);
  std::map<int, bool> cores;  // by their lowest processor: whether fast
  for (const int processor : processors) {
    bool& fast = cores[core_of(devices, processor)];
    fast = fast || is_fast(processor);
  }
  Cores result;
  result.processors = static_cast<int>(processors.size());
  result.physical = static_cast<int>(cores.size());
  result.fast = static_cast<int>(
      std::count_if(cores.begin(), cores.end(), [](const auto& core) { return core.second; }));
  result.quota = read_cpu_quota(root);
  return result;
}

}  // namespace xgenmm
