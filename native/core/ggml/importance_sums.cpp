#include "ggml/importance_sums.h"

#include <algorithm>
#include <cmath>

namespace xgenmm {

namespace {

// mask: F16 [keys, queries, 1, n]
bool is_seen(const ggml_tensor& mask, int64_t key, int64_t batch) {
  const char* column = static_cast<const char*>(mask.data) + static_cast<size_t>(key) * mask.nb[0] +
                       static_cast<size_t>(batch) * mask.nb[3];
  for (int64_t query = 0; query < mask.ne[1]; ++query) {
    const void* value = column + static_cast<size_t>(query) * mask.nb[1];
    if (ggml_fp16_to_fp32(*static_cast<const ggml_fp16_t*>(value)) > -INFINITY) return true;
  }
  return false;
}

void add_squares(const float* row, std::vector<double>& squares) {
  for (size_t i = 0; i < squares.size(); ++i) squares[i] += double{row[i]} * double{row[i]};
}

}  // namespace

ggml_tensor* ImportanceSums::observe(ggml_context* context, ggml_tensor* x,
                                     const ggml_tensor* weight, ggml_tensor* mask) {
  Sums* sums;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    sums = &weights_[weight->name];
    sums->mutex = &mutex_;
    sums->squares.resize(static_cast<size_t>(x->ne[0]));
  }
  return ggml_custom_inplace(context, x, &mask, mask == nullptr ? 0 : 1, add, 1, sums);
}

// One thread, row by row: the order of additions is that of the positions, whatever the chunks.
void ImportanceSums::add(ggml_tensor* x, int thread, int, void* data) {
  if (thread != 0) return;
  Sums& sums = *static_cast<Sums*>(data);
  const ggml_tensor* mask = x->src[1];
  const std::lock_guard<std::mutex> lock(*sums.mutex);
  for (int64_t batch = 0; batch < x->ne[2]; ++batch) {
    for (int64_t i = 0; i < x->ne[1]; ++i) {
      if (mask != nullptr && !is_seen(*mask, i, batch)) continue;
      const char* row = static_cast<const char*>(x->data) + static_cast<size_t>(i) * x->nb[1] +
                        static_cast<size_t>(batch) * x->nb[2];
      add_squares(reinterpret_cast<const float*>(row), sums.squares);
      ++sums.rows;
    }
  }
}

std::vector<ImportanceSums::Entry> ImportanceSums::entries() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::vector<Entry> entries;
  for (const auto& [name, sums] : weights_) {
    if (sums.rows == 0) continue;
    std::vector<float> rounded(sums.squares.size());
    std::transform(sums.squares.begin(), sums.squares.end(), rounded.begin(),
                   [](double sum) { return static_cast<float>(sum); });
    entries.push_back({name, std::move(rounded), sums.rows});
  }
  return entries;
}

}  // namespace xgenmm
