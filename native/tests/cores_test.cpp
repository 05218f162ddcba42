#include "base/cores.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <future>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "base/cpu_list.h"
#include "base/linux_cores.h"
#include "harness.h"
#include "quant/quantizer.h"

#ifdef __linux__
#include <sched.h>
#endif

namespace xgenmm::test {
namespace {

// A folder with files as Linux has them in /proc and /sys.
class Tree {
 public:
  Tree()
      : root_(std::filesystem::temp_directory_path() /
              ("xgenmm-cores-" +
               std::to_string(std::chrono::steady_clock::now().time_since_epoch().count()))) {
    std::filesystem::create_directories(root_);
  }
  ~Tree() { std::filesystem::remove_all(root_); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  void write(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  void make_folder(const std::string& path) const {
    std::filesystem::create_directories(root_ / path);
  }
  void siblings(int processor, const std::string& list) const {
    write(folder(processor) + "/topology/core_cpus_list", list + "\n");
  }
  void capacity(int processor, int capacity) const {
    write(folder(processor) + "/cpu_capacity", std::to_string(capacity) + "\n");
  }
  // Pairs of hyperthreads, two processors to a core.
  void pairs(int first, int last) const {
    for (int i = first; i < last; i += 2) {
      for (int k : {i, i + 1}) siblings(k, std::to_string(i) + "-" + std::to_string(i + 1));
    }
  }
  void hybrid(const std::string& fast, const std::string& slow) const {
    write("sys/devices/cpu_core/cpus", fast + "\n");
    write("sys/devices/cpu_atom/cpus", slow + "\n");
  }

  Cores read(const std::vector<int>& allowed) const {
    return read_linux_cores(root_.generic_string(), allowed);
  }
  // With processors 0 to count - 1.
  Cores read(int count) const {
    std::vector<int> allowed(static_cast<size_t>(count));
    std::iota(allowed.begin(), allowed.end(), 0);
    return read(allowed);
  }

 private:
  static std::string folder(int processor) {
    return "sys/devices/system/cpu/cpu" + std::to_string(processor);
  }

  std::filesystem::path root_;
};

void check_cores(const Cores& cores, int processors, int physical, int fast, int threads) {
  CHECK_EQ(cores.processors, processors);
  CHECK_EQ(cores.physical, physical);
  CHECK_EQ(cores.fast, fast);
  CHECK_EQ(cores.threads(), threads);
}

TEST(cores_cpu_lists) {
  const auto list = CpuList::parse("0-3,8,10-11\n");
  CHECK(list && !list->empty());
  CHECK_EQ(list->size(), 7);
  CHECK_EQ(list->first(), 0);
  for (const int in : {0, 1, 3, 8, 10, 11}) CHECK(list->contains(in));
  for (const int out : {-1, 4, 7, 9, 12}) CHECK(!list->contains(out));
  CHECK_EQ(CpuList::parse("65536")->first(), 65536);
  CHECK(CpuList::parse("")->empty());
  CHECK(CpuList::parse("\n")->empty());
  for (const char* wrong :
       {"x", "0-", "-3", "0--3", "3-1", "0,", ",0", "0,,1", "1,0", "0-3,2", "0 1", " 0", "0-3:1/2",
        "65537", "99999999999999999999", "0-99999999999", "0\n\n", "+1", "0x1"}) {
    CHECK(!CpuList::parse(wrong));
  }
}

TEST(cores_of_one_kind) {
  Tree tree;
  for (int i = 0; i < 6; ++i) tree.siblings(i, std::to_string(i));
  check_cores(tree.read(6), 6, 6, 6, 6);
  check_cores(tree.read(1), 1, 1, 1, 1);
  // A part of them, as taskset leaves it.
  check_cores(tree.read(std::vector<int>{1, 4, 5}), 3, 3, 3, 3);
}

TEST(cores_with_hyperthreads) {
  Tree tree;
  tree.pairs(0, 16);
  check_cores(tree.read(16), 16, 8, 8, 8);
  CHECK_EQ(tree.read(16).independent_threads(), 16);
  // One of each pair, by the lower and by the higher number.
  check_cores(tree.read(std::vector<int>{0, 2, 4, 6, 8}), 5, 5, 5, 5);
  check_cores(tree.read(std::vector<int>{1, 3, 5}), 3, 3, 3, 3);
  // Both of one and one of another.
  check_cores(tree.read(std::vector<int>{0, 1, 2}), 3, 2, 2, 2);
  // Two processors that are said to be one core still get two threads.
  check_cores(tree.read(2), 2, 1, 1, 2);
}

TEST(cores_as_old_kernels_call_siblings) {
  Tree tree;
  for (int i = 0; i < 8; ++i) {
    tree.write("sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/thread_siblings_list",
               std::to_string(i % 4) + "," + std::to_string(i % 4 + 4) + "\n");
  }
  check_cores(tree.read(8), 8, 4, 4, 4);
}

TEST(cores_are_sixteen_threads_at_most) {
  Tree tree;
  for (int i = 0; i < 128; ++i) {
    tree.siblings(i, std::to_string(i % 64) + "," + std::to_string(i % 64 + 64));
  }
  check_cores(tree.read(128), 128, 64, 64, 16);
  CHECK_EQ(tree.read(128).independent_threads(), 128);
}

TEST(cores_of_intel_hybrids) {
  Tree desktop;
  desktop.pairs(0, 16);
  for (int i = 16; i < 32; ++i) desktop.siblings(i, std::to_string(i));
  desktop.hybrid("0-15", "16-31");
  check_cores(desktop.read(32), 32, 24, 8, 8);
  // Held to slow cores, and to both kinds.
  check_cores(desktop.read(std::vector<int>{20, 21, 22, 23, 24}), 5, 5, 0, 5);
  check_cores(desktop.read(std::vector<int>{0, 1, 2, 3, 16, 17}), 6, 4, 2, 4);

  Tree laptop;
  laptop.pairs(0, 4);
  for (int i = 4; i < 12; ++i) laptop.siblings(i, std::to_string(i));
  laptop.hybrid("0-3", "4-11");
  check_cores(laptop.read(12), 12, 10, 2, 10);

  // Only one kind is there, or switched on.
  Tree half;
  half.hybrid("0-7", "");
  check_cores(half.read(8), 8, 8, 8, 8);
  half.hybrid("0-7", "x");
  check_cores(half.read(8), 8, 8, 8, 8);
}

TEST(cores_of_arm) {
  Tree big_little;
  for (int i = 0; i < 8; ++i) big_little.capacity(i, i < 4 ? 381 : 1024);
  check_cores(big_little.read(8), 8, 8, 4, 4);
  // The middle kind is fast.
  Tree three_kinds;
  for (int i = 0; i < 8; ++i) three_kinds.capacity(i, i < 4 ? 325 : i < 7 ? 828 : 1024);
  check_cores(three_kinds.read(8), 8, 8, 4, 4);
  // Two fast ones are too few to be alone.
  Tree few;
  for (int i = 0; i < 6; ++i) few.capacity(i, i < 4 ? 379 : 1024);
  check_cores(few.read(6), 6, 6, 2, 6);
  // Where one says nothing, or nonsense, all are alike.
  few.write("sys/devices/system/cpu/cpu1/cpu_capacity", "fast\n");
  check_cores(few.read(6), 6, 6, 6, 6);
  few.write("sys/devices/system/cpu/cpu1/cpu_capacity", "-379\n");
  check_cores(few.read(6), 6, 6, 6, 6);
}

TEST(cores_that_are_offline_do_not_count) {
  Tree tree;
  tree.pairs(0, 8);
  tree.write("sys/devices/system/cpu/online", "0-3,6\n");
  check_cores(tree.read(8), 5, 3, 3, 3);
  // The process would run on none.
  tree.write("sys/devices/system/cpu/online", "100\n");
  check_cores(tree.read(8), 8, 4, 4, 4);
}

TEST(cores_without_files_are_processors) {
  Tree tree;
  check_cores(tree.read(6), 6, 6, 6, 6);
  CHECK_EQ(tree.read(6).quota, 0);
}

TEST(cores_do_not_mind_garbage) {
  const std::string wrong[] = {"",
                               "\n",
                               "none",
                               "0-",
                               std::string(1, '\0'),
                               std::string(200000, '1'),
                               std::string(60000, ','),
                               "0-65536",
                               "7",
                               "-9223372036854775808 -9223372036854775808",
                               "0::",
                               ":::",
                               "0::/" + std::string(10000, '/'),
                               "0::/../../../../.."};
  for (const std::string& text : wrong) {
    Tree tree;
    for (int i = 0; i < 4; ++i) {
      // Nobody's core holds others only, or everybody.
      tree.write("sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/core_cpus_list",
                 text);
      tree.write("sys/devices/system/cpu/cpu" + std::to_string(i) + "/cpu_capacity", text);
    }
    for (const char* path :
         {"sys/devices/system/cpu/online", "sys/devices/cpu_core/cpus", "sys/devices/cpu_atom/cpus",
          "sys/fs/cgroup/cpu.max", "sys/fs/cgroup/cpu/cpu.cfs_quota_us",
          "sys/fs/cgroup/cpu/cpu.cfs_period_us", "proc/self/cgroup"}) {
      tree.write(path, text);
    }
    const Cores cores = tree.read(4);
    check_cores(cores, 4, 4, cores.fast, 4);
    CHECK_EQ(cores.quota, 0);
  }
  // Folders in the place of files.
  Tree tree;
  for (const char* path :
       {"sys/devices/system/cpu/online", "sys/devices/cpu_core/cpus",
        "sys/devices/system/cpu/cpu0/topology/core_cpus_list",
        "sys/devices/system/cpu/cpu0/cpu_capacity", "sys/fs/cgroup/cpu.max", "proc/self/cgroup"}) {
    tree.make_folder(path);
  }
  check_cores(tree.read(4), 4, 4, 4, 4);
}

int quota_v2(const std::string& text) {
  Tree tree;
  tree.write("proc/self/cgroup", "0::/\n");
  tree.write("sys/fs/cgroup/cpu.max", text);
  return tree.read(64).quota;
}

TEST(cores_in_a_container) {
  CHECK_EQ(quota_v2("max 100000\n"), 0);
  CHECK_EQ(quota_v2("200000 100000\n"), 2);
  CHECK_EQ(quota_v2("200000 100000"), 2);
  CHECK_EQ(quota_v2("390000 100000\n"), 3);
  CHECK_EQ(quota_v2("50000 100000\n"), 1);
  CHECK_EQ(quota_v2("9223372036854775807 1\n"), 65536);
  for (const char* wrong : {"200000", "200000 ", "200000 0", "0 100000", "200000 max", "200000,1 1",
                            "-200000 100000", "99999999999999999999 1", "1e9 100000"}) {
    CHECK_EQ(quota_v2(wrong), 0);
  }

  Tree tree;
  tree.write("sys/fs/cgroup/cpu.max", "200000 100000\n");
  // Without /proc, too.
  check_cores(tree.read(64), 64, 64, 64, 2);
  CHECK_EQ(tree.read(64).independent_threads(), 2);
  // A limit above what there is says nothing.
  tree.write("sys/fs/cgroup/cpu.max", "6400000 100000\n");
  check_cores(tree.read(4), 4, 4, 4, 4);
}

TEST(cores_in_control_groups_within_each_other) {
  Tree tree;
  tree.write("proc/self/cgroup", "0::/system.slice/server.service/worker\n");
  tree.write("sys/fs/cgroup/system.slice/cpu.max", "800000 100000\n");
  tree.write("sys/fs/cgroup/system.slice/server.service/cpu.max", "300000 100000\n");
  tree.write("sys/fs/cgroup/system.slice/server.service/worker/cpu.max", "max 100000\n");
  tree.write("sys/fs/cgroup/other/cpu.max", "100000 100000\n");
  CHECK_EQ(tree.read(64).quota, 3);
  tree.write("sys/fs/cgroup/system.slice/server.service/worker/cpu.max", "200000 100000\n");
  CHECK_EQ(tree.read(64).quota, 2);
  // The path may be that of the host, in a container that sees its own group only.
  Tree container;
  container.write("proc/self/cgroup", "0::/docker/0123456789abcdef\n");
  container.write("sys/fs/cgroup/cpu.max", "500000 100000\n");
  CHECK_EQ(container.read(64).quota, 5);
  container.write("proc/self/cgroup", "0::/../other\n");
  container.write("sys/fs/other/cpu.max", "100000 100000\n");
  CHECK_EQ(container.read(64).quota, 5);
}

TEST(cores_in_control_groups_of_version_1) {
  for (const char* mount : {"cpu", "cpu,cpuacct"}) {
    Tree tree;
    const std::string folder = "sys/fs/cgroup/" + std::string(mount);
    tree.write("proc/self/cgroup",
               "12:cpuset:/a\n4:" + std::string(mount) + ":/a/b\n1:name=systemd:/a\n0::/\n");
    tree.write(folder + "/cpu.cfs_quota_us", "-1\n");
    tree.write(folder + "/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(tree.read(64).quota, 0);
    tree.write(folder + "/a/b/cpu.cfs_quota_us", "450000\n");
    CHECK_EQ(tree.read(64).quota, 0);
    tree.write(folder + "/a/b/cpu.cfs_period_us", "100000\n");
    CHECK_EQ(tree.read(64).quota, 4);
    tree.write(folder + "/a/cpu.cfs_quota_us", "150000\n");
    tree.write(folder + "/a/cpu.cfs_period_us", "50000\n");
    CHECK_EQ(tree.read(64).quota, 3);
  }
}

TEST(cores_of_this_machine) {
  const Cores cores = read_cores();
  const int processors = static_cast<int>(std::thread::hardware_concurrency());
  CHECK(cores.processors >= 1 && (processors == 0 || cores.processors <= processors));
  CHECK(cores.physical >= 1 && cores.physical <= cores.processors);
  CHECK(cores.fast >= 0 && cores.fast <= cores.physical);
  CHECK(cores.threads() >= 1 && cores.threads() <= cores.independent_threads());
  CHECK_EQ(Quantizer(0).threads(), std::min(cores.independent_threads(), Quantizer::kMaxThreads));
}

#ifdef __linux__
TEST(cores_heed_affinity) {
  const Cores before = read_cores();
  // Of that thread alone.
  std::async(std::launch::async, [] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    Cores cores = read_cores();
    cores.quota = 0;
    check_cores(cores, 1, 1, cores.fast, 1);
    CHECK_EQ(Quantizer(0).threads(), 1);
  }).get();
  CHECK_EQ(read_cores().processors, before.processors);
}
#endif

}  // namespace
}  // namespace xgenmm::test
