#include "pretend_gpus.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <string>
#include <unordered_set>

#include "ggml-backend-impl.h"
#include "ggml-cpu.h"
#include "ggml-impl.h"
#include "kernels/gelu.h"

namespace xgenmm::test {
namespace {

// Between where memory is and the address that is told: no processor takes such a one.
constexpr uintptr_t kFar = uintptr_t{1} << 54;
constexpr size_t kAlignment = 128;

uint8_t* actual(const void* address) {
  return reinterpret_cast<uint8_t*>(reinterpret_cast<uintptr_t>(address) - kFar);
}

void* told(const void* address) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address) + kFar);
}

struct PretendDevice {
  PretendGpus::Gpu gpu;
  std::string name;
  ggml_backend_device device;
  ggml_backend_buffer_type buffers;
};

PretendDevice& of(ggml_backend_dev_t device) {
  return *static_cast<PretendDevice*>(device->context);
}

ggml_backend_dev_t cpu() {
  return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
}

// Memory.

PretendGpus::Gpu& gpu_of(ggml_backend_buffer_t buffer) {
  return of(buffer->buft->device).gpu;
}

const ggml_backend_buffer_i kBuffer = {
    /* free_buffer */
    [](ggml_backend_buffer_t buffer) {
      gpu_of(buffer).used -= buffer->size;
      ::operator delete(buffer->context, std::align_val_t{kAlignment});
    },
    /* get_base */ [](ggml_backend_buffer_t buffer) { return told(buffer->context); },
    /* init_tensor */ nullptr,
    /* memset_tensor */
    [](ggml_backend_buffer_t, ggml_tensor* tensor, uint8_t value, size_t offset, size_t size) {
      std::memset(actual(tensor->data) + offset, value, size);
    },
    /* set_tensor */
    [](ggml_backend_buffer_t, ggml_tensor* tensor, const void* data, size_t offset, size_t size) {
      std::memcpy(actual(tensor->data) + offset, data, size);
    },
    /* get_tensor */
    [](ggml_backend_buffer_t, const ggml_tensor* tensor, void* data, size_t offset, size_t size) {
      std::memcpy(data, actual(tensor->data) + offset, size);
    },
    /* set_tensor_2d */ nullptr,
    /* get_tensor_2d */ nullptr,
    /* cpy_tensor */ nullptr,
    /* clear */
    [](ggml_backend_buffer_t buffer, uint8_t value) {
      std::memset(buffer->context, value, buffer->size);
    },
    /* reset */ nullptr,
};

ggml_backend_buffer_t allocate(ggml_backend_buffer_type_t type, size_t size) {
  PretendGpus::Gpu& gpu = of(type->device).gpu;
  if (size > gpu.total - gpu.used) return nullptr;
  void* memory = ::operator new(size, std::align_val_t{kAlignment});
  // Nobody has cleared it.
  std::memset(memory, 0xff, size);
  gpu.used += size;
  return ggml_backend_buffer_init(type, kBuffer, memory, size);
}

const ggml_backend_buffer_type_i kBufferType = {
    /* get_name */ [](ggml_backend_buffer_type_t) { return "Pretend"; },
    /* alloc_buffer */ allocate,
    /* get_alignment */ [](ggml_backend_buffer_type_t) { return kAlignment; },
    /* get_max_size */ nullptr,
    /* get_alloc_size */ nullptr,
    /* is_host */ nullptr,
};

// Computing.

void exact_gelu(ggml_tensor* out, int, int, void*) {
  std::memcpy(out->data, out->src[0]->data, ggml_nbytes(out));
  gelu_tanh(static_cast<float*>(out->data), static_cast<size_t>(ggml_nelements(out)));
}

// While it lives the graph's tensors are where they are, and the tanh GELU is computed in f32, as
// GPUs do and ggml's CPU backend does not.
class AtActualAddresses {
 public:
  explicit AtActualAddresses(ggml_cgraph* graph) {
    for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
      ggml_tensor* node = ggml_graph_node(graph, i);
      add(node);
      for (ggml_tensor* source : node->src) add(source);
      if (node->op != GGML_OP_UNARY || ggml_get_unary_op(node) != GGML_UNARY_OP_GELU) continue;
      gelus_.push_back(*node);
      gelu_nodes_.push_back(node);
      const ggml_custom_op_params custom{exact_gelu, 1, nullptr};
      static_assert(sizeof custom <= sizeof node->op_params);
      node->op = GGML_OP_CUSTOM;
      std::memcpy(node->op_params, &custom, sizeof custom);
    }
    for (ggml_tensor* tensor : tensors_) tensor->data = actual(tensor->data);
  }
  ~AtActualAddresses() {
    for (ggml_tensor* tensor : tensors_) tensor->data = told(tensor->data);
    for (size_t i = 0; i < gelus_.size(); ++i) {
      gelu_nodes_[i]->op = gelus_[i].op;
      std::memcpy(gelu_nodes_[i]->op_params, gelus_[i].op_params, sizeof gelus_[i].op_params);
    }
  }
  AtActualAddresses(const AtActualAddresses&) = delete;
  AtActualAddresses& operator=(const AtActualAddresses&) = delete;

  // Whether all of them are in this memory.
  bool are_in(ggml_backend_buffer_type_t memory) const {
    return std::all_of(tensors_.begin(), tensors_.end(), [&](const ggml_tensor* tensor) {
      return tensor->buffer != nullptr && tensor->buffer->buft == memory;
    });
  }

 private:
  void add(ggml_tensor* tensor) {
    if (tensor == nullptr || tensor->data == nullptr || !known_.insert(tensor).second) return;
    tensors_.push_back(tensor);
  }

  std::unordered_set<const ggml_tensor*> known_;
  std::vector<ggml_tensor*> tensors_;
  std::vector<ggml_tensor> gelus_;
  std::vector<ggml_tensor*> gelu_nodes_;
};

