#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ggml/device.h"

namespace xgenmm {

// A device with memory of its own, through ggml's backend for it.
class Gpu : public Device {
 public:
  // Throws kDeviceUnavailable.
  explicit Gpu(ggml_backend_dev_t device);

  std::unique_ptr<Graph> graph(size_t nodes) override;

 protected:
  ggml_status run(Graph& graph) override;
};

// The GPUs of a kind ("cuda", "metal", "vulkan"), or with "auto" all of the backend that ggml names
// first, which may be none. Throws kDeviceUnavailable when there is none of a kind that was named.
std::vector<std::unique_ptr<Gpu>> open_gpus(const std::string& kind);

}  // namespace xgenmm
