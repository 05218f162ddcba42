#include "ggml/device.h"

#include "base/cores.h"
#include "base/error.h"

namespace xgenmm {

namespace {

// ggml speaks on stderr of its own accord; what matters reaches the user as an Error.
void silence_ggml() {
  static const bool once = [] {
    ggml_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    return true;
  }();
  static_cast<void>(once);
}

}  // namespace

Device::Device(int threads, bool importance)
    : pool_(threads > 0 ? threads : read_cores().threads()),
      importance_(importance ? std::make_unique<ImportanceSums>() : nullptr) {
  silence_ggml();
  backend_.reset(ggml_backend_cpu_init());
  // What takes time are operations of our own. ggml's threads would meet after every other one as
  // well, and spin until the last has come.
  ggml_threadpool_params params = ggml_threadpool_params_default(1);
  own_thread_.reset(ggml_threadpool_new(&params));
  if (!backend_ || !own_thread_)
    throw Error(ErrorCode::kDeviceUnavailable, "the CPU backend could not be started");
  ggml_backend_cpu_set_threadpool(backend_.get(), own_thread_.get());
  ggml_backend_cpu_set_n_threads(backend_.get(), 1);
  ggml_backend_cpu_set_abort_callback(
      backend_.get(),
      [](void* self) {
        const auto& abort = static_cast<Device*>(self)->abort_;
        return abort && abort();
      },
      this);
  allocator_.reset(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_.get())));
}

std::string Device::name() const {
  return ggml_backend_name(backend_.get());
}

size_t Device::free_memory() const {
  size_t free = 0;
  size_t total = 0;
  ggml_backend_dev_memory(ggml_backend_get_device(backend_.get()), &free, &total);
  return free;
}

void Device::reserve(Graph& graph) {
  const size_t before = activation_bytes();
  const bool fits = ggml_gallocr_reserve(allocator_.get(), graph.cgraph());
  // A buffer that was too small is gone even if there is none in its place.
  if (!fits || activation_bytes() != before) ++plan_;
  if (!fits)
    throw Error(ErrorCode::kOutOfMemory, "the activations of the model do not fit into memory");
}

bool Device::compute(Graph& graph) {
  if (!has_planned(graph)) {
    // Left to itself the allocator keeps an earlier graph's plan when the counts of nodes happen to
    // agree, and our graphs are of several kinds.
    reserve(graph);
    if (!ggml_gallocr_alloc_graph(allocator_.get(), graph.cgraph())) {
      throw Error(ErrorCode::kOutOfMemory, "the activations of the model do not fit into memory");
    }
    graph.plan = plan_;
  }
  graph.fill_inputs();
  const ThreadPool::Session session(pool_);
  const ggml_status status = ggml_backend_graph_compute(backend_.get(), graph.cgraph());
  if (status == GGML_STATUS_ABORTED) return false;
  if (status != GGML_STATUS_SUCCESS) {
    throw Error(status == GGML_STATUS_ALLOC_FAILED ? ErrorCode::kOutOfMemory : ErrorCode::kInternal,
                std::string("computing a graph failed: ") + ggml_status_to_string(status));
  }
  return true;
}

BufferHandle Device::allocate(ggml_context* context, const std::string& what,
                              const std::function<void(double)>& progress) {
  // Systems that promise more memory than they have would end the process when the buffer is
  // cleared.
  const size_t needed = ggml_backend_alloc_ctx_tensors_from_buft_size(
      context, ggml_backend_get_default_buffer_type(backend_.get()));
  const size_t free = free_memory();
  if (needed > free) {
    throw Error(ErrorCode::kOutOfMemory, what + " takes " + std::to_string(needed >> 20) +
                                             " MiB, but the device has " +
                                             std::to_string(free >> 20) + " MiB");
  }
  BufferHandle buffer(ggml_backend_alloc_ctx_tensors(context, backend_.get()));
  if (!buffer) throw Error(ErrorCode::kOutOfMemory, what + " does not fit into memory");
  size_t cleared = 0;
  for (ggml_tensor* tensor = ggml_get_first_tensor(context); tensor != nullptr;
       tensor = ggml_get_next_tensor(context, tensor)) {
    ggml_backend_tensor_memset(tensor, 0, 0, ggml_nbytes(tensor));
    cleared += ggml_nbytes(tensor);
    if (progress) progress(static_cast<double>(cleared) / static_cast<double>(needed));
  }
  return buffer;
}

}  // namespace xgenmm
