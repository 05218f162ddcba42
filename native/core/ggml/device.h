#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "ggml/graph.h"
#include "ggml/handles.h"

namespace xgenmm {

// Where graphs run: a ggml backend, its threads and the one buffer that all graphs share for their
// activations (they run one after another). Owned and used by one thread.
class Device {
 public:
  // threads: 0 for what Cores::threads() says. importance: whether to sum up what meets the
  // weights.
  explicit Device(int threads, bool importance = false);

  ggml_backend_t backend() const { return backend_.get(); }
  std::string name() const;
  // What our own operations compute with.
  ThreadPool& pool() { return pool_; }
  int threads() const { return pool_.threads(); }
  // What the system says that it has for us, in bytes.
  size_t free_memory() const;
  // For the graphs that run here; nullptr unless asked for.
  ImportanceSums* importance() { return importance_.get(); }
  const ImportanceSums* importance() const { return importance_.get(); }

  // Called between a graph's nodes; a graph stops early when it returns true.
  void set_abort(std::function<bool()> abort) { abort_ = std::move(abort); }

  // Grows the activation buffer so that the graph fits. Called at load with the largest graphs, so
  // that running out of memory is an error of loading. Throws kOutOfMemory.
  void reserve(Graph& graph);

  // What has been reserved.
  size_t activation_bytes() const { return ggml_gallocr_get_buffer_size(allocator_.get(), 0); }

  // Fills the inputs, computes, and leaves the outputs readable until the next call. False when it
  // was aborted. A graph may be computed again as long as it is planned.
  bool compute(Graph& graph);
  // Whether it has its place in the activation buffer, which it has lost when that has grown since.
  bool has_planned(const Graph& graph) const { return graph.plan == plan_; }

  // A buffer for the tensors of a context, zeroed. progress: called with 0 .. 1 as it is cleared,
  // which takes a while where memory is large; may throw to give up. Throws kOutOfMemory.
  BufferHandle allocate(ggml_context* context, const std::string& what,
                        const std::function<void(double)>& progress = {});

 private:
  ThreadPool pool_;
  std::unique_ptr<ImportanceSums> importance_;
  std::function<bool()> abort_;
  ThreadpoolHandle own_thread_;
  BackendHandle backend_;
  AllocatorHandle allocator_;
  uint64_t plan_ = 1;  // counts the buffers that there were
};

}  // namespace xgenmm
