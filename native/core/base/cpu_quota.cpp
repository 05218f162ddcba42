#include "base/cpu_quota.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/small_file.h"

namespace xgenmm {

namespace {

// Groups lie in each other, and each has a limit of its own.
constexpr size_t kMaxDepth = 64;
constexpr int64_t kMaxQuota = 1 << 16;

std::string_view first_word(std::string_view text) {
  return text.substr(0, text.find_first_of(" \n"));
}

// A positive number, or 0.
int64_t parse_microseconds(std::string_view text) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::max<int64_t>(number, 0)
                                                                  : 0;
}

// 0: no limit.
int64_t whole_processors(std::string_view time, std::string_view period) {
  const int64_t numerator = parse_microseconds(time);
  const int64_t denominator = parse_microseconds(period);
  if (numerator == 0 || denominator == 0) return 0;
  return std::clamp<int64_t>(numerator / denominator, 1, kMaxQuota);
}

// "200000 100000", or "max 100000".
int64_t read_v2(const std::string& folder) {
  const std::optional<std::string> text = read_small_file(folder + "/cpu.max");
  if (!text) return 0;
  const std::string_view time = first_word(*text);
  if (time.size() == text->size()) return 0;
  return whole_processors(time, first_word(std::string_view(*text).substr(time.size() + 1)));
}

int64_t read_v1(const std::string& folder) {
  const std::optional<std::string> time = read_small_file(folder + "/cpu.cfs_quota_us");
  const std::optional<std::string> period = read_small_file(folder + "/cpu.cfs_period_us");
  return time && period ? whole_processors(first_word(*time), first_word(*period)) : 0;
}

// The group's folder and those around it, relative to where groups are mounted: "", "/a", "/a/b".
// Inside a container the path is often that of the host, of which only "" is to be seen.
std::vector<std::string> folders_of(const std::string& group) {
  std::vector<std::string> folders = {""};
  // A group outside of what this process may see.
  if (group.find("/..") != std::string::npos) return folders;
  for (size_t end = 1; end < group.size() && folders.size() < kMaxDepth; ++end) {
    end = std::min(group.find('/', end), group.size());
    folders.push_back(group.substr(0, end));
  }
  return folders;
}

bool names_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

}  // namespace

int read_cpu_quota(const std::string& root) {
  const std::string mount = root + "/sys/fs/cgroup";
  int64_t quota = 0;
  const auto take = [&](int64_t limit) {
    if (limit > 0) quota = quota > 0 ? std::min(quota, limit) : limit;
  };
  std::istringstream lines(read_small_file(root + "/proc/self/cgroup").value_or("0::/\n1:cpu:/\n"));
  // hierarchy:controllers:path; version 2 has hierarchy 0 without controllers.
  for (std::string line; std::getline(lines, line);) {
    const size_t first = line.find(':');
    if (first == std::string::npos) continue;
    const size_t second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && !names_cpu(controllers)) continue;
    for (const std::string& folder : folders_of(line.substr(second + 1))) {
      if (v2) {
        take(read_v2(mount + folder));
        continue;
      }
      // A system may give the mount one name or the other.
      take(read_v1(mount + "/cpu" + folder));
      if (controllers != "cpu") take(read_v1(mount + "/" + controllers + folder));
    }
  }
  return static_cast<int>(quota);
}

}  // namespace xgenmm
