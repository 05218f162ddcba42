#include "ggml/cpu_device.h"

#include "base/cores.h"
#include "base/error.h"

namespace xgenmm {

CpuDevice::CpuDevice(int threads, bool importance)
    : Device(BackendHandle(ggml_backend_cpu_init())),
      pool_(threads > 0 ? threads : read_cores().threads()),
      importance_(importance ? std::make_unique<ImportanceSums>() : nullptr) {
  // What takes time are operations of our own. ggml's threads would meet after every other one as
  // well, and spin until the last has come.
  ggml_threadpool_params params = ggml_threadpool_params_default(1);
  own_thread_.reset(ggml_threadpool_new(&params));
  if (!own_thread_)
    throw Error(ErrorCode::kDeviceUnavailable, "the CPU backend could not be started");
  ggml_backend_cpu_set_threadpool(backend(), own_thread_.get());
  ggml_backend_cpu_set_n_threads(backend(), 1);
  ggml_backend_cpu_set_abort_callback(
      backend(), [](void* self) { return static_cast<CpuDevice*>(self)->aborted(); }, this);
}

CpuDevice::~CpuDevice() {
  // The backend outlives it.
  ggml_backend_cpu_set_threadpool(backend(), nullptr);
}

std::unique_ptr<Graph> CpuDevice::graph(size_t nodes) {
  return std::make_unique<CpuGraph>(nodes, pool_, importance_.get());
}

ggml_status CpuDevice::run(Graph& graph) {
  const ThreadPool::Session session(pool_);
  return ggml_backend_graph_compute(backend(), graph.cgraph());
}

}  // namespace xgenmm
