#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "ggml/handles.h"
#include "gguf/file.h"
#include "gguf/tensor_table.h"

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

 private:
  std::shared_ptr<const GgufFile> file_;
  ContextHandle context_;
  std::vector<BufferHandle> buffers_;
  std::unordered_map<std::string, ggml_tensor*> tensors_;
};

}  // namespace xgenmm
