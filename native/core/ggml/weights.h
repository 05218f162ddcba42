#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/thread_pool.h"
#include "ggml/device.h"
#include "ggml/handles.h"
#include "gguf/file.h"
#include "gguf/tensor_table.h"
#include "kernels/packed_weights.h"

namespace xgenmm {

// The tensors of a table as ggml tensors whose bytes stay in the mapped file, which is kept alive.
class Weights {
 public:
  // Checks the table first (check_tensors).
  Weights(std::shared_ptr<const GgufFile> file, const std::vector<TensorSpec>& table);

  // nullptr when the table has no such tensor.
  ggml_tensor* find(const std::string& name) const;
  // The tensor must be in the table.
  ggml_tensor* get(const std::string& name) const;

  // Bytes of the tensors of these names.
  size_t bytes(const std::vector<std::string>& names) const;

  // Copies the tensors of these names to a device, from here on get() gives those and the file's
  // pages are released. progress: called with 0 .. 1; may throw to give up. Throws kOutOfMemory.
  void upload(Device& device, const std::vector<std::string>& names,
              const std::function<void(double)>& progress);

  // Repacks what has not been uploaded and our own kernels multiply faster than ggml's, from here
  // on CpuGraph::linear() uses that and the file's pages are released. memory: what may be used; if
  // that is too little everything stays in the file. skip: a matrix that is not multiplied with, or
  // nullptr. progress: called with 0
  // .. 1; may throw to give up. Throws kOutOfMemory.
  void pack(ThreadPool& pool, size_t memory, const ggml_tensor* skip,
            const std::function<void(double)>& progress);

 private:
  ggml_context* add_context(size_t tensors);
  bool is_uploaded(const ggml_tensor& tensor) const;
  // Whether it is in f16 only because its rows are no whole blocks, while its layer is quantised
  // (docs/gguf-format.md).
  bool is_stopgap(const std::string& name, const ggml_tensor& tensor) const;

  std::shared_ptr<const GgufFile> file_;
  std::vector<ContextHandle> contexts_;
  std::vector<BufferHandle> buffers_;
  std::unordered_map<std::string, ggml_tensor*> tensors_;
  std::vector<std::pair<std::string, int64_t>> matrices_;  // names and rows
  std::vector<std::unique_ptr<PackedWeights>> packed_;  // ggml_tensor::extra of their tensors
};

}  // namespace xgenmm
