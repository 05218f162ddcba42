#include "text/batch.h"

#include <algorithm>

namespace xgenmm {

void Batch::add(const KvSlot& slot, int first_position, int columns, int wanted) {
  spans.push_back({&slot, count, first_position, columns});
  count += columns;
  if (wanted == 0) return;
  output_spans.push_back(
      {&slot, static_cast<int>(outputs.size()), first_position + columns - wanted, wanted});
  for (int i = count - wanted; i < count; ++i) outputs.push_back(i);
}

bool Batch::is_like(const Batch& other) const {
  return outputs == other.outputs &&
         std::equal(
             spans.begin(), spans.end(), other.spans.begin(), other.spans.end(),
             [](const Span& a, const Span& b) { return a.slot == b.slot && a.count == b.count; });
}

void Batch::take(const Batch& other) {
  std::copy(other.embeddings.begin(), other.embeddings.end(), embeddings.begin());
  std::copy(other.spans.begin(), other.spans.end(), spans.begin());
  std::copy(other.output_spans.begin(), other.output_spans.end(), output_spans.begin());
}

}  // namespace xgenmm
