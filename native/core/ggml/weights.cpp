#include "ggml/weights.h"

#include <new>

#include "base/error.h"
#include "kernels/packed_product.h"

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
    // The patch kernel's rows have three dimensions.
    if (spec.role == TensorSpec::Role::kMatrix)
      matrices_.emplace_back(spec.name, spec.shape.back());
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

bool Weights::is_stopgap(const std::string& name, const ggml_tensor& tensor) const {
  const size_t at = name.find("ffn_down");
  if (at == std::string::npos || tensor.type != GGML_TYPE_F16 || tensor.ne[0] % kBlock == 0)
    return false;
  const ggml_tensor* neighbor = get(std::string(name).replace(at, 8, "ffn_up"));
  return ggml_is_quantized(neighbor->type) && has_packed_product(GGML_TYPE_Q8_0);
}

void Weights::pack(ThreadPool& pool, size_t memory, const ggml_tensor* skip,
                   const std::function<void(double)>& progress) {
  std::vector<std::pair<std::string, int64_t>> chosen;
  size_t bytes = 0;
  for (const auto& matrix : matrices_) {
    const ggml_tensor* tensor = get(matrix.first);
    if (tensor == skip || !(has_packed_product(tensor->type) || is_stopgap(matrix.first, *tensor)))
      continue;
    chosen.push_back(matrix);
    bytes += ggml_nbytes(tensor);
  }
  // Systems that promise more memory than they have would end the process.
  if (bytes > memory) return;
  for (size_t i = 0; i < chosen.size(); ++i) {
    const auto& [name, rows] = chosen[i];
    progress(static_cast<double>(i) / static_cast<double>(chosen.size()));
    ggml_tensor* tensor = get(name);
    const ggml_type packed = is_stopgap(name, *tensor) ? GGML_TYPE_Q8_0 : tensor->type;
    try {
      packed_.push_back(std::make_unique<PackedWeights>(tensor->type, packed,
                                                        ggml_nelements(tensor) / rows, rows));
    } catch (const std::bad_alloc&) {
      throw Error(ErrorCode::kOutOfMemory, "tensor \"" + name + "\" does not fit into memory");
    }
    PackedWeights& weights = *packed_.back();
    const ThreadPool::Session session(pool);
    pool.run(weights.tiles(), 1,
             [&](int64_t first, int64_t last, int) { weights.pack(tensor->data, first, last); });
    tensor->extra = packed_.back().get();
    file_->release(*file_->find_tensor(name));
  }
}

}  // namespace xgenmm
