#include "ggml/system_info.h"

#include "ggml/cpu_device.h"
#include "kernels/cpu_features.h"

namespace xgenmm {

namespace {

std::vector<std::pair<std::string, std::string>> features_of(ggml_backend_reg_t backend) {
  const auto list = reinterpret_cast<ggml_backend_get_features_t>(
      ggml_backend_reg_get_proc_address(backend, "ggml_backend_get_features"));
  std::vector<std::pair<std::string, std::string>> features;
  if (list == nullptr) return features;
  for (const ggml_backend_feature* feature = list(backend); feature->name != nullptr; ++feature) {
    features.emplace_back(feature->name, feature->value);
  }
  return features;
}

const char* kind_of(ggml_backend_dev_t device) {
  switch (ggml_backend_dev_type(device)) {
    case GGML_BACKEND_DEVICE_TYPE_CPU:
      return "cpu";
    case GGML_BACKEND_DEVICE_TYPE_GPU:
      return "gpu";
    case GGML_BACKEND_DEVICE_TYPE_IGPU:
      return "integrated gpu";
    default:
      return "accelerator";
  }
}

}  // namespace

SystemInfo system_info() {
  SystemInfo info;
  info.cores = read_cores();
  info.default_threads = CpuDevice(0).threads();
  info.ggml_version = ggml_version();
  info.instructions = cpu_feature_names();
  for (size_t i = 0; i < ggml_backend_reg_count(); ++i) {
    const ggml_backend_reg_t backend = ggml_backend_reg_get(i);
    info.backends.push_back({ggml_backend_reg_name(backend), features_of(backend)});
  }
  for (size_t i = 0; i < ggml_backend_dev_count(); ++i) {
    const ggml_backend_dev_t device = ggml_backend_dev_get(i);
    size_t free = 0;
    size_t total = 0;
    ggml_backend_dev_memory(device, &free, &total);
    info.devices.push_back({ggml_backend_dev_name(device), ggml_backend_dev_description(device),
                            ggml_backend_reg_name(ggml_backend_dev_backend_reg(device)),
                            kind_of(device), free, total});
  }
  return info;
}

}  // namespace xgenmm
