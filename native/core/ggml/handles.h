#pragma once

#include <memory>

#include "ggml-alloc.h"
#include "ggml-backend.h"
#include "ggml-cpu.h"
#include "ggml.h"

namespace xgenmm {

struct GgmlDeleter {
  void operator()(ggml_context* context) const { ggml_free(context); }
  void operator()(ggml_backend* backend) const { ggml_backend_free(backend); }
  void operator()(ggml_backend_buffer* buffer) const { ggml_backend_buffer_free(buffer); }
  void operator()(ggml_gallocr* allocator) const { ggml_gallocr_free(allocator); }
  void operator()(ggml_threadpool* pool) const { ggml_threadpool_free(pool); }
};

using ContextHandle = std::unique_ptr<ggml_context, GgmlDeleter>;
using BackendHandle = std::unique_ptr<ggml_backend, GgmlDeleter>;
using BufferHandle = std::unique_ptr<ggml_backend_buffer, GgmlDeleter>;
using AllocatorHandle = std::unique_ptr<ggml_gallocr, GgmlDeleter>;
using ThreadpoolHandle = std::unique_ptr<ggml_threadpool, GgmlDeleter>;

}  // namespace xgenmm