ggml_status compute(ggml_backend_t backend, ggml_cgraph* graph) {
  PretendDevice& device = of(backend->device);
  ++device.gpu.graphs;
  for (int i = 0; i < ggml_graph_n_nodes(graph); ++i) {
    if (!ggml_backend_dev_supports_op(backend->device, ggml_graph_node(graph, i)))
      return GGML_STATUS_FAILED;
  }
  const AtActualAddresses moved(graph);
  if (!moved.are_in(&device.buffers)) return GGML_STATUS_FAILED;
  return ggml_backend_graph_compute(static_cast<ggml_backend_t>(backend->context), graph);
}

ggml_backend_t start(ggml_backend_dev_t device, const char*) {
  // As Vulkan's backend does it.
  if (!of(device).gpu.starts) throw std::runtime_error("no such luck");
  static const ggml_guid kGuid = {0x70, 0x72, 0x65, 0x74, 0x65, 0x6e, 0x64};
  ggml_backend_i functions{};
  functions.get_name = [](ggml_backend_t backend) { return of(backend->device).name.c_str(); };
  functions.free = [](ggml_backend_t backend) {
    ggml_backend_free(static_cast<ggml_backend_t>(backend->context));
    delete backend;
  };
  functions.graph_compute = compute;
  ggml_backend_t delegate = ggml_backend_cpu_init();
  ggml_backend_cpu_set_n_threads(delegate, 1);
  return new ggml_backend{const_cast<ggml_guid*>(&kGuid), functions, device, delegate};
}

bool supports(ggml_backend_dev_t device, const ggml_tensor* op) {
  if (op->op == GGML_OP_CUSTOM) return false;
  const auto& refuses = of(device).gpu.refuses;
  return !(refuses && refuses(*op)) && ggml_backend_dev_supports_op(cpu(), op);
}

ggml_backend_device_i device_functions() {
  ggml_backend_device_i functions{};
  functions.get_name = [](ggml_backend_dev_t device) { return of(device).name.c_str(); };
  functions.get_description = [](ggml_backend_dev_t) { return "no GPU at all"; };
  functions.get_memory = [](ggml_backend_dev_t device, size_t* free, size_t* total) {
    *free = of(device).gpu.total - of(device).gpu.used;
    *total = of(device).gpu.total;
  };
  functions.get_type = [](ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; };
  functions.get_props = [](ggml_backend_dev_t device, ggml_backend_dev_props* props) {
    *props = {};
    props->name = of(device).name.c_str();
    props->description = "no GPU at all";
    props->memory_free = of(device).gpu.total - of(device).gpu.used;
    props->memory_total = of(device).gpu.total;
    props->type = GGML_BACKEND_DEVICE_TYPE_GPU;
  };
  functions.init_backend = start;
  functions.get_buffer_type = [](ggml_backend_dev_t device) { return &of(device).buffers; };
  functions.supports_op = supports;
  functions.supports_buft = [](ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
    return type == &of(device).buffers;
  };
  return functions;
}

}  // namespace

struct PretendGpus::Registry {
  std::deque<PretendDevice> devices;
  ggml_backend_reg reg;
};

PretendGpus::PretendGpus(const std::vector<size_t>& memory)
    : registry_(std::make_unique<Registry>()) {
  ggml_backend_reg_i functions{};
  functions.get_name = [](ggml_backend_reg_t) { return "Pretend"; };
  functions.get_device_count = [](ggml_backend_reg_t reg) {
    return static_cast<Registry*>(reg->context)->devices.size();
  };
  functions.get_device = [](ggml_backend_reg_t reg, size_t index) {
    return &static_cast<Registry*>(reg->context)->devices[index].device;
  };
  functions.get_proc_address = [](ggml_backend_reg_t, const char*) -> void* { return nullptr; };
  registry_->reg = {GGML_BACKEND_API_VERSION, functions, registry_.get()};
  for (const size_t bytes : memory) {
    PretendDevice& device = registry_->devices.emplace_back();
    device.gpu.total = bytes;
    device.name = "Pretend" + std::to_string(registry_->devices.size() - 1);
    device.device = {device_functions(), &registry_->reg, &device};
    device.buffers = {kBufferType, &device.device, nullptr};
  }
  ggml_backend_register(&registry_->reg);
}

PretendGpus::~PretendGpus() {
  ggml_backend_unload(&registry_->reg);
}

PretendGpus::Gpu& PretendGpus::operator[](size_t index) {
  return registry_->devices[index].gpu;
}

}  // namespace xgenmm::test
