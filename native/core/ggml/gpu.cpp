#include "ggml/gpu.h"

#include <algorithm>
#include <cctype>

#include "base/error.h"
#include "ggml/backend_graph.h"

namespace xgenmm {

namespace {

// How many of ggml's own operations one of Graph's may become.
constexpr size_t kMostNodes = 4;

bool is_gpu(ggml_backend_dev_t device) {
  const auto type = ggml_backend_dev_type(device);
  return type == GGML_BACKEND_DEVICE_TYPE_GPU || type == GGML_BACKEND_DEVICE_TYPE_IGPU;
}

std::string kind_of(ggml_backend_dev_t device) {
  std::string name = ggml_backend_reg_name(ggml_backend_dev_backend_reg(device));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name == "mtl" ? "metal" : name;
}

std::vector<ggml_backend_dev_t> list_gpus() {
  std::vector<ggml_backend_dev_t> gpus;
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    if (is_gpu(ggml_backend_dev_get(i))) gpus.push_back(ggml_backend_dev_get(i));
  }
  // One that shares the system's memory only where there is no other.
  std::stable_partition(gpus.begin(), gpus.end(), [](ggml_backend_dev_t device) {
    return ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_GPU;
  });
  return gpus;
}

[[noreturn]] void refuse(const std::string& kind) {
  std::string there = "cpu";
  for (const ggml_backend_dev_t device : list_gpus()) {
    there += "; " + kind_of(device) + ": " + ggml_backend_dev_name(device) + ", " +
             ggml_backend_dev_description(device);
  }
  throw Error(ErrorCode::kDeviceUnavailable,
              "expected a device that is here (" + there + "), received \"" + kind + "\"");
}

BackendHandle start(ggml_backend_dev_t device) {
  try {
    return BackendHandle(ggml_backend_dev_init(device, nullptr));
  } catch (const std::exception& error) {
    // What Vulkan says of a driver that it cannot work with.
    throw Error(ErrorCode::kDeviceUnavailable,
                std::string("expected a device that starts, received from ") +
                    ggml_backend_dev_name(device) + ": " + error.what());
  }
}

}  // namespace

Gpu::Gpu(ggml_backend_dev_t device) : Device(start(device)) {}

std::unique_ptr<Graph> Gpu::graph(size_t nodes) {
  return std::make_unique<BackendGraph>(kMostNodes * nodes, ggml_backend_get_device(backend()));
}

ggml_status Gpu::run(Graph& graph) {
  return aborted() ? GGML_STATUS_ABORTED : ggml_backend_graph_compute(backend(), graph.cgraph());
}

std::vector<std::unique_ptr<Gpu>> open_gpus(const std::string& kind) {
  std::vector<ggml_backend_dev_t> chosen = list_gpus();
  const bool any = kind == "auto";
  if (any && !chosen.empty()) {
    const auto type = ggml_backend_dev_type(chosen.front());
    const std::string first = kind_of(chosen.front());
    chosen.erase(std::remove_if(chosen.begin(), chosen.end(),
                                [&](ggml_backend_dev_t device) {
                                  return kind_of(device) != first ||
                                         ggml_backend_dev_type(device) != type;
                                }),
                 chosen.end());
  } else {
    chosen.erase(std::remove_if(chosen.begin(), chosen.end(),
                                [&](ggml_backend_dev_t device) { return kind_of(device) != kind; }),
                 chosen.end());
  }
  if (chosen.empty() && !any) refuse(kind);
  std::vector<std::unique_ptr<Gpu>> gpus;
  for (const ggml_backend_dev_t device : chosen) {
    try {
      gpus.push_back(std::make_unique<Gpu>(device));
    } catch (const Error&) {
      if (!any) throw;
    }
  }
  return gpus;
}

}  // namespace xgenmm
