#include "vision/embedding_cache.h"

#include "harness.h"

namespace xgenmm::test {
namespace {

EmbeddingCache::Key key(uint8_t id) {
  return {id};
}

EncodedImage image(size_t values, float value) {
  EncodedImage image;
  image.embeddings.assign(values, value);
  return image;
}

TEST(embedding_cache_forgets_the_least_recently_used) {
  EmbeddingCache cache(3 * 10 * sizeof(float));
  CHECK(cache.find(key(1)) == nullptr);
  for (const uint8_t id : {1, 2, 3}) cache.insert(key(id), image(10, id));
  CHECK_EQ(cache.find(key(1))->embeddings[0], 1.0f);
  cache.insert(key(4), image(10, 4));
  CHECK(cache.find(key(2)) == nullptr);
  for (const uint8_t id : {1, 3, 4})
    CHECK_EQ(cache.find(key(id))->embeddings[0], static_cast<float>(id));
  // A large one takes the place of several.
  cache.insert(key(5), image(20, 5));
  CHECK(cache.find(key(1)) == nullptr && cache.find(key(3)) == nullptr);
  CHECK_EQ(cache.find(key(4))->embeddings[0], 4.0f);
  CHECK_EQ(cache.find(key(5))->embeddings[0], 5.0f);
}

TEST(embedding_cache_holds_no_more_than_it_may) {
  EmbeddingCache cache(100 * sizeof(float));
  cache.insert(key(1), image(60, 1));
  cache.insert(key(2), image(101, 2));
  CHECK(cache.find(key(2)) == nullptr);
  CHECK(cache.find(key(1)) != nullptr);
  // The same again changes nothing.
  cache.insert(key(1), image(60, 9));
  CHECK_EQ(cache.find(key(1))->embeddings[0], 1.0f);
}

}  // namespace
}  // namespace xgenmm::test
