#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

namespace xgenmm {

// Embeddings that stand in a prompt in place of tokens, known by the hash of their bytes.
struct PromptImage {
  // embeddings: [rows, width]
  PromptImage(std::vector<float> embeddings, int width);

  std::vector<float> embeddings;
  int rows;
  std::shared_ptr<const std::array<uint8_t, 32>>
      hash;  // outlives the embeddings in the KV cache's records
};

// What stands at one position: a token, or a row of an image.
struct PromptPosition {
  int32_t token = -1;
  int32_t row = -1;
  std::shared_ptr<const std::array<uint8_t, 32>> image_hash;

  bool operator==(const PromptPosition& other) const;
};

// Text runs and images in order, one entry per position.
class Prompt {
 public:
  // tokens: ids below vocab_size, or -1-k for all rows of images[k]. Throws kInvalidArgument for
  // anything else.
  Prompt(const std::vector<int32_t>& tokens, std::vector<std::shared_ptr<const PromptImage>> images,
         int vocab_size);

  int length() const { return static_cast<int>(positions_.size()); }
  const PromptPosition& operator[](int position) const {
    return positions_[static_cast<size_t>(position)];
  }
  // The image row at a position that holds one: [width]
  const float* image_row(int position) const;
  // One id per position, -1-k where image k stands.
  const std::vector<int32_t>& ids() const { return ids_; }

 private:
  std::vector<std::shared_ptr<const PromptImage>> images_;
  std::vector<PromptPosition> positions_;
  std::vector<int32_t> ids_;
};

}  // namespace xgenmm
