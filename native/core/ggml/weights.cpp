#include "ggml/weights.h"

#include <new>

#include "base/error.h"

namespace xgenmm {

Weights::Weights(std::shared_ptr<const GgufFile> file, const std::vector<TensorSpec>& table)
    : file_(std::move(file)) {
  check_tensors(*file_, table);
  context_.reset(ggml_init({ggml_tensor_overhead() * table.size(), nullptr, true}));
  if (!context_) throw std::bad_alloc();
  for (const TensorSpec& spec : table) {
    const TensorInfo& info = *file_->find_tensor(spec.name);
    ggml_tensor* tensor = ggml_new_tensor(context_.get(), info.type, GGML_MAX_DIMS, info.shape);
    ggml_set_name(tensor, spec.name.c_str());
    // The backend never writes to weights; ggml's signature just has no const.
    void* data = const_cast<uint8_t*>(info.data);
    buffers_.emplace_back(ggml_backend_cpu_buffer_from_ptr(data, info.size));
    if (!buffers_.back() ||
        ggml_backend_tensor_alloc(buffers_.back().get(), tensor, data) != GGML_STATUS_SUCCESS) {
      throw Error(ErrorCode::kOutOfMemory, "tensor \"" + spec.name + "\" could not be placed");
    }
    ggml_backend_buffer_set_usage(buffers_.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    tensors_.emplace(spec.name, tensor);
  }
}

ggml_tensor* Weights::find(const std::string& name) const {
  const auto found = tensors_.find(name);
  return found == tensors_.end() ? nullptr : found->second;
}

ggml_tensor* Weights::get(const std::string& name) const {
  ggml_tensor* tensor = find(name);
  if (tensor == nullptr)
    throw Error(ErrorCode::kInternal, "tensor \"" + name + "\" is not in the table");
  return tensor;
}

}  // namespace xgenmm
