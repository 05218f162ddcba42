#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "ggml-backend.h"

namespace xgenmm::test {

// Devices "pretend" of ggml's that stand for GPUs as long as this lives: what is in their memory
// cannot be reached by the address that a tensor gives, they have as much of it as they are told,
// take operations of ggml's alone, and compute with ggml's CPU backend.
class PretendGpus {
 public:
  struct Gpu {
    size_t total;  // bytes
    size_t used = 0;
    int graphs = 0;  // that it has computed
    bool starts = true;
    // What else it does not compute.
    std::function<bool(const ggml_tensor&)> refuses;
  };

  static constexpr size_t kPlenty = size_t{4} << 30;

  // memory: bytes of each.
  explicit PretendGpus(const std::vector<size_t>& memory = {kPlenty});
  ~PretendGpus();
  PretendGpus(const PretendGpus&) = delete;
  PretendGpus& operator=(const PretendGpus&) = delete;

  Gpu& operator[](size_t index);

 private:
  struct Registry;
  std::unique_ptr<Registry> registry_;
};

}  // namespace xgenmm::test
