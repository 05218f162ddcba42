#include "ggml/kept_graphs.h"

#include <utility>

namespace xgenmm {

const KeptGraphs::Built& KeptGraphs::get(const Device& device, const Shape& shape,
                                         const std::function<Built()>& build) {
  const auto found = graphs_.find(shape);
  if (found != graphs_.end()) {
    if (device.has_planned(*found->second.graph)) return found->second;
    // So have the others.
    clear();
  }
  Built built = build();
  // Beyond what is used, a context's memory has never been touched.
  const size_t bytes = ggml_used_mem(built.graph->context());
  // Steps come in the same order for every picture: the least recently used would be the very next
  // to be wanted.
  if (size_ + bytes > capacity_) clear();
  size_ += bytes;
  return graphs_[shape] = std::move(built);
}

void KeptGraphs::clear() {
  graphs_.clear();
  size_ = 0;
}

}  // namespace xgenmm
