#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/cores.h"

namespace xgenmm {

// What there is to compute with.
struct SystemInfo {
  struct Backend {
    std::string name;
    // What it was built with or found, for example AVX2 -> 1.
    std::vector<std::pair<std::string, std::string>> features;
  };
  struct Device {
    std::string name;
    std::string description;
    std::string backend;
    std::string kind;  // cpu, gpu, integrated gpu, accelerator
    uint64_t free_bytes;
    uint64_t total_bytes;
  };

  std::string ggml_version;
  std::vector<std::string> instructions;  // sets of them that our kernels use
  Cores cores;
  int default_threads;
  std::vector<Backend> backends;
  std::vector<Device> devices;
};

// Starts a device for a moment. Throws kDeviceUnavailable when even the CPU cannot be used.
SystemInfo system_info();

}  // namespace xgenmm
