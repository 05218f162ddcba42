#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <map>

#include "vision/image_encoder.h"

namespace xgenmm {

// Pictures that were encoded lately, by what the tower saw of them; the least recently used goes
// first when there are too many bytes.
class EmbeddingCache {
 public:
  using Key = std::array<uint8_t, 32>;

  explicit EmbeddingCache(size_t capacity) : capacity_(capacity) {}

  // Valid until the next insert(); nullptr if it is not there.
  const EncodedImage* find(const Key& key);
  // An image that is larger than the whole cache is not kept.
  void insert(const Key& key, EncodedImage image);

 private:
  struct Entry {
    Key key;
    EncodedImage image;
  };
  static size_t bytes(const EncodedImage& image) { return image.embeddings.size() * sizeof(float); }

  size_t capacity_;  // bytes of embeddings
  size_t size_ = 0;
  std::list<Entry> entries_;  // the most recently used first
  std::map<Key, std::list<Entry>::iterator> index_;
};

}  // namespace xgenmm
