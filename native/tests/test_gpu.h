#pragma once

#include <cstdlib>
#include <memory>
#include <string>

#include "pretend_gpus.h"

namespace xgenmm::test {

// Where the tests of a GPU run: a pretended one, or, where XGENMM_TEST_DEVICE names a kind ("cuda",
// "vulkan", "metal") that was built in, those that are there.
class TestGpu {
 public:
  TestGpu() {
    if (!is_real()) pretended_ = std::make_unique<PretendGpus>();
  }
  static bool is_real() { return std::getenv("XGENMM_TEST_DEVICE") != nullptr; }
  // For LoadOptions::device.
  static std::string kind() { return is_real() ? std::getenv("XGENMM_TEST_DEVICE") : "pretend"; }

 private:
  std::unique_ptr<PretendGpus> pretended_;
};

}  // namespace xgenmm::test
