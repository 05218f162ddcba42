#pragma once

#include "base/thread_pool.h"
#include "ggml/cpu_graph.h"
#include "ggml/device.h"

namespace xgenmm {

// The CPU with its threads.
class CpuDevice : public Device {
 public:
  // threads: 0 for what Cores::threads() says. importance: whether to sum up what meets the
  // weights.
  explicit CpuDevice(int threads, bool importance = false);
  ~CpuDevice() override;

  bool is_cpu() const override { return true; }
  // What our own operations compute with.
  ThreadPool& pool() { return pool_; }
  int threads() const { return pool_.threads(); }
  // For the graphs that run here; nullptr unless asked for.
  ImportanceSums* importance() { return importance_.get(); }
  const ImportanceSums* importance() const { return importance_.get(); }

  std::unique_ptr<Graph> graph(size_t nodes) override;

 protected:
  ggml_status run(Graph& graph) override;

 private:
  ThreadPool pool_;
  std::unique_ptr<ImportanceSums> importance_;
  ThreadpoolHandle own_thread_;
};

}  // namespace xgenmm
