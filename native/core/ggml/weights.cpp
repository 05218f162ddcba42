#include "ggml/weights.h"

#include <algorithm>
#include <new>

#include "base/error.h"
#include "kernels/packed_product.h"

namespace xgenmm {

namespace {

// What is copied to a device at a time, in bytes.
constexpr size_t kPiece = size_t{16} << 20;

}  // namespace

Weights::Weights(std::shared_ptr<const GgufFile> file, const std::vector<TensorSpec>& table)
    : file_(std::move(file)) {
  check_tensors(*file_, table);
  ggml_context* context = add_context(table.size());
  for (const TensorSpec& spec : table) {
    const TensorInfo& info = *file_->find_tensor(spec.name);
    ggml_tensor* tensor = ggml_new_tensor(context, info.type, GGML_MAX_DIMS, info.shape);
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

ggml_context* Weights::add_context(size_t tensors) {
  contexts_.emplace_back(ggml_init({ggml_tensor_overhead() * tensors, nullptr, true}));
  if (!contexts_.back()) throw std::bad_alloc();
  return contexts_.back().get();
}

size_t Weights::bytes(const std::vector<std::string>& names) const {
  size_t sum = 0;
  for (const std::string& name : names) sum += ggml_nbytes(get(name));
  return sum;
}

void Weights::upload(Device& device, const std::vector<std::string>& names,
                     const std::function<void(double)>& progress) {
  if (names.empty()) return;
  ggml_context* context = add_context(names.size());
  for (const std::string& name : names) {
    const ggml_tensor* tensor = get(name);
    ggml_set_name(ggml_new_tensor(context, tensor->type, GGML_MAX_DIMS, tensor->ne), name.c_str());
  }
  buffers_.push_back(device.allocate(context, "a part of the model"));
  ggml_backend_buffer_set_usage(buffers_.back().get(), GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
  const auto total = static_cast<double>(bytes(names));
  size_t done = 0;
  for (ggml_tensor* target = ggml_get_first_tensor(context); target != nullptr;
       target = ggml_get_next_tensor(context, target)) {
    const auto found = tensors_.find(target->name);
    const auto* data = static_cast<const uint8_t*>(found->second->data);
    const size_t size = ggml_nbytes(target);
    for (size_t at = 0; at < size; at += kPiece) {
      progress(static_cast<double>(done + at) / total);
      ggml_backend_tensor_set(target, data + at, at, std::min(kPiece, size - at));
    }
    done += size;
    file_->release(*file_->find_tensor(target->name));
    found->second = target;
  }
}

bool Weights::is_uploaded(const ggml_tensor& tensor) const {
  return tensor.data != file_->find_tensor(tensor.name)->data;
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
    if (tensor == skip || is_uploaded(*tensor) ||
        !(has_packed_product(tensor->type) || is_stopgap(matrix.first, *tensor)))
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
