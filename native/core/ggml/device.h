#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ggml/graph.h"
#include "ggml/handles.h"

namespace xgenmm {

// Where graphs run: a ggml backend and the one buffer that all its graphs share for their
// activations (they run one after another). Owned and used by one thread.
class Device {
 public:
  virtual ~Device() = default;
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  // Whether its memory and its graphs are the CPU's.
  virtual bool is_cpu() const { return false; }
  // CPU, CUDA0, …
  std::string name() const;
  // What the system says that it has for us, in bytes.
  size_t free_memory() const;

  // An empty graph that is to run here. nodes: an upper bound of the operations (views included)
  // that will be added.
  virtual std::unique_ptr<Graph> graph(size_t nodes) = 0;
  // Whether every operation of the graph can be computed here.
  bool supports(const Graph& graph) const;

  // A graph stops early when it returns true: called between the nodes of one on the CPU, and
  // before every other graph.
  void set_abort(std::function<bool()> abort) { abort_ = std::move(abort); }

  // Grows the activation buffer so that the graph fits. Called at load with the largest graphs, so
  // that running out of memory is an error of loading. Throws kOutOfMemory.
  void reserve(Graph& graph);
  // Bytes that reserve() would take for this graph alone.
  size_t measure(Graph& graph) const;

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
  // Says that the tensors of a context will be in this device's memory, for graphs that are only
  // measured or asked about: they have none, and it must outlive them.
  BufferHandle claim(ggml_context* context) const;

 protected:
  explicit Device(BackendHandle backend);

  ggml_backend_t backend() const { return backend_.get(); }
  bool aborted() const { return abort_ && abort_(); }
  virtual ggml_status run(Graph& graph) = 0;

 private:
  BackendHandle backend_;
  AllocatorHandle allocator_;
  std::function<bool()> abort_;
  uint64_t plan_ = 1;  // counts the buffers that there were
};

}  // namespace xgenmm
