#include "vision/embedding_cache.h"

namespace xgenmm {

const EncodedImage* EmbeddingCache::find(const Key& key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  return &entries_.front().image;
}

void EmbeddingCache::insert(const Key& key, EncodedImage image) {
  if (bytes(image) > capacity_ || index_.count(key) != 0) return;
  while (size_ + bytes(image) > capacity_) {
    size_ -= bytes(entries_.back().image);
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
  size_ += bytes(image);
  entries_.push_front({key, std::move(image)});
  index_[key] = entries_.begin();
}

}  // namespace xgenmm
