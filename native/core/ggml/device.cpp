#include "ggml/device.h"

#include <new>

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

std::string mebibytes(size_t bytes) {
  return std::to_string(bytes >> 20) + " MiB";
}

}  // namespace

Device::Device(BackendHandle backend) : backend_(std::move(backend)) {
  silence_ggml();
  if (!backend_) throw Error(ErrorCode::kDeviceUnavailable, "a device could not be started");
  allocator_.reset(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_.get())));
  if (!allocator_) throw std::bad_alloc();
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

bool Device::supports(const Graph& graph) const {
  ggml_backend_dev_t device = ggml_backend_get_device(backend_.get());
  for (int i = 0; i < ggml_graph_n_nodes(graph.cgraph()); ++i) {
    if (!ggml_backend_dev_supports_op(device, ggml_graph_node(graph.cgraph(), i))) return false;
  }
  return true;
}

void Device::reserve(Graph& graph) {
  const size_t before = activation_bytes();
  const bool fits = ggml_gallocr_reserve(allocator_.get(), graph.cgraph());
  // A buffer that was too small is gone even if there is none in its place.
  if (!fits || activation_bytes() != before) ++plan_;
  if (!fits)
    throw Error(ErrorCode::kOutOfMemory, "the activations of the model do not fit into memory");
}

size_t Device::measure(Graph& graph) const {
  const AllocatorHandle allocator(
      ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend_.get())));
  if (!allocator) throw std::bad_alloc();
  size_t bytes = 0;
  ggml_gallocr_reserve_n_size(allocator.get(), graph.cgraph(), nullptr, nullptr, &bytes);
  return bytes;
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
  const ggml_status status = run(graph);
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
    throw Error(ErrorCode::kOutOfMemory,
                what + " takes " + mebibytes(needed) + ", but the device has " + mebibytes(free));
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

BufferHandle Device::claim(ggml_context* context) const {
  BufferHandle buffer(
      ggml_backend_buft_alloc_buffer(ggml_backend_get_default_buffer_type(backend_.get()), 0));
  if (!buffer) throw std::bad_alloc();
  for (ggml_tensor* tensor = ggml_get_first_tensor(context); tensor != nullptr;
       tensor = ggml_get_next_tensor(context, tensor))
    tensor->buffer = buffer.get();
  return buffer;
}

}  // namespace xgenmm
